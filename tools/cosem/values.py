"""Typed values as people write and read them.

A value is a mapping of one type name to its content: `long-unsigned: 900`, `array: [...]`. The type
names are those of the Green Book (IEC 62056-5-3, Data). An octet-string is a text, octets in hex as
0x0a0b, or one of `date-time:`, `date:`, `time:`, `obis:` (a logical name), because COSEM carries
all of these in octet-strings.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from gateway.dlms.data import axdr, datetime, obis
from tools.cosem.source import Item, nearest

Typed = tuple[int, Any]

ELEMENTS = 4096  # of one value, all levels together

INTEGERS: dict[int, tuple[int, int]] = {
    axdr.DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    axdr.DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
    axdr.BCD: (-128, 127),
    axdr.INTEGER: (-128, 127),
    axdr.LONG: (-(1 << 15), (1 << 15) - 1),
    axdr.UNSIGNED: (0, 255),
    axdr.LONG_UNSIGNED: (0, (1 << 16) - 1),
    axdr.LONG64: (-(1 << 63), (1 << 63) - 1),
    axdr.LONG64_UNSIGNED: (0, (1 << 64) - 1),
    axdr.ENUM: (0, 255),
}
WRITABLE = [
    name
    for tag, name in sorted(axdr.TAGS.items())
    if tag <= axdr.TIME and tag != axdr.COMPACT_ARRAY
]
SPELLINGS = ["date-time", "date", "time", "obis"]  # inside octet-string


def typed(item: Item) -> Typed:
    """The value an author wrote. Raises Problem saying what was expected and what stands there."""
    return _typed(item, [0])


def located(item: Item, path: Sequence[int]) -> Item:
    """Where the element of a typed value was written; `path`: its indices from the outside."""
    for at in path:
        item = item.pairs("a typed value")[0][1].items("elements")[at]
    return item


def _typed(item: Item, count: list[int]) -> Typed:
    count[0] += 1
    if count[0] > ELEMENTS:
        raise item.problem("expected at most %d elements in one value, got more" % ELEMENTS)
    what = "a typed value such as `long-unsigned: 900`"
    pairs = item.pairs(what)
    if len(pairs) != 1:
        raise item.problem("expected %s, one type only, got %d keys" % (what, len(pairs)))
    key, content = pairs[0]
    name = key.raw
    if name not in WRITABLE:
        raise key.problem(
            "expected a type (%s), got '%s'%s"
            % (", ".join(WRITABLE), name, nearest(name, WRITABLE))
        )
    tag = axdr.TAG_OF[name]
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        elements = content.items("a list of typed values for %s" % name)
        return tag, [_typed(element, count) for element in elements]
    if tag in INTEGERS:
        return tag, integer(content, name, *INTEGERS[tag])
    return tag, _SCALARS[tag](content)


def integer(item: Item, name: str, least: int, most: int) -> int:
    """A whole number, decimal or 0x hex or 0b binary, that fits the type `name`."""
    what = "%s (a whole number %d..%d)" % (name, least, most)
    try:
        value = int(item.text(what), 0)
    except ValueError:
        raise item.expected(what)
    if not least <= value <= most:
        raise item.expected(what)
    return value


def _null(item: Item) -> None:
    if item.kind != "nothing":
        raise item.expected("nothing after null-data:")


def boolean(item: Item) -> bool:
    word = item.text("true or false")
    if word not in ("true", "false"):
        raise item.expected("true or false")
    return word == "true"


def _bit_string(item: Item) -> str:
    what = "bits such as '0101'"
    if item.kind != "a text" or item.raw.strip("01"):
        raise item.expected(what)
    return item.raw


def _float(item: Item) -> float:
    try:
        return float(item.text("a number"))
    except ValueError:
        raise item.expected("a number")


def _float32(item: Item) -> float:
    value = _float(item)
    try:
        struct.pack(">f", value)
    except OverflowError:
        raise item.expected("a number that fits float32")
    return value


def _text(item: Item) -> str:
    if item.kind != "a text":
        raise item.expected("a text")
    return item.raw


def _visible(item: Item) -> str:
    value = _text(item)
    if not all(" " <= c <= "~" for c in value):
        raise item.expected("printable ASCII for visible-string (utf8-string takes any text)")
    return value


def octet_string(item: Item) -> bytes:
    if item.kind == "a mapping":
        return _spelling(item)
    if item.kind != "a text":
        raise item.expected("a text, octets as 0x0a0b, or one of %s:" % ":, ".join(SPELLINGS))
    if item.raw.lower().startswith("0x"):
        try:
            return bytes.fromhex(item.raw[2:])
        except ValueError:
            raise item.expected("pairs of hexadecimal digits after 0x")
    return item.raw.encode()


def _spelling(item: Item) -> bytes:
    pairs = item.pairs("a spelling")
    if len(pairs) != 1 or pairs[0][0].raw not in SPELLINGS:
        word = pairs[0][0].raw if pairs else ""
        raise item.problem(
            "expected one of %s in octet-string, got '%s'%s"
            % (", ".join(s + ":" for s in SPELLINGS), word, nearest(word, SPELLINGS))
        )
    key, content = pairs[0]
    if key.raw == "obis":
        return logical_name(content)
    return _CALENDAR[key.raw](content)


def logical_name(item: Item) -> bytes:
    what = "an OBIS code such as 1.0.99.1.0.255"
    try:
        return obis.parse(item.text(what))
    except ValueError:
        raise item.expected(what)


def _parsed(parse: Callable[[str], bytes]) -> Callable[[Item], bytes]:
    def read(item: Item) -> bytes:
        word = item.text("a date or time")
        try:
            return parse(word)
        except ValueError as error:
            raise item.problem(str(error))

    return read


_CALENDAR: dict[str, Callable[[Item], bytes]] = {
    "date-time": _parsed(datetime.parse_date_time),
    "date": _parsed(datetime.parse_date),
    "time": _parsed(datetime.parse_time),
}
_SCALARS: dict[int, Callable[[Item], Any]] = {
    axdr.NULL: _null,
    axdr.BOOLEAN: boolean,
    axdr.BIT_STRING: _bit_string,
    axdr.OCTET_STRING: octet_string,
    axdr.VISIBLE_STRING: _visible,
    axdr.UTF8_STRING: _text,
    axdr.FLOAT32: _float32,
    axdr.FLOAT64: _float,
    axdr.DATE_TIME: _CALENDAR["date-time"],
    axdr.DATE: _CALENDAR["date"],
    axdr.TIME: _CALENDAR["time"],
}


def octets(text: str) -> bytes:
    """Text, or octets as 0x and hex digits. ValueError says what was expected."""
    if not text.lower().startswith("0x"):
        return text.encode()
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError("%r: expected pairs of hex digits after 0x" % text) from None
