"""How a profile's rows are built: asked of each meter once, and again when its rows tell that it
has changed. A change of columns or period begins the buffer anew (Blue Book 4.3.6), so while the
last row that is here is still there, nothing has changed.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.client.reading import step_of
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.apdu.parts import DataResult, Target
    from gateway.dlms.client.client import Client
    from gateway.dlms.data.axdr import Typed

CLASS = 7
OBJECTS, PERIOD, SORT, ENTRIES_IN_USE, ENTRIES = 3, 4, 5, 7, 8  # attributes
_LIFO = (2, 4, 5)  # sort methods whose first row is the newest: lifo, largest, nearest to zero
MAX_COLUMNS = 128
_MOST_LAYOUTS = 64
UNIX_CLOCK = (1, b"\x00\x00\x01\x01\x00\xff", 2)
_BILLING_DATE = b"\x00\x00\x00\x01\x02\xff"
# class id: (attributes that are measured, the attribute that tells scaler and unit)
_SCALED = {3: ((2,), 3), 4: ((2,), 3), 5: ((2, 3), 4)}

RANGE, ENTRY, WHOLE = 0, 1, 2  # how its buffer is asked for


class Layout:
    """`columns`: (class id, OBIS, attribute, data index, scaler, unit) as they stand in the rows,
    `time` the place of the time among them, -1: there is none. `newest_first`: the order of the
    rows. `period` in seconds, 0: none. `entries`: the most rows there can be."""

    __slots__ = ("columns", "entries", "newest_first", "period", "time")

    def __init__(
        self,
        columns: list[tuple[int, bytes, int, int, int | None, int | None]],
        period: int,
        newest_first: bool,
        entries: int,
    ) -> None:
        self.columns = columns
        self.period = period
        self.newest_first = newest_first
        self.entries = entries
        self.time = _time_column(columns)

    def same(self, other: Layout) -> bool:
        """Whether rows mean the same in both."""
        return self.columns == other.columns and self.period == other.period


class Known:
    """What is known of one profile of one meter. `access`: how its buffer is asked for.
    `deviation`: by how many seconds the meter's clock may have been ahead when the last row that is
    here was captured; None: not known."""

    __slots__ = ("access", "deviation", "layout", "obis")

    def __init__(self, obis: bytes, layout: Layout) -> None:
        self.obis = obis
        self.layout = layout
        self.access = RANGE if layout.time >= 0 else ENTRY
        self.deviation: int | None = None


class Layouts:
    """Of all meters, in RAM. Meters of a model share what is the same."""

    def __init__(self) -> None:
        self._of: dict[str, list[Known]] = {}
        self._shared: list[Layout] = []

    def find(self, serial: str, obis: bytes) -> Known | None:
        for known in self._of.get(serial, ()):
            if known.obis == obis:
                return known
        return None

    def keep(self, serial: str, obis: bytes, layout: Layout) -> Known:
        """In place of what was known before; how it was read stays."""
        layout = self._the_same(layout)
        known = self.find(serial, obis)
        if known is None:
            known = Known(obis, layout)
            self._of.setdefault(serial, []).append(known)
        known.layout = layout
        return known

    def forget(self, serial: str) -> None:
        """Its next visit asks anew, for instance after a job has changed it."""
        self._of.pop(serial, None)

    def _the_same(self, layout: Layout) -> Layout:
        for each in self._shared:
            if (
                each.same(layout)
                and each.newest_first == layout.newest_first
                and each.entries == layout.entries
            ):
                return each
        if len(self._shared) == _MOST_LAYOUTS:
            self._shared.pop(0)
        self._shared.append(layout)
        return layout


async def read(client: Client, obis: bytes) -> Layout:
    """AccessRefused where the meter does not tell the columns; ProtocolError where they are none.
    What else it does not tell is taken as usual: no period, the oldest row first."""
    asked: list[Target] = [(CLASS, obis, each, None) for each in (OBJECTS, PERIOD, SORT, ENTRIES)]
    objects, period, sort, entries = await client.get_list(asked)
    step = step_of(CLASS, obis, OBJECTS)
    if objects[1] is None:
        raise access_refused(objects[0], step)
    captured = _columns(objects[1], step)
    return Layout(
        await _scaled(client, captured),
        _number(period),
        _number(sort) in _LIFO,
        _number(entries),
    )


async def entries_in_use(client: Client, obis: bytes) -> int:
    return _number((0, await client.get(CLASS, obis, ENTRIES_IN_USE)))


def _columns(data: bytes, step: str) -> list[tuple[int, bytes, int, int]]:
    tag, rows = axdr.decode(data)
    if tag != axdr.ARRAY or not 1 <= len(rows) <= MAX_COLUMNS:
        raise ProtocolError("%s: expected an array of 1..%d columns" % (step, MAX_COLUMNS))
    found = []
    for row in rows:
        values = axdr.to_values(row)
        if row[0] != axdr.STRUCTURE or len(values) < 4 or not _fits(values):
            raise ProtocolError("%s: a column that is none" % step)
        found.append((values[0], bytes(values[1]), values[2], values[3]))
    return found


def _fits(values: list[Any]) -> bool:
    class_id, name, attribute, index = values[:4]
    return (
        isinstance(name, bytes)
        and len(name) == 6
        and type(class_id) is int
        and 1 <= class_id <= 0xFFFF
        and type(attribute) is int
        and -128 <= attribute <= 127
        and type(index) is int
        and 0 <= index <= 0xFFFF
    )


async def _scaled(
    client: Client, captured: list[tuple[int, bytes, int, int]]
) -> list[tuple[int, bytes, int, int, int | None, int | None]]:
    """The columns with scaler and unit, of those that have them and whose register tells."""
    asked: list[Any] = []
    for class_id, obis, attribute, _ in captured:
        place = scaler_place(class_id, obis, attribute)
        if place is not None and place not in asked:
            asked.append(place)
    answers = await client.get_list(asked) if asked else []
    units = [scaler_unit(data) for _, data in answers]
    columns = []
    for class_id, obis, attribute, index in captured:
        place = scaler_place(class_id, obis, attribute)
        scaler, unit = (None, None) if place is None else units[asked.index(place)]
        columns.append((class_id, obis, attribute, index, scaler, unit))
    return columns


def scaler_place(class_id: int, obis: bytes, attribute: int) -> tuple[int, bytes, int, None] | None:
    """Where scaler and unit of the attribute stand; None: it has none."""
    if class_id in _SCALED and attribute in _SCALED[class_id][0]:
        return (class_id, obis, _SCALED[class_id][1], None)
    return None


def scaler_unit(data: bytes | None) -> tuple[int | None, int | None]:
    """Of the A-XDR structure; (None, None) where it is none."""
    if data is None:
        return None, None
    try:
        typed: Typed = axdr.decode(data)
    except ProtocolError:
        return None, None
    if typed[0] == axdr.STRUCTURE and [each[0] for each in typed[1]] == [axdr.INTEGER, axdr.ENUM]:
        return typed[1][0][1], typed[1][1][1]
    return None, None


def _number(answer: DataResult) -> int:
    """0 for what is none, or is not told."""
    result, data = answer
    if result != apdu.SUCCESS or data is None:
        return 0
    try:
        value = axdr.decode(data)[1]
    except ProtocolError:
        return 0
    return value if type(value) is int and value >= 0 else 0


def _time_column(columns: list[tuple[int, bytes, int, int, int | None, int | None]]) -> int:
    for place, (class_id, obis, attribute, _, _, _) in enumerate(columns):
        if class_id == 8 and attribute == 2:
            return place
        if (class_id, obis, attribute) == UNIX_CLOCK or obis == _BILLING_DATE:
            return place
    return -1
