"""What a push says, name by name.

Meters push in two manners: a list of capture objects ahead of as many values (the push setup's own
list is the first of them), or logical names among the values, each ahead of its own, with scaler
and unit behind it where it has them.
"""

from __future__ import annotations

from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import ProtocolError
from tools.cosem import render
from tools.cosem.units import read_scaler_unit
from tools.cosem.values import Typed
from tools.dlms import shown

_NAME_SIZE = 6
_GROUP_F = 0xFF
_LISTS = (axdr.ARRAY, axdr.STRUCTURE)


def named(raw: bytes) -> list[tuple[str, str]]:
    """(name, value) of what has a name; [] where nothing has."""
    try:
        typed = axdr.decode_at(raw, 0)[0]
    except ProtocolError:
        return []
    return _listed(typed) or _named(typed)


def _listed(typed: Typed) -> list[tuple[str, str]]:
    tag, elements = typed
    if tag != axdr.STRUCTURE or not elements or elements[0][0] != axdr.ARRAY or not elements[0][1]:
        return []
    try:
        columns = shown.capture_objects(elements[0])
    except ProtocolError:
        return []
    if len(columns) == len(elements):  # the list itself is one of them
        columns, values = columns[1:], elements[1:]
    elif len(columns) == len(elements) - 1:
        values = elements[1:]
    else:
        return []
    return [
        (str(column), render.text(value)) for column, value in zip(columns, values, strict=True)
    ]


def _named(typed: Typed) -> list[tuple[str, str]]:
    tag, elements = typed
    if tag not in _LISTS:
        return []
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(elements):
        if not _is_name(elements[at]) or at + 1 == len(elements):
            found += _named(elements[at])
            at += 1
            continue
        unit = read_scaler_unit(elements[at + 2]) if at + 2 < len(elements) else None
        value = elements[at + 1]
        whole = unit is not None and isinstance(value[1], int)
        text = unit.quantity(value[1]) if unit is not None and whole else render.text(value)
        found.append((obis.text(elements[at][1]), text))
        at += 2 if unit is None else 3
    return found


def _is_name(typed: Typed) -> bool:
    tag, value = typed
    return tag == axdr.OCTET_STRING and len(value) == _NAME_SIZE and value[-1] == _GROUP_F
