"""The rows of a profile or an event log that are not here yet, in as few octets as the meter
allows.

By a range of time where the meter takes ranges, else by the numbers of entries, else the whole
buffer. It is read row by row, so that a month of rows needs no more RAM than an hour of them.
"""

from __future__ import annotations

from gateway.activities.by_word import called, unknown
from gateway.activities.profile import layout as layouts
from gateway.activities.profile.decoding import Decoder, WrongShape
from gateway.activities.profile.intake import BATCH, Doubtful, Intake
from gateway.activities.profile.layout import CLASS, ENTRY, RANGE, UNIX_CLOCK, WHOLE
from gateway.contract.limits import MAX_TIME
from gateway.contract.quality import CHANGED, OVERWRITTEN
from gateway.contract.task import LOG
from gateway.dlms.data import axdr, moment, obis
from gateway.dlms.data.selection import column
from gateway.dlms.errors import AccessRefused, NotSupported, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from gateway.activities.meter_clock import MeterClock
    from gateway.activities.profile.decoding import Stamp
    from gateway.activities.profile.layout import Known, Layout
    from gateway.activities.readings import Visit
    from gateway.contract.task import Item
    from gateway.dlms.client.reading import Rows
    from gateway.dlms.data.axdr import Typed

DAY = 86400
MOST_ROWS = 20000  # of one visit to one profile
MOST_WAITING = 256  # rows recorded and not yet durable: they wait in RAM
MOST_HELD = 256  # rows of an answer that begins with the newest
_MARGIN = 3600  # by so much a clock may have been set back while we knew nothing
_OVERLAP = 8  # entries asked for again: so many may be captured while we read
_MOST_EVENTS = 16  # since the last visit, as a rule
_MOST_CHANGES = 3  # of its columns or its period, in one visit
_OF_ACCESS = ("other-reason", "scope-of-access-violated", "type-unmatched", "read-write-denied")


class _TooMany(Exception):
    """More rows than are held of an answer that begins with the newest."""


async def collect(visit: Visit, item: Item) -> None:
    """AccessRefused, NotSupported, ProtocolError where the meter does not give it."""
    for name in _named(visit, item):
        await _Reading(visit, name, item.what == LOG).run()


def _named(visit: Visit, item: Item) -> list[bytes]:
    if item.objects:
        return [name for class_id, name, _ in item.objects if class_id == CLASS]
    for class_id, name in called(visit.model, item.name):
        if class_id == CLASS:
            return [name]
    visit.collected.missed("model-unfit", unknown(visit.model, item.name))
    return []


class _Reading:
    """One profile of one meter, once."""

    def __init__(self, visit: Visit, name: bytes, log: bool) -> None:
        self._visit = visit
        self._client = visit.client
        self._name = name
        self._log = log
        self._known: Known
        self._intake: Intake
        self._meter: MeterClock

    async def run(self) -> None:
        """Where the last row that is here is gone, or a row is built otherwise than the others, it
        is seen why, and the reading begins anew."""
        visit = self._visit
        found = visit.layouts.find(visit.serial, self._name)
        sure, gone = found is None, ""
        self._known = await self._layout_read() if found is None else found
        self._meter = await visit.meter_clock()
        for _ in range(_MOST_CHANGES):
            self._intake = Intake(visit, self._name, self._known.layout, self._log, gone)
            before = self._known.layout
            try:
                await self._rows()
                self._known.deviation = visit.ahead
                return
            except Doubtful:
                if not sure:
                    self._known = await self._layout_read()
            except WrongShape as error:
                self._known = await self._layout_read()
                if before.same(self._known.layout):
                    raise ProtocolError("%s: %s" % (obis.text(self._name), error))
            sure = True
            gone = await self._gone(before)
        raise ProtocolError("%s: it changes again and again" % obis.text(self._name))

    async def _layout_read(self) -> Known:
        found = await layouts.read(self._client, self._name)
        return self._visit.layouts.keep(self._visit.serial, self._name, found)

    async def _gone(self, before: Layout) -> str:
        """Why rows can be gone: a buffer that is not full has begun anew since."""
        now = self._known.layout
        if not before.same(now):
            return CHANGED
        used = await layouts.entries_in_use(self._client, self._name)
        return CHANGED if used < now.entries else OVERWRITTEN

    async def _rows(self) -> None:
        """In the way that this meter is known to take, else in the next one."""
        known = self._known
        if known.access == RANGE and not await self._taken(self._by_range, ENTRY):
            nothing = not self._intake.answered and self._visit.between is None
            if nothing and await layouts.entries_in_use(self._client, self._name):
                await self._taken(self._by_entries, WHOLE)
                if self._intake.answered:  # it has rows there and does not find them
                    known.access = max(known.access, ENTRY)
            return
        if known.access == ENTRY and not await self._taken(self._by_entries, WHOLE):
            return
        self._intake.floor = self._first_time()
        try:
            await self._take(self._client.read_profile(self._name))
        except _TooMany:
            text = "%s: more rows than are held, the newest first, and no part can be asked for"
            raise ProtocolError(text % obis.text(self._name))

    async def _taken(self, way: Callable[[], Awaitable[None]], otherwise: int) -> bool:
        """Go this way; whether the meter does not take it, and `otherwise` is to be tried."""
        try:
            await way()
            return False
        except NotSupported:
            self._known.access = WHOLE
        except AccessRefused as error:
            if error.result not in _OF_ACCESS:
                raise
            self._known.access = otherwise
        return True

    # By a range of time.

    async def _by_range(self) -> None:
        start, end = self._first_time(), self._last_time()
        self._intake.floor = start - max(self._known.layout.period, 60)
        if not self._known.layout.newest_first:
            await self._take(self._range(start, end))
            return
        span = end - start
        while start <= end:
            stop = min(start + span, end)
            try:
                await self._take(self._range(start, stop), stop == end)
            except _TooMany:
                if span == 0:
                    raise ProtocolError("%s: endless rows" % obis.text(self._name))
                span //= 2
                continue
            start = stop + 1

    def _range(self, start: int, end: int) -> Rows:
        """The rows from `start` to `end`, both included."""
        place = self._known.layout.columns[self._known.layout.time]
        limits: list[Typed] = [(axdr.DOUBLE_LONG_UNSIGNED, each) for each in (start, end)]
        if place[:3] != UNIX_CLOCK:
            meter = self._meter
            told = (meter.deviation, meter.told)
            limits = [(axdr.OCTET_STRING, moment.date_time(each, *told)) for each in (start, end)]
        restricting = column(*place[:4])
        return self._client.read_profile(self._name, limits[0], limits[1], restricting=restricting)

    def _first_time(self) -> int:
        """From when on rows are asked for: from the last one that is here, earlier by what the
        meter's clock was, or may have been, set back since."""
        visit, meter = self._visit, self._meter
        if visit.between is not None:
            return visit.between[0]
        now = meter.now or visit.read_at
        first = max(now - max(visit.keep, 1) * DAY, 1)
        last = self._intake.time
        if not last:
            return first
        if self._known.deviation is None or meter.off is None:
            last -= _MARGIN
        else:
            last -= max(self._known.deviation - meter.off + 1, 0)
        return max(min(last, now) if last <= now + DAY else first, 1)

    def _last_time(self) -> int:
        visit = self._visit
        if visit.between is not None:
            return visit.between[1]
        return min(max(self._meter.now, visit.read_at, self._intake.time) + DAY, MAX_TIME)

    # By the numbers of entries, counted here from 0, the oldest.

    async def _by_entries(self) -> None:
        self._intake.floor = self._first_time()
        used = await layouts.entries_in_use(self._client, self._name)
        first = await self._entry_before(used)
        while first < used:
            end = min(first + BATCH, used)
            await self._take(self._entries(first, end, used), end == used)
            if end == used:
                break
            first = end
            used = await layouts.entries_in_use(self._client, self._name)
            if self._intake.matched:  # rows may have been captured, and the numbers have moved
                self._intake.expect()
                first = max(end - _OVERLAP, 0)

    async def _entry_before(self, used: int) -> int:
        """An entry that is not newer than what is to be read first."""
        period = self._known.layout.period
        since = max((self._meter.now or self._visit.read_at) - self._intake.floor, 0)
        back = since // period + 2 if period else _MOST_EVENTS
        while back < used:
            async for row in self._entries(used - back, used - back + 1, used):
                stamp, _ = Decoder(self._known.layout, self._meter.zone).decoded(row)
                if stamp.unix is not None and stamp.unix <= self._intake.floor:
                    return used - back
                break
            back *= 2
        return 0

    def _entries(self, first: int, end: int, used: int) -> Rows:
        """The entries from `first` up to and without `end`."""
        if self._known.layout.newest_first:
            return self._client.read_profile(self._name, first=used - end + 1, last=used - first)
        return self._client.read_profile(self._name, first=first + 1, last=end)

    # Rows.

    async def _take(self, rows: Rows, final: bool = True) -> None:
        """All of one answer; the `final` one, or not."""
        layout, intake = self._known.layout, self._intake
        decoder = Decoder(layout, self._meter.zone)
        most = min(layout.entries or MOST_ROWS, MOST_ROWS) + BATCH
        held: list[tuple[Stamp, list[Any]]] = []
        try:
            async for row in rows:
                if intake.answered >= most:
                    raise ProtocolError(
                        "%s: more than the %d rows it can have" % (obis.text(self._name), most)
                    )
                stamp, values = decoder.decoded(row)
                if not layout.newest_first:
                    intake.take(stamp, values, decoder)
                elif len(held) == MOST_HELD:
                    raise _TooMany()
                else:
                    held.append((stamp, values))
                if intake.recorded >= MOST_WAITING:
                    await self._visit.recorder.commit()
                    intake.recorded = 0
        except (Doubtful, _TooMany):
            raise
        except Exception:
            intake.keep(decoder)  # what came before is good
            raise
        while held:
            stamp, values = held.pop()
            intake.take(stamp, values, decoder)
        if final or intake.matched:
            intake.flush(decoder)
