"""Selective access to a profile's buffer (class 7, attribute 2; Blue Book 4.3.6): what to put as
`selection` into a GET.

A column is made by `column()`. Date-times are the 12 bytes of datetime.py.
"""

from __future__ import annotations

from gateway.dlms.data import axdr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.apdu.parts import Selection
    from gateway.dlms.data.axdr import Typed

BY_RANGE = 1
BY_ENTRY = 2

CLOCK = b"\x00\x00\x01\x00\x00\xff"


def column(class_id: int, obis: bytes, attribute: int, data_index: int = 0) -> Typed:
    """capture_object_definition; `data_index` 0 is the whole attribute, else an element of it."""
    return (
        axdr.STRUCTURE,
        [
            (axdr.LONG_UNSIGNED, class_id),
            (axdr.OCTET_STRING, obis),
            (axdr.INTEGER, attribute),
            (axdr.LONG_UNSIGNED, data_index),
        ],
    )


def by_range(
    start: bytes | Typed,
    end: bytes | Typed,
    columns: list[Typed] | None = None,
    restricting: Typed | None = None,
) -> Selection:
    """The rows whose `restricting` column (None: the clock's time) is from `start` to `end`, both
    included. These are date-times, or typed values of the column's own type. `columns`: only these
    of the rows; none: all."""
    limits = [
        limit if isinstance(limit, tuple) else (axdr.OCTET_STRING, limit) for limit in (start, end)
    ]
    fields: list[Typed] = [restricting or column(8, CLOCK, 2)]
    fields += limits
    fields.append((axdr.ARRAY, list(columns or [])))
    return BY_RANGE, axdr.encode((axdr.STRUCTURE, fields))


def by_entry(
    first: int = 1, last: int = 0, first_column: int = 1, last_column: int = 0
) -> Selection:
    """Rows `first` to `last` in the buffer's order, counted from 1, both included, and of them the
    columns `first_column` to `last_column`; 0 as the last stands for the highest there is."""
    fields: list[Typed] = [
        (axdr.DOUBLE_LONG_UNSIGNED, first),
        (axdr.DOUBLE_LONG_UNSIGNED, last),
        (axdr.LONG_UNSIGNED, first_column),
        (axdr.LONG_UNSIGNED, last_column),
    ]
    return BY_ENTRY, axdr.encode((axdr.STRUCTURE, fields))
