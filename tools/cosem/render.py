"""Typed values as people read them, in the spelling that values.py reads."""

from __future__ import annotations

from collections.abc import Callable

from gateway.dlms.data import axdr, datetime, obis
from gateway.dlms.errors import ProtocolError
from hal.rt import log
from tools.cosem.values import Typed

_WIDTH = 56  # of a line, before an array or structure is spread over several
_DEFAULT_NAME = b"\xff"  # every OBIS code of an instance ends so


def text(typed: Typed) -> str:
    """One line: `double-long-unsigned 900`, `structure {octet-string "A", long 3}`."""
    tag, value = typed
    name = axdr.TAGS[tag]
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        inner = ", ".join(text(element) for element in value)
        return ("%s [%s]" if tag == axdr.ARRAY else "%s {%s}") % (name, inner)
    if tag == axdr.COMPACT_ARRAY:
        return "%s [%s]" % (name, ", ".join(text(element) for element in value[1]))
    if tag == axdr.NULL:
        return name
    if tag == axdr.BOOLEAN:
        return "%s %s" % (name, "true" if value else "false")
    if tag == axdr.OCTET_STRING:
        return "%s %s" % (name, octets(value))
    if tag in (axdr.VISIBLE_STRING, axdr.UTF8_STRING):
        return '%s "%s"' % (name, log.printable(value))
    if tag in (axdr.DATE_TIME, axdr.DATE, axdr.TIME):
        return "%s %s" % (name, moment(value))
    return "%s %s" % (name, value)


def data(raw: bytes) -> str:
    """The same for a raw A-XDR encoding; one that does not decode is shown as it is, and so is what
    is left over behind a value."""
    try:
        typed, end = axdr.decode_at(raw, 0)
    except ProtocolError as error:
        return "0x%s (not A-XDR: %s)" % (raw.hex(), error)
    return text(typed) + left_over(raw, end)


def lines(raw: bytes) -> str:
    """As data(), with each element of the outer arrays on a line of its own."""
    try:
        typed, end = axdr.decode_at(raw, 0)
    except ProtocolError:
        return data(raw)
    return "\n".join(_lines(typed, "")) + left_over(raw, end)


def left_over(raw: bytes, end: int) -> str:
    """What stands behind the value that ends there; "" where nothing does."""
    stray = raw[end:]
    return " (and %d left over: 0x%s)" % (len(stray), stray.hex()) if stray else ""


def _lines(typed: Typed, indent: str) -> list[str]:
    tag, value = typed
    line = indent + text(typed)
    if tag not in (axdr.ARRAY, axdr.STRUCTURE) or len(line) <= _WIDTH:
        return [line]
    opening, closing = "[]" if tag == axdr.ARRAY else "{}"
    inner = [each for element in value for each in _lines(element, indent + "  ")]
    return ["%s%s %s" % (indent, axdr.TAGS[tag], opening), *inner, indent + closing]


def octets(value: bytes) -> str:
    """Text where it reads as text; a date, a time or a logical name where it can only be one; else
    hex.
    """
    if value and all(0x20 <= octet < 0x7F for octet in value):
        return '"%s"' % value.decode()
    if len(value) == 6 and value.endswith(_DEFAULT_NAME):
        return obis.text(value)
    return moment(value)


def moment(value: bytes) -> str:
    """A date-time, date or time by its size, in hex what is none: meters send twelve zeros for
    "never". Day of week 0, which the standard does not know and meters send, is left out.
    """
    spelt = value
    if len(value) in (_DATE, _DATE_TIME) and value[_WEEKDAY] == 0:
        spelt = value[:_WEEKDAY] + bytes([datetime.ANY]) + value[_WEEKDAY + 1 :]
    try:
        return _BY_SIZE[len(value)](spelt)
    except (KeyError, ValueError):
        return "0x" + value.hex()


def stamp(value: bytes) -> str:
    """When something was sent: as moment(), without hundredths that are not told."""
    return moment(value).replace(".* ", " ").removesuffix(".*")


_DATE_TIME, _DATE, _TIME = 12, 5, 4  # octets
_WEEKDAY = 4  # its octet in a date
_BY_SIZE: dict[int, Callable[[bytes], str]] = {
    _DATE_TIME: datetime.text_date_time,
    _DATE: datetime.text_date,
    _TIME: datetime.text_time,
}
