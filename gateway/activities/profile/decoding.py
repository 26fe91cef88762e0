"""Typed rows of a buffer as rows of values: [unix time or None, a value for each further column].

Null-data and delta types say how a value differs from the one in the row that came before (Blue
Book 4.1.5, 4.3.6): null-data the same, a time one period further.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_TIME
from gateway.dlms.data import axdr, moment
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.activities.profile.layout import Layout
    from gateway.activities.readings import Column
    from gateway.dlms.data.axdr import Typed


_FIRST_DELTA, _LAST_DELTA = axdr.DELTA_INTEGER, axdr.DELTA_DOUBLE_LONG_UNSIGNED
_NOTHING = (axdr.NULL, axdr.DONT_CARE)
_OF_PARTS = (axdr.ARRAY, axdr.STRUCTURE, axdr.COMPACT_ARRAY)
_NUMBERS = (
    axdr.DOUBLE_LONG,
    axdr.DOUBLE_LONG_UNSIGNED,
    axdr.INTEGER,
    axdr.LONG,
    axdr.UNSIGNED,
    axdr.LONG_UNSIGNED,
    axdr.LONG64,
    axdr.LONG64_UNSIGNED,
)
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


class WrongShape(ProtocolError):
    """A row has another number of columns than the profile."""


class Stamp:
    """When a row was captured. `unix`: None where nothing tells. `deviation` in minutes as it was
    then, None: not told. `repaired`: it follows from the row before. `unreadable`: what stands in
    the time's place is none."""

    __slots__ = ("deviation", "repaired", "unix", "unreadable")

    def __init__(self, unix: int | None, deviation: int | None, repaired: bool = False) -> None:
        self.unix = unix
        self.deviation = deviation
        self.repaired = repaired
        self.unreadable = False


class Zone:
    """What a meter's date-times mean that tell no deviation: `standard`, in minutes, and by how
    many `saving` the time is further in summer."""

    __slots__ = ("saving", "standard")

    def __init__(self, standard: int, saving: int) -> None:
        self.standard = standard
        self.saving = saving

    def deviation(self, raw: bytes) -> int:
        told = moment.deviation_of(raw)
        if told is not None:
            return told
        return self.standard - (self.saving if moment.in_summer(raw) else 0)


class Decoder:
    """Of one answer: rows in the order in which they come."""

    def __init__(self, layout: Layout, zone: Zone) -> None:
        self._layout = layout
        self._zone = zone
        self._before: list[Typed] = [(axdr.NULL, None)] * len(layout.columns)
        self._stamp = Stamp(None, None)
        self.tags = [axdr.NULL] * len(layout.columns)  # of the types seen

    def columns(self) -> list[Column]:
        """As the recorder has them: the time first."""
        found: list[Column] = []
        for place, (class_id, obis, attribute, index, scaler, unit) in enumerate(
            self._layout.columns
        ):
            column = (class_id, obis, attribute, index, self.tags[place], scaler, unit)
            if place == self._layout.time:
                found.insert(0, column)
            else:
                found.append(column)
        if self._layout.time < 0:
            found.insert(0, (8, b"\x00\x00\x01\x00\x00\xff", 2, 0, axdr.NULL, None, None))
        return found

    def decoded(self, row: list[Typed]) -> tuple[Stamp, list[Any]]:
        """When, and the values without the time. WrongShape."""
        if len(row) != len(self._layout.columns):
            raise WrongShape(
                "expected rows of %d columns, came one of %d"
                % (len(self._layout.columns), len(row))
            )
        values = []
        for place, typed in enumerate(row):
            if place == self._layout.time:
                self._stamp = self._stamped(place, typed)
                continue
            whole = self._whole(place, typed)
            values.append(axdr.encode(whole) if whole[0] in _OF_PARTS else whole[1])
        if self._layout.time < 0:
            self._stamp = Stamp(None, None)
        return self._stamp, values

    def _whole(self, place: int, typed: Typed) -> Typed:
        """What the value is, said in full."""
        before = self._before[place]
        if typed[0] in _NOTHING:
            typed = before
        elif _FIRST_DELTA <= typed[0] <= _LAST_DELTA:
            if before[0] not in _NUMBERS:
                raise ProtocolError("column %d: a difference to no number" % place)
            typed = (before[0], before[1] + typed[1])
            if not _LEAST <= typed[1] <= _MOST:
                raise ProtocolError("column %d: a sum of differences beyond 64 bits" % place)
        self._before[place] = typed
        if self.tags[place] == axdr.NULL:
            self.tags[place] = typed[0]
        return typed

    def _stamped(self, place: int, typed: Typed) -> Stamp:
        if typed[0] == axdr.NULL:
            return self._following()
        tag, value = self._whole(place, typed)
        unix: int | None = None
        deviation = None
        if tag in (axdr.OCTET_STRING, axdr.DATE_TIME):
            local = moment.local_of(value)
            if local is not None:
                deviation = self._zone.deviation(value)
                unix = local + deviation * 60
        elif tag in _NUMBERS:
            unix = value
        if unix is None or not 0 < unix <= MAX_TIME:
            found = self._following()
            found.unreadable = True
            return found
        return Stamp(unix, deviation)

    def _following(self) -> Stamp:
        before = self._stamp
        if before.unix is None:
            return Stamp(None, None, True)
        step = -self._layout.period if self._layout.newest_first else self._layout.period
        return Stamp(before.unix + step, before.deviation, True)
