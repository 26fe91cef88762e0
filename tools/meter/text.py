"""Typed data for a person to read."""

from __future__ import annotations

from gateway.dlms.data import axdr, obis
from tools.cosem import render
from tools.meter.kinds import Typed

MOST = 60  # characters


def shown(typed: Typed) -> str:
    """On one line, cut where it gets long."""
    text = _spelt(typed)
    return text if len(text) <= MOST else text[: MOST - 3] + "..."


def _spelt(typed: Typed) -> str:
    tag, value = typed
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        inside = ", ".join(_spelt(item) for item in value)
        return ("[%s]" if tag == axdr.ARRAY else "{%s}") % inside
    if tag == axdr.OCTET_STRING:
        return _octets(value)
    if tag == axdr.NULL:
        return "null"
    return str(value)


def _octets(value: bytes) -> str:
    """As text, logical name or date where it looks like one, else hex."""
    if value and all(0x20 <= byte < 0x7F for byte in value):
        return '"%s"' % value.decode()
    if len(value) == 6 and value[-1] == 0xFF:
        return obis.text(value)
    if len(value) == 12:
        return render.moment(value)
    return value.hex() or '""'
