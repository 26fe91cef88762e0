"""An activity calendar with its special days (classes 20 and 11), out of typed values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.dlms.data import axdr, obis
from tools.cosem import shapes
from tools.cosem.values import Typed

CALENDAR, SPECIAL_DAYS = 20, 11
NAME, SEASONS, WEEKS, DAYS = 2, 3, 4, 5  # attributes of the active half
PASSIVE = 4  # what those of the passive half are higher
ACTIVATION_TIME, ACTIVATE = 10, 1
ENTRIES = 2  # of special days
USUAL = obis.parse("0.0.13.0.0.255")
USUAL_SPECIAL_DAYS = obis.parse("0.0.11.0.0.255")

Key = tuple[int, bytes, int]


@dataclass
class Calendar:
    """seasons: (name, start, week); weeks: (name, day of Monday to Sunday); days: (id, [(time,
    script table, script)]); special: (number, date, day). None where it is not told. Octets are as
    in the meter: dates 5, times 4, date-times 12.
    """

    name: bytes | None = None
    seasons: list[tuple[bytes, bytes, bytes]] | None = None
    weeks: list[tuple[bytes, list[int]]] | None = None
    days: list[tuple[int, list[tuple[bytes, bytes, int]]]] | None = None
    special: list[tuple[int, bytes, int]] | None = None
    obis: bytes = field(default=USUAL)

    def tables(self) -> dict[int, Typed]:
        """By attribute of the active half; the ones that are told."""
        found: dict[int, Typed] = {}
        if self.name is not None:
            found[NAME] = (axdr.OCTET_STRING, self.name)
        if self.seasons is not None:
            rows = [_structure(*map(_octets, season)) for season in self.seasons]
            found[SEASONS] = (axdr.ARRAY, rows)
        if self.weeks is not None:
            found[WEEKS] = (
                axdr.ARRAY,
                [_structure(_octets(name), *map(_unsigned, days)) for name, days in self.weeks],
            )
        if self.days is not None:
            found[DAYS] = (axdr.ARRAY, [_day(*day) for day in self.days])
        return found

    def special_days(self) -> Typed:
        rows = [
            _structure(_selector(number), _octets(date), _unsigned(day))
            for number, date, day in self.special or []
        ]
        return axdr.ARRAY, rows


def calendars(values: Mapping[Key, Typed]) -> list[Calendar]:
    """What is in these values, by object; of both halves of one the passive one counts, which is
    what a package writes. The special days go with the first.
    """
    found: dict[bytes, Calendar] = {}
    for offset in (0, PASSIVE):
        for (class_id, name, index), typed in values.items():
            part = index - offset
            if class_id != CALENDAR or not NAME <= part <= DAYS or not _fits(class_id, part, typed):
                continue
            _take(found.setdefault(name, Calendar(obis=name)), part, typed)
    for (class_id, _, index), typed in values.items():
        if (class_id, index) == (SPECIAL_DAYS, ENTRIES) and _fits(class_id, index, typed):
            first = next(iter(found.values()), None)
            if first is None:
                first = found.setdefault(USUAL, Calendar())
            first.special = [(row[0], row[1], row[2]) for row in _rows(typed)]
    return list(found.values())


def _take(calendar: Calendar, part: int, typed: Typed) -> None:
    if part == NAME:
        calendar.name = typed[1]
    elif part == SEASONS:
        calendar.seasons = [(row[0], row[1], row[2]) for row in _rows(typed)]
    elif part == WEEKS:
        calendar.weeks = [(row[0], row[1:]) for row in _rows(typed)]
    else:
        calendar.days = [
            (number, [(start, table, script) for start, table, script in _rows((0, actions))])
            for number, actions in _rows(typed)
        ]


def _fits(class_id: int, index: int, typed: Typed) -> bool:
    return not any(shapes.faults(shapes.attribute(class_id, index), typed))


def _rows(typed: Typed) -> list[list[Any]]:
    return [[value for _, value in fields] for _, fields in typed[1]]


def _day(number: int, actions: list[tuple[bytes, bytes, int]]) -> Typed:
    rows = [
        _structure(_octets(start), _octets(table), _selector(script))
        for start, table, script in actions
    ]
    return _structure(_unsigned(number), (axdr.ARRAY, rows))


def _structure(*fields: Typed) -> Typed:
    return axdr.STRUCTURE, list(fields)


def _octets(value: bytes) -> Typed:
    return axdr.OCTET_STRING, value


def _unsigned(value: int) -> Typed:
    return axdr.UNSIGNED, value


def _selector(value: int) -> Typed:
    return axdr.LONG_UNSIGNED, value
