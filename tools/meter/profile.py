"""Class 7, profile generic: a buffer that captures attributes at every whole capture period of
the meter's clock, at the end of each day, or of each month."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from gateway.dlms.data import axdr, obis
from tools.meter import kinds
from tools.meter.clock import Clock
from tools.meter.kinds import Typed
from tools.meter.model import Marked, Meter, Refused

CAPTURE_OBJECT = kinds.structure(
    kinds.LONG_UNSIGNED, kinds.NAME, kinds.INTEGER, kinds.LONG_UNSIGNED
)
RANGE, ENTRY = 1, 2  # access selectors
SORTED = (1, 2)  # sort_method: fifo, lifo
_QUARTER = 900
_MOMENT = struct.Struct(">q")  # before the octets of a row that is kept
RANGE_DESCRIPTOR = kinds.structure(
    CAPTURE_OBJECT, kinds.ANY, kinds.ANY, kinds.array(CAPTURE_OBJECT, 32)
)
ENTRY_DESCRIPTOR = kinds.structure(
    kinds.DOUBLE_LONG_UNSIGNED,
    kinds.DOUBLE_LONG_UNSIGNED,
    kinds.LONG_UNSIGNED,
    kinds.LONG_UNSIGNED,
)
PERIODS = (0, 60, 300, 600, 900, 1800, 3600, 86400)


def capture_object(class_id: int, name: str, attribute: int) -> Typed:
    return (
        axdr.STRUCTURE,
        [
            (axdr.LONG_UNSIGNED, class_id),
            (axdr.OCTET_STRING, obis.parse(name)),
            (axdr.INTEGER, attribute),
            (axdr.LONG_UNSIGNED, 0),
        ],
    )


class ProfileGeneric(Marked):
    """Sorted first in, first out, or, `newest_first`, the other way round. A change of what or how
    it captures empties the buffer (Blue Book 4.3.6). `compressed`: its answers leave out what is as
    in the row before (null-data; of the clock, what is one period later).

    A row is kept as its octets: a street of meters has millions."""

    class_id = 7

    def __init__(
        self,
        meter: Meter,
        name: str,
        capture_objects: list[Typed],
        capture_period: int,
        profile_entries: int = 960,
        newest_first: bool = False,
        compressed: bool = False,
    ) -> None:
        super().__init__(meter, name)
        self.compressed = compressed
        self.newest_first = newest_first
        self.pending = 0
        self._kept: deque[bytes] = deque(maxlen=profile_entries)
        self.attribute(2, kinds.array(kinds.ANY), get=lambda: self._answer(list(self._ordered())))
        self.attribute(
            3,
            kinds.array(CAPTURE_OBJECT, 32),
            (axdr.ARRAY, capture_objects),
            set=self._set_capture_objects,
        )
        self.attribute(
            4,
            kinds.DOUBLE_LONG_UNSIGNED,
            (axdr.DOUBLE_LONG_UNSIGNED, capture_period),
            set=self._set_capture_period,
        )
        self.attribute(5, kinds.enum(*SORTED), (axdr.ENUM, SORTED[newest_first]))
        self.attribute(6, CAPTURE_OBJECT, capture_object(0, "0.0.0.0.0.0", 0))  # sort_object: none
        self.attribute(
            7,
            kinds.DOUBLE_LONG_UNSIGNED,
            get=lambda: (axdr.DOUBLE_LONG_UNSIGNED, len(self._kept)),
        )
        self.attribute(8, kinds.DOUBLE_LONG_UNSIGNED, (axdr.DOUBLE_LONG_UNSIGNED, profile_entries))
        self.method(1, kinds.NOTHING, lambda _: self._reset())
        self.method(2, kinds.NOTHING, lambda _: self.capture(meter.now()))

    @property
    def rows(self) -> list[tuple[int, Typed]]:
        """The moment of each row, and the row, the oldest first."""
        return [
            (_MOMENT.unpack_from(kept)[0], axdr.decode(kept[_MOMENT.size :])) for kept in self._kept
        ]

    def capture(self, moment: int) -> None:
        """Add one row, stamped with `moment` (unix seconds)."""
        ago = max(self.meter.now() - moment, 0)
        row = []
        for entry in self.value(3)[1]:
            (_, class_id), (_, name), (_, attribute), _ = entry[1]
            if class_id == 8 and attribute == 2:
                row.append((axdr.OCTET_STRING, self._clock().stamp(moment)))
            else:
                found = self.meter.find(class_id, obis.text(name))
                row.append(found.captured(attribute, moment, ago, self.pending))
        self.pending = 0
        self.append(moment, (axdr.STRUCTURE, row))

    def append(self, moment: int, row: Typed) -> None:
        self._kept.append(_MOMENT.pack(moment) + axdr.encode(row))

    def tick(self, before: int, now: int) -> None:
        """Capture at each whole period passed; after a long gap only as many as the buffer
        holds."""
        period = self.value(4)[1]
        if period == 0 or now <= before:
            return
        passed = now // period - before // period
        for back in range(min(passed, self.value(8)[1]) - 1, -1, -1):
            self.capture((now // period - back) * period)

    def _reset(self) -> None:
        self._kept.clear()
        if self.meter.events is not None:
            self.meter.events.cleared(self.name)

    def _ordered(self) -> Iterator[tuple[int, Typed]]:
        """In the order in which they are given out."""
        rows = self.rows
        return reversed(rows) if self.newest_first else iter(rows)

    def _answer(self, rows: list[tuple[int, Typed]]) -> Typed:
        """These rows, as the meter gives them."""
        hostile = self.meter.faults.hostile_rows
        if hostile:
            return _HOSTILE[hostile](rows)
        if not self.compressed:
            return (axdr.ARRAY, [row for _, row in rows])
        return (axdr.ARRAY, list(self._shortened(rows)))

    def _shortened(self, rows: list[tuple[int, Typed]]) -> Iterator[Typed]:
        captured = self.value(3)[1]
        step = -self.value(4)[1] if self.newest_first else self.value(4)[1]
        before: list[Typed] = []
        expected = 0
        for moment, (_, row) in rows:
            cells = []
            for at, cell in enumerate(row):
                clock = captured[at][1][0][1] == Clock.class_id
                same = bool(before) and cell == before[at]
                if clock and before:  # daylight saving is told
                    same = moment == expected and cell[1][9:] == before[at][1][9:]
                cells.append((axdr.NULL, None) if same else cell)
            before, expected = row, moment + step
            yield (axdr.STRUCTURE, cells)

    def selected(self, selector: int, parameter: Typed) -> Typed:
        """The buffer by range of time (selector 1) or by entry (2); Refused where it makes no
        sense."""
        kind, select = {
            RANGE: (RANGE_DESCRIPTOR, self._by_range),
            ENTRY: (ENTRY_DESCRIPTOR, self._by_entry),
        }.get(selector, (kinds.ANY, None))
        refused = self.meter.faults.refuse_selectors
        if select is None or refused in ("both", {RANGE: "ranges", ENTRY: "entries"}[selector]):
            raise Refused("scope-of-access-violated")
        if not kind.accepts(parameter):
            raise Refused("type-unmatched")
        return select(parameter)

    def _by_range(self, parameter: Typed) -> Typed:
        """Rows whose restricting column lies in the range, and of them the chosen columns."""
        restricting, start, end, (_, chosen) = parameter[1]
        captured = self.value(3)[1]
        if restricting not in captured or any(column not in captured for column in chosen):
            raise Refused("other-reason")
        at = captured.index(restricting)
        by_clock = restricting[1][0][1] == Clock.class_id
        try:
            first, last = self._comparable(start, by_clock), self._comparable(end, by_clock)
            rows = [
                (moment, row)
                for moment, row in self._ordered()
                if first <= (moment if by_clock else row[1][at][1]) <= last
            ]
        except (ValueError, TypeError):  # a date with wildcards, or another type than the column's
            raise Refused("other-reason") from None
        if chosen:
            columns = [captured.index(column) for column in chosen]
            cut = [(axdr.STRUCTURE, [row[1][column] for column in columns]) for _, row in rows]
            return (axdr.ARRAY, cut)
        return self._answer(rows)

    def _comparable(self, typed: Typed, by_clock: bool) -> Any:
        """The moment of a date-time, the value itself of anything else."""
        if not by_clock:
            return typed[1]
        return self._clock().moment(typed[1])

    def _by_entry(self, parameter: Typed) -> Typed:
        start, end, first, last = (value for _, value in parameter[1])
        rows = list(self._ordered())[max(start, 1) - 1 : end or None]
        if max(first, 1) > 1 or last:
            cut = [(axdr.STRUCTURE, row[1][max(first, 1) - 1 : last or None]) for _, row in rows]
            return (axdr.ARRAY, cut)
        return self._answer(rows)

    def _clock(self) -> Clock:
        clock = self.meter.find(8, "0.0.1.0.0.255")
        assert isinstance(clock, Clock)
        return clock

    def _set_capture_objects(self, typed: Typed) -> None:
        for entry in typed[1]:
            (_, class_id), (_, name), (_, attribute), _ = entry[1]
            found = self.meter.find(class_id, obis.text(name))
            if found is self or attribute not in found.attributes:
                raise Refused("object-undefined")
        self.attributes[3].value = typed
        self._kept.clear()

    def _set_capture_period(self, typed: Typed) -> None:
        if typed[1] not in PERIODS:
            raise Refused("other-reason")
        self.attributes[4].value = typed
        self._kept.clear()


class Closure(ProfileGeneric):
    """What the registers are at each midnight, or at that of each first of a month, by the clock's
    local time."""

    def __init__(
        self,
        meter: Meter,
        name: str,
        capture_objects: list[Typed],
        monthly: bool = False,
        entries: int = 60,
        compressed: bool = False,
    ) -> None:
        period = 0 if monthly else 86400
        super().__init__(meter, name, capture_objects, period, entries, compressed=compressed)
        self._monthly = monthly

    def tick(self, before: int, now: int) -> None:
        if now <= before or now // _QUARTER == before // _QUARTER:
            return  # local midnights are at quarters of an hour
        clock = self._clock()
        day = clock.local(max(before, now - 86400 * self.value(8)[1] * 31)).replace(
            hour=0, minute=0, second=0
        )
        end = clock.local(now)
        while (day := day + timedelta(days=1)) <= end:
            if self._monthly and day.day != 1:
                continue
            moment = clock.unix(day)
            if before < moment <= now:
                self.capture(moment)


def _wrong_shape(rows: list[tuple[int, Typed]]) -> Typed:
    return (axdr.ARRAY, [(axdr.STRUCTURE, row[1] + row[1]) for _, row in rows])


def _no_times(rows: list[tuple[int, Typed]]) -> Typed:
    """The year 9999 where a date-time stands."""
    stamp = (axdr.OCTET_STRING, bytes.fromhex("270f 01 01 ff 00 00 00 00 8000 00"))
    return (
        axdr.ARRAY,
        [
            (axdr.STRUCTURE, [stamp if len(str(cell[1])) > 12 else cell for cell in row[1]])
            for _, row in rows
        ],
    )


def _many_columns(_: list[tuple[int, Typed]]) -> Typed:
    return (axdr.ARRAY, [(axdr.STRUCTURE, [(axdr.NULL, None)] * 65535)])


def _endless(rows: list[tuple[int, Typed]]) -> Typed:
    return (axdr.ARRAY, ([row for _, row in rows] or [(axdr.STRUCTURE, [])]) * 400)


_HOSTILE = {
    "shape": _wrong_shape,
    "times": _no_times,
    "columns": _many_columns,
    "endless": _endless,
}
