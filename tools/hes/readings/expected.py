"""What should be here and is not: expected against received rows, by meter, profile and day.

A profile with a period has a row at each of its marks from its first row here on. What is missing
is either named by the concentrator as gone from the meter itself, or it can be read again. Rows
count as missing only once their task has had its time: its own period, and PATIENCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.contract import task
from tools.hes.orders.task import kept
from tools.hes.readings import profiles
from tools.hes.store.readings import Readings
from tools.hes.store.records import ReadingGap, Series
from tools.hes.store.states import TAKEN
from tools.hes.store.trust import Trust
from tools.hes.validation.row import Shape
from tools.hes.validation.rules import longest

DAY = 86400
PATIENCE = 6 * 3600
UNNAMED = ""
_SECONDS = {task.MINUTES: 60, task.DAYS: DAY, task.WEEKS: 7 * DAY, task.MONTHS: 31 * DAY}


@dataclass(frozen=True)
class Missing:
    """`rows` that should stand from `start` to `end`, both included. `reason`: why the meter itself
    has none, "": nobody has said so, they can be read again.
    """

    series: Series
    period: int
    start: int
    end: int
    rows: int
    reason: str = UNNAMED


@dataclass(frozen=True)
class Day:
    """Of one series; `day` is unix time / 86400."""

    series: Series
    day: int
    expected: int
    received: int
    doubtful: int
    invalid: int


def periods(trust: Trust, concentrator: str) -> dict[tuple[int, bytes], int]:
    """How often, in seconds, tasks that the concentrator has taken read each profile, at least."""
    found: dict[tuple[int, bytes], int] = {}
    for each in kept(trust, concentrator):
        if each.task is None or each.state != TAKEN:
            continue
        seconds = _SECONDS[each.task.every.unit] * each.task.every.count
        for item in each.task.items:
            if item.what != task.PROFILE:
                continue
            objects = [(row[0], row[1]) for row in item.objects]
            for key in objects or profiles.parse(item.name):
                found[key] = max(seconds, found.get(key, 0))
    return found


def due_until(
    readings: Readings, trust: Trust, some: Sequence[Series], now: float
) -> dict[int, int]:
    """By series: rows before this unix time should be here."""
    by_concentrator: dict[str, dict[tuple[int, bytes], int]] = {}
    found = {}
    for each in some:
        if each.concentrator not in by_concentrator:
            by_concentrator[each.concentrator] = periods(trust, each.concentrator)
        key = each.class_id, each.obis
        every = by_concentrator[each.concentrator].get(key, DAY)
        found[each.id] = int(now) - every - PATIENCE
    return found


def missing(
    readings: Readings, some: Sequence[Series], start: int, until: dict[int, int]
) -> list[Missing]:
    """What is missing in profiles with a period, from `start` on; `until` by series."""
    named = _named(readings.gaps())
    found: list[Missing] = []
    for each in some:
        shape = readings.shape(each.layout)
        if not shape.period:
            continue
        gone = named.get((each.concentrator, each.serial, each.class_id, each.obis), [])
        for first, last in _holes(readings, each, shape, start, until[each.id]):
            found += _split(each, shape.period, first, last, gone)
    return found


def _named(gaps: list[ReadingGap]) -> dict[tuple[str, str, int, bytes], list[ReadingGap]]:
    found: dict[tuple[str, str, int, bytes], list[ReadingGap]] = {}
    for gap in gaps:
        key = gap.concentrator, gap.serial, gap.class_id, gap.obis
        found.setdefault(key, []).append(gap)
    return found


def _holes(
    readings: Readings, each: Series, shape: Shape, start: int, until: int
) -> list[tuple[int, int]]:
    """[(first, last) mark that has no row]"""
    holes = []
    before: int | None = None
    for first, last in _covered(readings, each, shape, start, until):
        if before is not None and first - before > longest(shape.period):
            holes.append((before + shape.period, first - shape.period))
        before = last if before is None else max(before, last)
    if before is not None and until - before > longest(shape.period):
        holes.append((before + shape.period, until - 1))
    return [(max(first, start), last) for first, last in holes if last >= start]


def _covered(
    readings: Readings, each: Series, shape: Shape, start: int, until: int
) -> list[tuple[int, int]]:
    """[(first, last) time between which no row is missing], from the last row before `start` on: of
    a whole day at once, else of each row.
    """
    day = start // DAY
    before = readings.last_day(each.id, day - 1)
    whole = DAY // shape.period if DAY % shape.period == 0 else 0
    phase = each.last % shape.period
    found: list[tuple[int, int]] = []
    partial: list[int] = []
    for one in readings.days(each.id, day if before is None else before, until // DAY):
        if whole > 1 and one.layout == each.layout and one.times == whole:
            first = one.day * DAY + phase
            found.append((first, first + (whole - 1) * shape.period))
        elif one.day not in partial:
            partial.append(one.day)
            of_day = readings.rows(each.id, one.day * DAY, one.day * DAY + DAY)
            found += [(row.time, row.time) for _, row in of_day]
    return sorted((first, min(last, until)) for first, last in found if first < until)


def _split(
    each: Series, period: int, first: int, last: int, gone: list[ReadingGap]
) -> list[Missing]:
    """By what the concentrator has said of parts of it."""
    found = []
    at = first
    for gap in gone:
        if gap.end < at or gap.start > last:
            continue
        if gap.start > at:
            found.append(_part(each, period, at, gap.start - 1, UNNAMED))
        end = min(gap.end, last)
        found.append(_part(each, period, max(at, gap.start), end, gap.reason))
        at = max(at, end + 1)
    if at <= last:
        found.append(_part(each, period, at, last, UNNAMED))
    return [part for part in found if part.rows]


def _part(each: Series, period: int, first: int, last: int, reason: str) -> Missing:
    """Of marks only."""
    phase = each.last % period if period <= DAY else 0
    start = first + (phase - first) % period if period < DAY else first
    if start > last:
        return Missing(each, period, first, last, 0, reason)
    rows = (last - start) // period + 1
    return Missing(each, period, start, start + (rows - 1) * period, rows, reason)


def by_day(
    readings: Readings, some: Sequence[Series], first: int, last: int, until: dict[int, int]
) -> list[Day]:
    """Of profiles with a period of a day or less; days from `first` to `last`."""
    found = []
    for each in some:
        shape = readings.shape(each.layout)
        begins = readings.first_day(each.id)
        if not shape.period or shape.period > DAY or begins is None:
            continue
        counted: dict[int, tuple[int, int, int]] = {}
        for day in readings.days(each.id, first, last):
            times, doubtful, invalid = counted.get(day.day, (0, 0, 0))
            counted[day.day] = (
                times + day.times,
                doubtful + day.doubtful,
                invalid + day.invalid,
            )
        first_row = next(readings.rows(each.id, begins * DAY, begins * DAY + DAY))[1].time
        for day_number in range(max(first, begins), min(last, until[each.id] // DAY) + 1):
            since = max(day_number * DAY, first_row)
            seconds = min((day_number + 1) * DAY, until[each.id]) - since
            expected = max(0, -(-seconds // shape.period))
            found.append(Day(each, day_number, expected, *counted.get(day_number, (0, 0, 0))))
    return found


def never_read(
    readings: Readings, trust: Trust, concentrator: str, meters: Sequence[str]
) -> list[tuple[str, str, str]]:
    """[(meter, profile, task)] that a task should read and of which nothing ever came. `meters` are
    those that the concentrator has told of.
    """
    here = {(each.serial, each.class_id, each.obis) for each in readings.series(concentrator)}
    found = []
    for each in kept(trust, concentrator):
        if each.task is None or each.state != TAKEN or each.task.paused:
            continue
        kind, those = each.task.meters
        if kind not in (task.ALL, task.LIST):
            continue  # which meters these are only the concentrator knows
        for item in each.task.items:
            if item.what not in (task.PROFILE, task.LOG):
                continue
            objects = [(row[0], row[1]) for row in item.objects] or profiles.parse(item.name)
            text = item.name or profiles.word_of(objects[0][1]) or str(objects[0][1].hex())
            for serial in meters if kind == task.ALL else those:
                if not any((serial, *key) in here for key in objects):
                    found.append((serial, text, each.name))
    return found
