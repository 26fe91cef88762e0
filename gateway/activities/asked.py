"""Rows that the HES asks for: those of a profile or log from a time to a time. What is on the flash
goes up once more; the meter is asked for what is not.

What is newer than the last row that is here is read as a task reads it, all of it, so that no row
is passed over.
"""

from __future__ import annotations

from gateway.activities.readable import one_line
from gateway.contract.result import KO, OK, Result
from gateway.contract.task import PROFILE, Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.activities.readings import Collector, Recorder
    from gateway.contract.model import Model
    from gateway.dlms.client.client import Client

_CLASS, _BUFFER = 7, 2
_MOST_RANGES = 8
_DAY = 86400


class Asked:
    """`stored`: so many of the rows go up from the flash; `missing`: the ranges that the meter is
    asked for, and, with `fresh`, for all that is new."""

    def __init__(self, collector: Collector, recorder: Recorder, obis: bytes) -> None:
        self.collector = collector
        self.recorder = recorder
        self.obis = obis
        self.stored = 0
        self.missing: list[tuple[int, int]] = []
        self.fresh = False

    def is_here(self) -> bool:
        """Whether nothing is to be asked of the meter."""
        return not self.missing and not self.fresh

    def done(self, read: int = 0) -> Result:
        text = "%d rows: %d from the flash, %d from the meter"
        return Result(OK, "read", text % (self.stored + read, self.stored, read))


async def run(client: Client, serial: str, order: Asked, model: Model) -> Result:
    """OK with the number of rows; KO where the meter does not give them."""
    item = Item(PROFILE, objects=[(_CLASS, order.obis, _BUFFER)])
    rows = 0
    ranges: list[tuple[int, int] | None] = list(order.missing)
    if order.fresh:
        ranges.append(None)
    for between in ranges:
        found = await order.collector.collect(
            client, serial, model, [item], order.recorder, between=between
        )
        rows += found.rows
        if found.gaps:
            text = "%s; %d rows were read" % (found.details[0], rows)
            return Result(KO, found.gaps[0], one_line(text))
    return order.done(rows)


def missing(times: list[int], period: int, start: int, end: int) -> list[tuple[int, int]]:
    """The ranges from `start` to `end` in which no rows are here that there may be; `times` in
    their order, `period` in seconds, 0: rows come as things happen."""
    if not times:
        return [(start, end)]
    step = max(period, 1)
    found = []
    if times[0] - start >= step:
        found.append((start, times[0] - 1))
    for place in range(1, len(times)):
        before, after = times[place - 1], times[place]
        if period and after - before > period * 3 // 2:
            found.append((before + 1, after - 1))
    if end - times[-1] >= step:
        found.append((times[-1] + 1, end))
    if len(found) > _MOST_RANGES:
        return [(found[0][0], found[-1][1])]
    return found
