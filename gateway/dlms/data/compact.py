"""Compact arrays (Blue Book 4.1.5): the type of the elements once, then their values without tags.

Imported on use: many meters have none.
"""

from __future__ import annotations

import struct

from gateway.dlms.data.axdr import (
    ARRAY,
    COMPACT_ARRAY,
    DEPTH,
    PARTED,
    STRUCTURE,
    TAGS,
    ends_early,
    length_at,
    letter,
    put_length,
    put_value,
    simple_at,
)
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.data.axdr import Bytes, Typed


def put(out: bytearray, value: Any, depth: int) -> None:
    """Append (description, elements), without the tag of the compact-array."""
    description, items = value
    _put_description(out, description, depth)
    content = bytearray()
    for typed in items:
        _put_described(content, typed, description)
    put_length(out, len(content))
    out += content


def _put_description(out: bytearray, description: Any, depth: int) -> None:
    if depth > DEPTH:
        raise ValueError("data is nested deeper than %d" % DEPTH)
    if isinstance(description, int):
        if description == COMPACT_ARRAY or description in PARTED:
            raise ValueError("a compact-array's element type must be described in full")
        out.append(description)
        return
    out.append(description[0])
    if description[0] == ARRAY:
        if not 0 <= description[1] <= 65535:
            raise ValueError("an array in a compact-array has 0..65535 elements")
        out.extend(struct.pack(">H", description[1]))
        _put_description(out, description[2], depth + 1)
    elif description[0] == STRUCTURE:
        put_length(out, len(description[1]))
        for part in description[1]:
            _put_description(out, part, depth + 1)
    else:
        raise ValueError("only array and structure have parts")


def _put_described(out: bytearray, typed: Typed, description: Any) -> None:
    tag = description if isinstance(description, int) else description[0]
    if typed[0] != tag:
        raise ValueError(f"{TAGS.get(typed[0])} in a compact-array of {TAGS.get(tag)}")
    if tag in PARTED:
        items = typed[1]
        parts = description[1] if tag == STRUCTURE else [description[2]] * description[1]
        if len(items) != len(parts):
            raise ValueError("%d parts where %d are described" % (len(items), len(parts)))
        for item, part in zip(items, parts):  # noqa: B905 (checked; MicroPython has no strict=)
            _put_described(out, item, part)
    else:
        put_value(out, tag, typed[1], 0)


def get(data: Bytes, pos: int, end: int, depth: int, typed: bool) -> tuple[Any, int]:
    """(description, elements), or the elements in natives, and the position after it."""
    description, pos, nodes = description_at(data, pos, end, depth)
    length, pos = length_at(data, pos)
    stop = pos + length
    if stop > end:
        raise ends_early(length, end - pos)
    # A few bytes can describe an array of arrays of nulls without end: each element built must be
    # paid for. Eight values a byte of content is more than any real profile needs.
    budget = 8 * length
    items: list[Any] = []
    form = _form(description)
    if form:  # rows of one size: their values are read at once, what is left over is refused below
        size = struct.calcsize(form)
        for at in range(pos, stop - size + 1, size):
            cells = list(struct.unpack_from(form, data, at))
            row = list(zip(description[1], cells)) if typed else cells  # noqa: B905
            items.append((STRUCTURE, row) if typed else row)
        pos += len(items) * size
    while pos < stop:
        budget -= nodes
        if budget < 0:
            raise ProtocolError("a compact-array describes far more values than it has bytes")
        start = pos
        item, pos = element_at(data, pos, stop, description, typed)
        if pos == start:
            raise ProtocolError("a compact-array of elements without size")
        items.append(item)
    return ((description, items) if typed else items), pos


def _form(description: Any) -> str:
    """The struct format of an element where all values have their size from their type, else ""."""
    if isinstance(description, int) or description[0] != STRUCTURE or not description[1]:
        return ""
    letters = [letter(part) if isinstance(part, int) else "" for part in description[1]]
    return "" if "" in letters else ">" + "".join(letters)


def description_at(data: Bytes, pos: int, end: int, depth: int) -> tuple[Any, int, int]:
    """A type description, the position after it, and how many values one element makes."""
    if pos >= end:
        raise ends_early(1, 0)
    if depth >= DEPTH:
        raise ProtocolError("data is nested deeper than %d" % DEPTH)
    tag = data[pos]
    pos += 1
    if tag == ARRAY:
        if pos + 2 > end:
            raise ends_early(2, end - pos)
        count = data[pos] << 8 | data[pos + 1]
        element, pos, nodes = description_at(data, pos + 2, end, depth + 1)
        return (ARRAY, count, element), pos, 1 + count * nodes
    if tag == STRUCTURE:
        count, pos = length_at(data, pos)
        parts = []
        total = 1
        for _ in range(count):
            part, pos, nodes = description_at(data, pos, end, depth + 1)
            parts.append(part)
            total += nodes
        return (STRUCTURE, parts), pos, total
    if tag == COMPACT_ARRAY or tag not in TAGS:
        raise ProtocolError("a compact-array cannot hold elements of tag %d" % tag)
    return tag, pos, 1


def element_at(data: Bytes, pos: int, end: int, description: Any, typed: bool) -> tuple[Any, int]:
    """One element of this description, without tags, and the position after it. ProtocolError
    where it does not end before `end`; how many values it makes nobody bounds here."""
    if isinstance(description, int):
        value, pos = simple_at(data, pos, end, description)
        return ((description, value) if typed else value), pos
    items = []
    if description[0] == ARRAY:
        for _ in range(description[1]):
            item, pos = element_at(data, pos, end, description[2], typed)
            items.append(item)
    else:
        for part in description[1]:
            item, pos = element_at(data, pos, end, part, typed)
            items.append(item)
    return ((description[0], items) if typed else items), pos
