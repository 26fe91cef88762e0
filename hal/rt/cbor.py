"""CBOR (RFC 8949) as our messages use it: strict, bounded, the same on both runtimes.

Taken: integers of 64 bits, byte and text strings, arrays, maps with integer, byte or text keys,
false, true, null, floats, and around the whole a tag the caller asks for (`CBORTag`). Everything
else is refused: other tags, indefinite lengths, undefined and other simple values, duplicate keys,
text that is not UTF-8, trailing bytes.
"""

from __future__ import annotations

import sys

import cbor2
from cbor2 import CBORTag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = (
    "MAX_DEPTH",
    "CBORTag",
    "CborError",
    "decode",
    "decode_sequence",
    "encode",
    "head",
    "string",
)

MAX_DEPTH = 16
_STRICT = sys.implementation.name != "micropython"  # whether its UTF-8 is that of RFC 3629
_PIECE = 4096
UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG, OTHER = range(8)


class CborError(ValueError):
    """The input is not the CBOR we take, or an object has no place in it."""


def encode(obj: Any) -> bytes:
    """One data item, or one inside a tag, with shortest integers and 64-bit floats (RFC 8949 4.2.1
    save for map order and floats)."""
    # A tag is no level, as in decode().
    _check_object(obj.value if isinstance(obj, CBORTag) else obj, 0)
    return bytes(cbor2.dumps(obj))


def decode(
    data: bytes | memoryview,
    tags: tuple[int, ...] = (),
    items: int = 0,
    levels: int = MAX_DEPTH,
) -> Any:
    """The one data item that `data` is; if the whole is tagged with one of `tags` it comes out as
    a CBORTag. `items`: it has so many inside each other at most (0: as many as octets), in so many
    `levels` of arrays and maps.

    The input is checked to its end before any object is made, so nothing larger than the input is
    ever allocated, and what has more items than it may costs no more than that many. Raises
    CborError, and for the objects MemoryError, and nothing else.
    """
    raw = data if isinstance(data, bytes) else bytes(data)
    major, argument, start = head(raw, 0)
    if major != TAG or argument not in tags:
        start = 0
    end = _check_item(raw, start, levels, [items or len(raw)])
    if end != len(raw):
        raise CborError("CBOR: %d bytes follow the item that ends at %d" % (len(raw) - end, end))
    # cbor2 makes what is inside a tag immutable (tuples, not lists), so the tag is put around
    # afterwards.
    item = cbor2.loads(raw[start:] if start else raw)
    return CBORTag(argument, item) if start else item


def decode_sequence(data: bytes | memoryview, most: int) -> list[Any]:
    """The items that stand one after another in `data` (RFC 8742), `most` (below 24) of them; none
    is tagged. CborError as decode()."""
    raw = data if isinstance(data, bytes) else bytes(data)
    count = pos = 0
    left = [len(raw) + 1]
    while pos < len(raw):
        if count == most:
            raise CborError("CBOR: more than %d items in a sequence" % most)
        pos = _check_item(raw, pos, MAX_DEPTH, left)
        count += 1
    items: list[Any] = cbor2.loads(bytes([ARRAY << 5 | count]) + raw)
    return items


def _check_object(obj: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CborError("CBOR: nested deeper than %d" % MAX_DEPTH)
    if obj is None or isinstance(obj, (bool, float, bytes, bytearray, str)):
        return
    if isinstance(obj, int):
        if not -(1 << 64) <= obj < 1 << 64:
            raise CborError("CBOR: integer does not fit 64 bits")
    else:
        _check_inside(obj, depth + 1)


def _check_inside(obj: Any, depth: int) -> None:
    if isinstance(obj, (list, tuple)):
        for item in obj:
            kind = type(item)
            if kind is str or kind is bytes or (kind is int and 0 <= item <= 0xFFFFFFFF):
                continue  # most of what there is needs no call
            _check_object(item, depth)
    elif isinstance(obj, dict):
        for key, value in obj.items():
            if isinstance(key, bool) or not isinstance(key, (int, bytes, str)):
                raise CborError("CBOR: map key must be int, bytes or str, not %s" % type(key))
            _check_object(key, depth)
            _check_object(value, depth)
    else:
        raise CborError("CBOR: no encoding for %s" % type(obj))


def _check_item(raw: bytes, pos: int, levels: int, left: list[int]) -> int:
    """Check the item at `pos`; returns the position after it. `left`: how many more there may
    be."""
    if levels < 0:
        raise CborError("CBOR: nested deeper than it may be at byte %d" % pos)
    start = pos
    major, argument, pos = head(raw, pos)
    if major in (BYTES, TEXT):
        end = pos + argument
        if end > len(raw):
            raise CborError(
                "CBOR: string at byte %d wants %d bytes, %d are left"
                % (start, argument, len(raw) - pos)
            )
        if major == TEXT and not _is_utf8(raw, pos, end):
            raise CborError("CBOR: text at byte %d is not UTF-8" % start)
        return end
    if major == ARRAY:
        for _ in range(_count(raw, pos, argument, left)):
            pos = _check_item(raw, pos, levels - 1, left)
    elif major == MAP:
        keys = set()
        for _ in range(_count(raw, pos, argument * 2, left) // 2):
            key, value_pos = _key(raw, pos)
            if key in keys:
                raise CborError("CBOR: duplicate map key at byte %d" % pos)
            keys.add(key)
            _check_item(raw, pos, levels - 1, left)
            pos = _check_item(raw, value_pos, levels - 1, left)
    elif major == TAG:
        raise CborError("CBOR: tag %d at byte %d is not expected here" % (argument, start))
    return pos


def head(raw: bytes | memoryview, pos: int) -> tuple[int, int, int]:
    """(major type, argument, position after the head), RFC 8949 3. CborError."""
    if pos >= len(raw):
        raise CborError("CBOR: ends at byte %d where an item is expected" % pos)
    major = raw[pos] >> 5
    info = raw[pos] & 31
    size = 0 if info < 24 else 1 << (info - 24)
    if info > 27 or (major == OTHER and info not in (20, 21, 22, 25, 26, 27)):
        raise CborError("CBOR: initial byte 0x%02x at byte %d is not taken" % (raw[pos], pos))
    end = pos + 1 + size
    if end > len(raw):
        raise CborError("CBOR: ends inside the head at byte %d" % pos)
    return major, int.from_bytes(raw[pos + 1 : end], "big") if size else info, end


def string(raw: bytes | memoryview, pos: int) -> tuple[int, int]:
    """(begin, end) of the content of the byte string at `pos`. CborError when there is none, or
    not all of it."""
    major, size, start = head(raw, pos)
    if major != BYTES or size > len(raw) - start:
        raise CborError("CBOR: expected a byte string, and all of it, at byte %d" % pos)
    return start, start + size


def _count(raw: bytes, pos: int, items: int, left: list[int]) -> int:
    if items > len(raw) - pos:
        raise CborError(
            "CBOR: %d items announced before byte %d, only %d bytes follow"
            % (items, pos, len(raw) - pos)
        )
    left[0] -= items
    if left[0] < 0:
        raise CborError("CBOR: more items than there may be from byte %d on" % pos)
    return items


def _key(raw: bytes, pos: int) -> tuple[tuple[int, int | bytes], int]:
    """The identity of the map key at `pos` and the position after it."""
    major, argument, end = head(raw, pos)
    if major in (UINT, NINT):
        return (major, argument), end
    if major in (BYTES, TEXT):
        return (major, raw[end : end + argument]), end + argument
    raise CborError("CBOR: map key at byte %d is neither integer nor string" % pos)


def _is_utf8(raw: bytes, pos: int, end: int) -> bool:
    """RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF (MicroPython's own check
    is laxer)."""
    if _STRICT:
        return _decodes(raw, pos, end)
    while pos < end:
        first = raw[pos]
        pos += 1
        if first < 0x80:
            continue
        if 0xC2 <= first <= 0xDF:
            more, low = 1, 0x80
        elif 0xE0 <= first <= 0xEF:
            more, low = 2, 0x800
        elif 0xF0 <= first <= 0xF4:
            more, low = 3, 0x10000
        else:
            return False
        if pos + more > end:
            return False
        code = first & (0x3F >> more)
        for byte in raw[pos : pos + more]:
            if byte & 0xC0 != 0x80:
                return False
            code = code << 6 | byte & 0x3F
        if code < low or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            return False
        pos += more
    return True


def _decodes(raw: bytes, pos: int, end: int) -> bool:
    """The same by the runtime, in pieces."""
    while pos < end:
        cut = min(pos + _PIECE, end)
        while pos < cut < end and raw[cut] & 0xC0 == 0x80:
            cut -= 1
        try:
            if cut == pos or not str(raw[pos:cut], "utf-8"):
                return False
        except UnicodeDecodeError:
            return False
        pos = cut
    return True
