"""Class 7, profile generic: a buffer that captures attributes at every whole capture period of
the meter's clock."""

from __future__ import annotations

from collections import deque
from typing import Any

from gateway.dlms.data import axdr, obis
from tools.meter import kinds
from tools.meter.clock import Clock
from tools.meter.kinds import Typed
from tools.meter.model import CosemObject, Meter, Refused

CAPTURE_OBJECT = kinds.structure(
    kinds.LONG_UNSIGNED, kinds.NAME, kinds.INTEGER, kinds.LONG_UNSIGNED
)
RANGE, ENTRY = 1, 2  # access selectors
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


class ProfileGeneric(CosemObject):
    """Sorted first in, first out. A change of what or how it captures empties the buffer (Blue
    Book 4.3.6)."""

    class_id = 7

    def __init__(
        self,
        meter: Meter,
        name: str,
        capture_objects: list[Typed],
        capture_period: int,
        profile_entries: int = 960,
    ) -> None:
        super().__init__(meter, name)
        self.rows: deque[tuple[int, Typed]] = deque(maxlen=profile_entries)
        self.attribute(
            2, kinds.array(kinds.ANY), get=lambda: (axdr.ARRAY, [row for _, row in self.rows])
        )
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
        self.attribute(5, kinds.enum(1), (axdr.ENUM, 1))  # sort_method: fifo
        self.attribute(6, CAPTURE_OBJECT, capture_object(0, "0.0.0.0.0.0", 0))  # sort_object: none
        self.attribute(
            7,
            kinds.DOUBLE_LONG_UNSIGNED,
            get=lambda: (axdr.DOUBLE_LONG_UNSIGNED, len(self.rows)),
        )
        self.attribute(8, kinds.DOUBLE_LONG_UNSIGNED, (axdr.DOUBLE_LONG_UNSIGNED, profile_entries))
        self.method(1, kinds.NOTHING, lambda _: self.rows.clear())
        self.method(2, kinds.NOTHING, lambda _: self.capture(meter.now()))

    def capture(self, moment: int) -> None:
        """Add one row, stamped with `moment` (unix seconds)."""
        row = []
        for entry in self.value(3)[1]:
            (_, class_id), (_, name), (_, attribute), _ = entry[1]
            if class_id == 8 and attribute == 2:
                row.append((axdr.OCTET_STRING, self._clock().stamp(moment)))
            else:
                row.append(self.meter.find(class_id, obis.text(name)).value(attribute))
        self.rows.append((moment, (axdr.STRUCTURE, row)))

    def tick(self, before: int, now: int) -> None:
        """Capture at each whole period passed; after a long gap only as many as the buffer
        holds."""
        period = self.value(4)[1]
        if period == 0 or now <= before:
            return
        passed = now // period - before // period
        for back in range(min(passed, self.value(8)[1]) - 1, -1, -1):
            self.capture((now // period - back) * period)

    def selected(self, selector: int, parameter: Typed) -> Typed:
        """The buffer by range of time (selector 1) or by entry (2); Refused where it makes no
        sense."""
        kind, select = {
            RANGE: (RANGE_DESCRIPTOR, self._by_range),
            ENTRY: (ENTRY_DESCRIPTOR, self._by_entry),
        }.get(selector, (kinds.ANY, None))
        if select is None:
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
                row
                for _, row in self.rows
                if first <= self._comparable(row[1][at], by_clock) <= last
            ]
        except (ValueError, TypeError):  # a date with wildcards, or another type than the column's
            raise Refused("other-reason") from None
        if chosen:
            columns = [captured.index(column) for column in chosen]
            rows = [(axdr.STRUCTURE, [row[1][column] for column in columns]) for row in rows]
        return (axdr.ARRAY, rows)

    def _comparable(self, typed: Typed, by_clock: bool) -> Any:
        """The moment of a date-time, the value itself of anything else."""
        if not by_clock:
            return typed[1]
        return self._clock().moment(typed[1])

    def _by_entry(self, parameter: Typed) -> Typed:
        start, end, first, last = (value for _, value in parameter[1])
        rows = [row for _, row in self.rows][max(start, 1) - 1 : end or None]
        if max(first, 1) > 1 or last:
            rows = [(axdr.STRUCTURE, row[1][max(first, 1) - 1 : last or None]) for row in rows]
        return (axdr.ARRAY, rows)

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
        self.rows.clear()

    def _set_capture_period(self, typed: Typed) -> None:
        if typed[1] not in PERIODS:
            raise Refused("other-reason")
        self.attributes[4].value = typed
        self.rows.clear()
