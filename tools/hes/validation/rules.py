"""Which readings can be believed: rules over the rows of one meter's profile, in the order of time.

Nothing is dropped or changed: each row has the reasons why it is not simply valid (row.py). What is
judged follows from what a column is: a register that only counts up does not go down, energy of a
house has a limit, a status word says itself that a row is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.contract import quality
from tools.hes.validation import status
from tools.hes.validation.row import (
    AFTER_GAP,
    DUPLICATE,
    FLAGGED,
    FUTURE,
    NO_VALUE,
    OFF_PERIOD,
    ROLLED_OVER,
    SPIKE,
    STATUS,
    WENT_BACK,
    Column,
    Row,
    Shape,
)

HOUR, DAY, MONTH = 3600, 86400, 28 * 86400
QUARTER = 900
LATE_S = 300  # so much later than it was read a row may be: clocks differ
_DOUBTED = quality.TIME_REPAIRED | quality.CLOCK_OFF | quality.JUMPED_BACK | quality.OTHER_VALUES

REGISTERS = (3, 4)  # classes
ELECTRICITY = 1  # value group A
TOTAL = 8  # value group D: time integral 1, which begins at the meter's first hour
NET = (16, 36, 56, 76)  # value group C: what was imported less what was exported
ENERGY = (30, 31, 32)  # units: Wh, VAh, varh (Blue Book, table of units)

SPIKE_TIMES = 10  # as much as the most in any other period
SPIKE_LEAST_W = 20_000  # below this nothing is a spike: a house may begin to heat
SPIKE_STEPS = 12  # other periods that are needed to judge one
NEAR_THE_END = 0.9  # of a register's range: what goes from there to its beginning has rolled over


@dataclass(frozen=True)
class Judged:
    """How a column is judged."""

    counts: bool
    status_bits: int
    least_spike: float  # in what the register counts, per second; 0: not judged


def judged(column: Column) -> Judged:
    counts = is_counter(column)
    least = 0.0
    if counts and column.unit in ENERGY:
        least = SPIKE_LEAST_W / 3600 / 10.0 ** (column.scaler or 0)
    bits = status.void_bits(column.obis) if not counts else 0
    return Judged(counts, bits, least)


def is_counter(column: Column) -> bool:
    """A register that only counts up, as long as it does not roll over."""
    obis = column.obis
    return (
        column.class_id in REGISTERS
        and column.attribute == 2
        and obis[0] == ELECTRICITY
        and obis[3] == TOTAL
        and obis[2] not in NET
    )


def judge(shape: Shape, before: Row | None, rows: Sequence[Row]) -> None:
    """Write into each row its reasons, whatever stood there of ours. `rows` by time; `before` is
    the last one of the days before: of other columns its `values` are empty.
    """
    each = [judged(column) for column in shape.columns]
    for row in rows:
        row.reasons = _alone(shape, each, row)
    if not shape.period:
        return
    last = before
    for row in rows:
        if last is not None:
            row.reasons |= _beside(shape, each, last, row)
        if last is None or row.time > last.time:
            last = row
    _mark_duplicates(rows)
    for place, how in enumerate(each):
        if how.least_spike:
            _mark_spikes(before, rows, place, how.least_spike)


def _alone(shape: Shape, each: Sequence[Judged], row: Row) -> int:
    reasons = 0
    if row.flags & _DOUBTED:
        reasons |= FLAGGED
    if row.time > row.read_at + LATE_S:
        reasons |= FUTURE
    # Distances from UTC are whole quarters of an hour.
    if shape.period and row.time % min(shape.period, QUARTER):
        reasons |= OFF_PERIOD
    for value, how in zip(row.values, each, strict=True):
        if value is None:
            reasons |= NO_VALUE
        elif how.status_bits & status.number(value):
            reasons |= STATUS
    return reasons


def _beside(shape: Shape, each: Sequence[Judged], last: Row, row: Row) -> int:
    reasons = 0
    if row.time - last.time > longest(shape.period):
        reasons |= AFTER_GAP
    if not last.values or row.time <= last.time:
        return reasons
    for old, new, how in zip(last.values, row.values, each, strict=True):
        if how.counts and _is_number(old) and _is_number(new) and new < old:
            reasons |= ROLLED_OVER if _rolled_over(old, new) else WENT_BACK
    return reasons


def longest(period: int) -> int:
    """Seconds between two rows of which none is missing between them."""
    if period < DAY:
        return period
    # A day may have 25 hours, and a month 31 days, whatever the profile's period says.
    return max(period, 31 * DAY if period >= MONTH else 0) + HOUR


def _rolled_over(old: int, new: int) -> bool:
    """From the end of what the register, or its dial, can show to its beginning."""
    for end in (1 << 32, 10 ** len(str(int(old)))):
        if old > NEAR_THE_END * end and new < (1 - NEAR_THE_END) * end:
            return True
    return False


def _mark_duplicates(rows: Sequence[Row]) -> None:
    """Of the same time, in one profile: which of them is right nobody knows, save that daylight
    saving made the clock pass twice."""
    for one, other in pairwise(rows):
        if one.time == other.time:
            for row in (one, other):
                if not row.flags & quality.SECOND_PASS:
                    row.reasons |= DUPLICATE


def _mark_spikes(before: Row | None, rows: Sequence[Row], place: int, least: float) -> None:
    steps: list[tuple[float, Row]] = []
    last = before if before is not None and before.values else None
    for row in rows:
        new = row.values[place]
        if last is not None and row.time > last.time:
            old = last.values[place]
            if _is_number(old) and _is_number(new) and new >= old:
                steps.append(((new - old) / (row.time - last.time), row))
        if _is_number(new):
            last = row
    if len(steps) <= SPIKE_STEPS:
        return
    *_, second, most = sorted(step for step, _ in steps)
    for step, row in steps:
        others = second if step == most else most
        if step > max(least, SPIKE_TIMES * others):
            row.reasons |= SPIKE


def judge_value(column: Column, before: object, value: object, read_at: int, now: int) -> int:
    """The reasons of a single value, read after `before` (None: there is none that can be
    compared). `now` by our clock.
    """
    reasons = NO_VALUE if value is None else 0
    if read_at > now + LATE_S:
        reasons |= FUTURE
    if is_counter(column) and _is_number(before) and _is_number(value) and value < before:  # type: ignore[operator]
        reasons |= ROLLED_OVER if _rolled_over(before, value) else WENT_BACK  # type: ignore[arg-type]
    return reasons


def _is_number(value: object) -> bool:
    return type(value) in (int, float)
