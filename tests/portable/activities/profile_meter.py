"""A DLMS client whose meter has one profile, and a recorder in RAM: what collecting needs of both,
on both runtimes."""

from __future__ import annotations

from hashlib import sha256

from gateway.activities.readings import Collector
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.task import PROFILE, Item
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr, moment
from gateway.dlms.data.selection import CLOCK
from gateway.dlms.errors import NoAnswer, NotSupported, ProtocolError
from hal.sim.clock import ManualClock

NAME = b"\x01\x00\x63\x01\x00\xff"
ENERGY = b"\x01\x00\x01\x08\x00\xff"
VOLTAGE = b"\x01\x00\x20\x07\x00\xff"
STATUS = b"\x00\x00\x60\x0a\x01\xff"
NOON = 1_800_014_400  # 2027-01-15 12:00:00 UTC
COLUMNS = [(8, CLOCK, 2, 0), (1, STATUS, 2, 0), (3, ENERGY, 2, 0), (3, VOLTAGE, 2, 0)]
ITEM = Item(PROFILE, objects=[(7, NAME, 2)])
OTHER_REASON, UNDEFINED = 250, 4


class Recorder:
    """`kept`: (time, values.., flags) of each row in order; `gaps`: (start, end, reason)."""

    def __init__(self):
        self.kept = []
        self.numbered = []  # (number of its layout, row)
        self.gaps = []
        self.layouts = []
        self.read = []
        self.commits = 0
        self._last = {}

    def layout(self, serial, class_id, obis, period, columns):
        found = (class_id, obis, period, list(columns))
        if found not in self.layouts:
            self.layouts.append(found)
        return self.layouts.index(found)

    def rows(self, layout, serial, task, read_at, rows):
        assert 0 < len(rows) <= 64
        obis = self.layouts[layout][1]
        for row in rows:
            assert len(row) == len(self.layouts[layout][3]) + 1
            time, before = self._last.get((serial, obis), (0, b""))
            chained = self.digest(before if time == row[0] else b"", row)
            self._last[serial, obis] = (row[0], chained)
            self.kept.append(row)
            self.numbered.append((layout, row))

    def values(self, serial, task, read_at, values):
        self.read.append((serial, task, read_at, values))

    def gap(self, serial, class_id, obis, start, end, reason):
        self.gaps.append((start, end, reason))

    async def commit(self):
        self.commits += 1

    def last(self, serial, obis):
        return self._last.get((serial, obis), (0, b""))

    def digest(self, before, row):
        return sha256(before + repr(row[:-1]).encode()).digest()[:8]

    def times(self):
        return [row[0] for row in self.kept]


class Meter:
    """`rows`: (unix time, typed values of the other columns), as captured; `deviation` in minutes.
    `asked`: what was asked for, in words. `wire(rows)` makes of the chosen rows, each a list of
    typed values, what the answer has."""

    def __init__(self, clock, period=900):
        self.clock = clock
        self.period = period
        self.columns = list(COLUMNS)
        self.sort = 1
        self.entries = 5000
        self.rows = []
        self.deviation = 0
        self.told = True
        self.off = 0
        self.methods = self.obeys = True
        self.read_only = False
        self.moved_at = 0
        self.ranges = self.selective = True
        self.no_entries = False
        self.wire = lambda rows: rows
        self.breaks_after = -1  # so many rows of an answer, and then silence
        self.asked = []
        self.associations = 0
        self.stamped = self.stamp

    def stamp(self, unix):
        raw = bytearray(moment.date_time(unix, self.deviation, self.told))
        raw[11] = 0
        return (axdr.OCTET_STRING, bytes(raw))

    def capture(self, unix, status=0):
        number = len(self.rows)
        self.rows.append(
            (
                self.stamped(unix),
                unix,
                [
                    (axdr.UNSIGNED, status),
                    (axdr.DOUBLE_LONG_UNSIGNED, 1000 + 7 * number),
                    (axdr.LONG_UNSIGNED, 2300 + number % 9),
                ],
            )
        )

    def capture_each(self, start, end):
        for unix in range(start, end + 1, self.period):
            self.capture(unix)

    async def action(self, class_id, name, method, parameter):
        assert (class_id, name, method) == (8, CLOCK, 6)
        self.asked.append("shift")
        if not self.methods:
            raise access_refused(UNDEFINED, "ACTION")
        self.off += axdr.decode(parameter)[1] if self.obeys else 0
        self.moved_at = self.clock.unix_time()

    async def set(self, class_id, name, attribute, value):
        assert (class_id, name, attribute) == (8, CLOCK, 2)
        self.asked.append("set")
        if self.read_only:
            raise access_refused(3, "SET")
        self.off = _unix(axdr.decode(value)) - self.clock.unix_time()

    async def associate(self):
        self.associations += 1

    async def get(self, class_id, name, attribute, selection=None):
        value = self._value(class_id, name, attribute)
        if value is None:
            raise access_refused(UNDEFINED, "GET")
        return axdr.encode(value)

    async def get_list(self, items):
        found = []
        self.asked.append("list of %d" % len(items))
        for class_id, name, attribute, _ in items:
            value = self._value(class_id, name, attribute)
            found.append((UNDEFINED, None) if value is None else (0, axdr.encode(value)))
        return found

    def _value(self, class_id, name, attribute):
        if (class_id, name, attribute) == (8, CLOCK, 2):
            return self.stamp(self.clock.unix_time() + self.off)
        if class_id == 8 and attribute == 3:
            return (axdr.LONG, self.deviation)
        if class_id == 3 and attribute == 3:
            return (axdr.STRUCTURE, [(axdr.INTEGER, -1), (axdr.ENUM, 35)])
        if class_id == 3 and attribute == 2:
            return (axdr.DOUBLE_LONG_UNSIGNED, 4711)
        if class_id == 7 and name == NAME:
            if attribute == 3:
                self.asked.append("columns")
                return (axdr.ARRAY, [_column(*each) for each in self.columns])
            number = {
                4: self.period,
                5: self.sort,
                7: min(len(self.rows), self.entries),
                8: self.entries,
            }
            return (axdr.DOUBLE_LONG_UNSIGNED, number[attribute])
        return None

    def read_profile(
        self, name, start=None, end=None, first=1, last=0, columns=None, restricting=None
    ):
        rows = self.rows[-self.entries :]
        newest_first = self.sort == 2
        refused = None
        if start is not None:
            self.asked.append("range")
            low, high = _unix(start), _unix(end)
            rows = [row for row in rows if low <= row[1] <= high]
            refused = None if self.ranges else OTHER_REASON
        if newest_first:
            rows = rows[::1]
            rows.reverse()
        if start is None and (first, last) != (1, 0):
            self.asked.append("entries %d..%d" % (first, last))
            rows = rows[first - 1 : last or None]
            refused = OTHER_REASON if self.no_entries else None
        elif start is None:
            self.asked.append("whole")
        answer = self.wire([[stamp] + values for stamp, _, values in rows])
        selected = start is not None or (first, last) != (1, 0)
        return _Answer(self, answer, refused, selected and not self.selective)


class _Answer:
    def __init__(self, meter, rows, refused, unsupported):
        self.meter = meter
        self.rows = iter(rows)
        self.refused = refused
        self.unsupported = unsupported
        self.given = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.unsupported:
            raise NotSupported("selective access")
        if self.refused is not None:
            raise access_refused(self.refused, "GET")
        if self.given == self.meter.breaks_after:
            raise NoAnswer("GET: no answer")
        self.given += 1
        for row in self.rows:
            if isinstance(row, ProtocolError):
                raise row
            return row
        raise StopAsyncIteration


def _column(class_id, name, attribute, index):
    return (
        axdr.STRUCTURE,
        [
            (axdr.LONG_UNSIGNED, class_id),
            (axdr.OCTET_STRING, name),
            (axdr.INTEGER, attribute),
            (axdr.LONG_UNSIGNED, index),
        ],
    )


def _unix(typed):
    raw = typed[1]
    deviation = moment.deviation_of(raw)
    return moment.local_of(raw) + (0 if deviation is None else deviation) * 60


class Scene:
    """A meter at noon whose profile has rows since midnight, and a collector for it."""

    def __init__(self, period=900):
        self.clock = ManualClock(NOON)
        self.meter = Meter(self.clock, period)
        self.recorder = Recorder()
        self.collector = Collector(self.clock)

    async def visit(self, items=None, between=None):
        return await self.collector.collect(
            self.meter, "M1", OWN_MODEL, items or [ITEM], self.recorder, "night", 1, between
        )

    def restart(self):
        self.collector = Collector(self.clock)

    def later(self, seconds):
        """So much time goes by, and the meter captures its rows."""
        now = self.clock.unix_time()
        self.clock.set_unix_time(now + seconds)
        for unix in range(now + 1, now + seconds + 1):
            if (unix + self.meter.off) % self.meter.period == 0:
                self.meter.capture(unix + self.meter.off)
