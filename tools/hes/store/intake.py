"""What a message of readings changes: each record of the stream once, in the order of its numbers,
in one transaction with the number up to which all is here.

Rows are judged as they come (tools/hes/validation), together with those of their day that are here
already, and kept by day (days.py). The same row read twice is one; of two with the same time and
other values both are kept. A concentrator writes series of its own only, so one that lies spoils
no other's. What cannot be read is kept as it came, up to MOST_UNREAD records of a concentrator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.contract import block
from gateway.contract.messages import Readings
from gateway.contract.reading_record import (
    Gap,
    Kept,
    Layout,
    Lost,
    Rows,
    Values,
    decode,
    layout_id,
)
from gateway.contract.refused import Refused
from gateway.contract.rules import UINT32
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.hes.store import claims, days, rows
from tools.hes.store.notes import note
from tools.hes.store.records import TakenReadings
from tools.hes.store.schema import (
    MAX_NUMBER,
    layouts,
    reading_days,
    reading_gaps,
    reading_values,
    series,
    unread,
)
from tools.hes.validation import rules
from tools.hes.validation.own_rules import OwnRules
from tools.hes.validation.row import DOUBTFUL, INVALID, Column, Row, Shape

MOST_SERIES = 50_000  # of one concentrator: 2,000 meters of 25 profiles and logs
MOST_UNREAD = 1_000  # records of one concentrator that are kept as they came

LOST_TEXT = "readings: records %d..%d of epoch %08x are lost at the concentrator: %s"


@dataclass
class Intake:
    """Of one concentrator within one transaction, at `now`. Which row was new, and how each was
    judged, is counted in `counts`.
    """

    connection: Connection
    now: int
    concentrator: str
    own_rules: OwnRules
    counts: dict[str, int]

    def take(self, message: Readings) -> TakenReadings:
        """All up to the first gap in the numbers."""
        where = (self.connection, self.concentrator, message.epoch)
        before = safe = claims.position(*where, claims.READINGS)
        gap, number = False, message.first
        for octets in message.records:
            if safe + 1 < number:
                gap = True
                break
            last = self._record(octets, number, message.epoch, number <= safe)
            if last is None:
                gap = True
                break
            safe, number = max(safe, last), last + 1
        if safe != before:
            at = (self.connection, self.now, self.concentrator, message.epoch)
            claims.move(*at, safe, claims.READINGS)
        return TakenReadings(safe, gap, self.counts)

    def _record(self, octets: bytes, number: int, epoch: int, here: bool) -> int | None:
        """The number up to which this record accounts for all; None where it claims too much.
        `here`: it was taken before.
        """
        try:
            reading = decode(octets)
        except Refused as refused:
            if not here:
                self._unread(octets, str(refused))
            return number
        if isinstance(reading, Lost | Kept):
            return self._skipped(reading, number, epoch, here)
        if here:
            return number
        self._count("records")
        if isinstance(reading, Layout):
            self._layout(octets)
        elif isinstance(reading, Rows):
            self._rows(reading, octets)
        elif isinstance(reading, Values):
            self._values(reading)
        else:
            self._gap(reading)
        return number

    def _skipped(self, reading: Lost | Kept, number: int, epoch: int, here: bool) -> int | None:
        """It stands for all up to its last; those are lost, or stay there."""
        last = reading.last
        if last < number or last - number >= claims.READINGS.most or last > MAX_NUMBER:
            text = "it claims that one record of readings stands for %d..%d; nothing was changed"
            self._note("claim-beyond-bounds", text % (number, last))
            return None
        if not here and isinstance(reading, Lost):
            self._count("lost", last - number + 1)
            self._note("readings-dropped", LOST_TEXT % (number, last, epoch, reading.reason))
        return last

    # ------------------------------------------------------------ layouts

    def _layout(self, octets: bytes) -> None:
        name = _name(layout_id(octets))
        rows.upsert(self.connection, layouts, [{"id": name, "content": octets}], keep=True)
        each = unread.c
        waiting = select(each.concentrator, each.record).where(each.layout == name)
        for row in self.connection.execute(waiting.order_by(each.id)).all():
            reading = decode(row.record)
            assert isinstance(reading, Rows)
            replace(self, concentrator=row.concentrator)._rows(reading, row.record)
        self.connection.execute(delete(unread).where(each.layout == name))

    def _shape(self, name: bytes) -> Shape | None:
        query = select(layouts.c.content).where(layouts.c.id == name)
        content = self.connection.execute(query).scalar()
        return None if content is None else days.shape_of(content)

    # ------------------------------------------------------------ rows

    def _rows(self, reading: Rows, octets: bytes) -> None:
        name = _name(reading.layout)
        shape = self._shape(name)
        if shape is None:
            self._unread(octets, "its layout has not come yet", name)
            return
        try:
            found = _rows_of(reading, shape)
        except Refused as refused:
            self._unread(octets, str(refused))
            return
        key = self._series(reading, shape, name, max(row.time for row in found))
        if key is None:
            self._unread(octets, "it has more than %d profiles" % MOST_SERIES)
            return
        found.sort(key=lambda row: row.time)
        for day, some in groupby(found, lambda row: row.time // days.DAY):
            if not self._merge(key, name, shape, reading.serial, day, list(some)):
                self._unread(octets, "more than %d rows in a day" % days.MOST_ROWS)
                return

    def _series(self, reading: Rows, shape: Shape, name: bytes, last: int) -> int | None:
        each = series.c
        found = self.connection.execute(
            select(each.id, each.last).where(
                each.concentrator == self.concentrator,
                each.serial == reading.serial,
                each.class_id == shape.class_id,
                each.obis == shape.obis,
            )
        ).first()
        if found is not None:
            values: dict[str, Any] = {"read": reading.read_at}
            if last >= found.last:
                values.update(last=last, layout=name)
            self.connection.execute(update(series).where(each.id == found.id).values(values))
            return int(found.id)
        own = select(func.count()).where(each.concentrator == self.concentrator)
        if self.connection.execute(own).scalar_one() >= MOST_SERIES:
            return None
        new = {
            "concentrator": self.concentrator,
            "serial": reading.serial,
            "class_id": shape.class_id,
            "obis": shape.obis,
            "layout": name,
            "last": last,
            "read": reading.read_at,
        }
        key = self.connection.execute(insert(series), new).inserted_primary_key
        assert key is not None
        return int(key[0])

    def _merge(
        self, key: int, name: bytes, shape: Shape, serial: str, day: int, new: list[Row]
    ) -> bool:
        """Put rows of a day to those that are here, and judge the day anew. False: too many."""
        here = self._day(key, day, name)
        last = here[-1].time if here else None
        added = _added(new, here)
        if not added:
            return True
        if len(here) > days.MOST_ROWS:
            return False
        here.sort(key=lambda row: row.time)
        self._judge(key, name, shape, serial, day, here)
        self._count("rows", len(added))
        for row in added:
            if row.reasons:
                self._count(row.validity)
        if here[-1].time != last:
            self._judge_next(key, serial, day)
        return True

    def _day(self, key: int, day: int, name: bytes) -> list[Row]:
        each = reading_days.c
        which = (each.series == key, each.day == day, each.layout == name)
        content = self.connection.execute(select(each.content).where(*which)).scalar()
        return [] if content is None else days.unpacked(content)

    def _judge(
        self, key: int, name: bytes, shape: Shape, serial: str, day: int, here: list[Row]
    ) -> None:
        """And keep the day."""
        rules.judge(shape, self._before(key, name, here[0].time, day), here)
        wrong = self.own_rules.judge(serial, shape, here)
        if wrong:
            self._note("rules-failed", "the utility's rules: %s" % wrong)
        row = {
            "series": key,
            "day": day,
            "layout": name,
            "rows": len(here),
            "times": len({row.time for row in here}),
            "doubtful": sum(row.validity == DOUBTFUL for row in here),
            "invalid": sum(row.validity == INVALID for row in here),
            "content": days.packed(here),
        }
        rows.upsert(self.connection, reading_days, [row])

    def _before(self, key: int, name: bytes, first: int, day: int) -> Row | None:
        """The last row before the time `first`; of another layout without its values."""
        each = reading_days.c
        query = select(each.layout, each.content).where(each.series == key, each.day <= day)
        query = query.where((each.day < day) | (each.layout != name))
        for found in self.connection.execute(query.order_by(each.day.desc()).limit(3)):
            earlier = [row for row in days.unpacked(found.content) if row.time < first]
            if earlier:
                last = earlier[-1]
                return last if found.layout == name else Row(last.time)
        return None

    def _judge_next(self, key: int, serial: str, day: int) -> None:
        """What came late may stand before a day that was judged without it."""
        each = reading_days.c
        query = select(each.day, each.layout, each.content).where(each.series == key)
        query = query.where(each.day > day).order_by(each.day).limit(1)
        found = self.connection.execute(query).first()
        if found is not None:
            shape = self._shape(found.layout)
            assert shape is not None
            here = days.unpacked(found.content)
            self._judge(key, found.layout, shape, serial, found.day, here)

    # ------------------------------------------------------------ the rest

    def _values(self, reading: Values) -> None:
        found = []
        for class_id, obis, attribute, data, scaler, unit in reading.values:
            column = Column(class_id, obis, attribute, 0, 0, scaler, unit)
            before = self._value_before(reading, column)
            of = (column, before, _plain(data), reading.read_at, self.now)
            found.append(
                {
                    "concentrator": self.concentrator,
                    "serial": reading.serial,
                    "task": reading.task,
                    "time": reading.read_at,
                    "class_id": class_id,
                    "obis": obis,
                    "attribute": attribute,
                    "data": data,
                    "scaler": scaler,
                    "unit": unit,
                    "reasons": rules.judge_value(*of),
                }
            )
        if found:
            self.connection.execute(insert(reading_values), found)
            self._count("values", len(found))

    def _value_before(self, reading: Values, column: Column) -> object:
        """What the same attribute was when it was read last; None: nothing to compare with."""
        if not rules.is_counter(column):
            return None
        each = reading_values.c
        query = select(each.data).where(
            each.concentrator == self.concentrator,
            each.serial == reading.serial,
            each.time < reading.read_at,
            each.obis == column.obis,
            each.class_id == column.class_id,
            each.attribute == column.attribute,
            each.scaler == column.scaler,
        )
        found = self.connection.execute(query.order_by(each.time.desc()).limit(1)).scalar()
        return None if found is None else _plain(found)

    def _gap(self, reading: Gap) -> None:
        row = {
            "concentrator": self.concentrator,
            "serial": reading.serial,
            "class_id": reading.class_id,
            "obis": reading.obis,
            "start": reading.start,
            "end": reading.end,
            "reason": reading.reason,
            "told": self.now,
        }
        rows.upsert(self.connection, reading_gaps, [row])
        self._count("gaps")

    def _unread(self, octets: bytes, why: str, layout: bytes | None = None) -> None:
        each = unread.c
        row = {
            "concentrator": self.concentrator,
            "layout": layout,
            "why": why,
            "record": octets,
            "told": self.now,
        }
        self.connection.execute(insert(unread), row)
        own = select(each.id).where(each.concentrator == self.concentrator)
        oldest = own.order_by(each.id.desc()).offset(MOST_UNREAD).limit(1)
        last = self.connection.execute(oldest).scalar()
        if last is not None:
            old = (each.concentrator == self.concentrator, each.id <= last)
            self.connection.execute(delete(unread).where(*old))
        self._count("unread")
        if layout is None:
            self._note("reading-unread", "a record of readings could not be taken: %s" % why)

    def _note(self, name: str, text: str) -> None:
        note(self.connection, self.now, self.concentrator, name, text)

    def _count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number


def _name(layout: int) -> bytes:
    return layout.to_bytes(8, "big")


def _plain(data: bytes) -> object:
    """A value without its type; b"" for what is no A-XDR."""
    try:
        return axdr.decode(data)[1]
    except ProtocolError:
        return b""


def _added(new: list[Row], here: list[Row]) -> list[Row]:
    """Those of the new rows that nobody has yet; now they are here too."""
    times = {row.time for row in new}
    known = {row.key() for row in here if row.time in times}
    added = []
    for row in new:
        key = row.key()
        if key not in known:
            known.add(key)
            added.append(row)
    here += added
    return added


def _rows_of(reading: Rows, shape: Shape) -> list[Row]:
    """Refused where they are none of this shape."""
    found = []
    for cells in block.decode(reading.block):
        if len(cells) != len(shape.columns) + 2:
            text = "rows of %d columns, and its layout has %d"
            raise Refused("malformed", text % (len(cells) - 1, len(shape.columns) + 1))
        time, *values, flags = cells
        if type(time) is not int or not 0 < time <= UINT32 or type(flags) is not int or flags < 0:
            raise Refused("malformed", "expected a time first and flags last in each row")
        found.append(Row(time, values, flags, reading.read_at))
    return found
