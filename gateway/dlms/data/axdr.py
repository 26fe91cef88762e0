"""A-XDR (IEC 61334-6) as the DLMS type Data uses it (Green Book 9.5, Blue Book 4.1.5).

Typed data is a tuple `(tag, value)`:

    (NULL, None)  (BOOLEAN, True)  (LONG_UNSIGNED, 900)  (ENUM, 3)  (FLOAT32, 1.5)
    (OCTET_STRING, b"..")  (VISIBLE_STRING, "text")  (UTF8_STRING, "text")  (BIT_STRING, "0101")
    (DATE_TIME, 12 bytes)  (DATE, 5 bytes)  (TIME, 4 bytes)
    (ARRAY, [typed, ..])  (STRUCTURE, [typed, ..])
    (COMPACT_ARRAY, (description, [typed, ..]))   all elements are of the described type;
        a description is a tag, or (ARRAY, count, description), or (STRUCTURE, [description, ..])

`encode` raises ValueError for a value its type cannot hold; decoding raises ProtocolError and
nothing else, and builds no more than a small multiple of the input. Positions are bytes from the
start of `data`.

`values` decodes to natives (what `to_values` makes of typed data) without building the tuples.
"""

from __future__ import annotations

import struct

from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Typed = tuple[int, Any]
    Bytes = bytes | bytearray | memoryview

NULL = 0
ARRAY = 1
STRUCTURE = 2
BOOLEAN = 3
BIT_STRING = 4
DOUBLE_LONG = 5
DOUBLE_LONG_UNSIGNED = 6
OCTET_STRING = 9
VISIBLE_STRING = 10
UTF8_STRING = 12
BCD = 13
INTEGER = 15
LONG = 16
UNSIGNED = 17
LONG_UNSIGNED = 18
COMPACT_ARRAY = 19
LONG64 = 20
LONG64_UNSIGNED = 21
ENUM = 22
FLOAT32 = 23
FLOAT64 = 24
DATE_TIME = 25
DATE = 26
TIME = 27
DELTA_INTEGER = 28
DELTA_LONG = 29
DELTA_DOUBLE_LONG = 30
DELTA_UNSIGNED = 31
DELTA_LONG_UNSIGNED = 32
DELTA_DOUBLE_LONG_UNSIGNED = 33
DONT_CARE = 255

TAGS = {
    NULL: "null-data",
    ARRAY: "array",
    STRUCTURE: "structure",
    BOOLEAN: "boolean",
    BIT_STRING: "bit-string",
    DOUBLE_LONG: "double-long",
    DOUBLE_LONG_UNSIGNED: "double-long-unsigned",
    OCTET_STRING: "octet-string",
    VISIBLE_STRING: "visible-string",
    UTF8_STRING: "utf8-string",
    BCD: "bcd",
    INTEGER: "integer",
    LONG: "long",
    UNSIGNED: "unsigned",
    LONG_UNSIGNED: "long-unsigned",
    COMPACT_ARRAY: "compact-array",
    LONG64: "long64",
    LONG64_UNSIGNED: "long64-unsigned",
    ENUM: "enum",
    FLOAT32: "float32",
    FLOAT64: "float64",
    DATE_TIME: "date-time",
    DATE: "date",
    TIME: "time",
    DELTA_INTEGER: "delta-integer",
    DELTA_LONG: "delta-long",
    DELTA_DOUBLE_LONG: "delta-double-long",
    DELTA_UNSIGNED: "delta-unsigned",
    DELTA_LONG_UNSIGNED: "delta-long-unsigned",
    DELTA_DOUBLE_LONG_UNSIGNED: "delta-double-long-unsigned",
    DONT_CARE: "dont-care",
}
TAG_OF = {name: tag for tag, name in TAGS.items()}

# tag: (struct format, size, lowest, highest)
_INTEGERS = {
    DOUBLE_LONG: (">i", 4, -(1 << 31), (1 << 31) - 1),
    DOUBLE_LONG_UNSIGNED: (">I", 4, 0, (1 << 32) - 1),
    BCD: (">b", 1, -128, 127),
    INTEGER: (">b", 1, -128, 127),
    LONG: (">h", 2, -(1 << 15), (1 << 15) - 1),
    UNSIGNED: (">B", 1, 0, 255),
    LONG_UNSIGNED: (">H", 2, 0, 65535),
    LONG64: (">q", 8, -(1 << 63), (1 << 63) - 1),
    LONG64_UNSIGNED: (">Q", 8, 0, (1 << 64) - 1),
    ENUM: (">B", 1, 0, 255),
    DELTA_INTEGER: (">b", 1, -128, 127),
    DELTA_LONG: (">h", 2, -(1 << 15), (1 << 15) - 1),
    DELTA_DOUBLE_LONG: (">i", 4, -(1 << 31), (1 << 31) - 1),
    DELTA_UNSIGNED: (">B", 1, 0, 255),
    DELTA_LONG_UNSIGNED: (">H", 2, 0, 65535),
    DELTA_DOUBLE_LONG_UNSIGNED: (">I", 4, 0, (1 << 32) - 1),
}
_FLOATS = {FLOAT32: (">f", 4), FLOAT64: (">d", 8)}
PARTED = (ARRAY, STRUCTURE)
_TEXTS = (VISIBLE_STRING, UTF8_STRING)
_EMPTY = (NULL, DONT_CARE)
_CALENDAR = {DATE_TIME: 12, DATE: 5, TIME: 4}

# tag: (struct format, size) of what struct reads in one step, for the decoder
_NUMBERS = {tag: (row[0], row[1]) for tag, row in _INTEGERS.items()}
_NUMBERS.update(_FLOATS)

# tag: size of what has always the same
_SIZES = {tag: row[1] for tag, row in _NUMBERS.items()}
_SIZES.update(_CALENDAR)
_SIZES.update({NULL: 0, DONT_CARE: 0, BOOLEAN: 1})
_OCTETS = (OCTET_STRING, VISIBLE_STRING, UTF8_STRING)

_INFINITY = float("inf")
DEPTH = 16  # nesting; the deepest object of the Blue Book needs 5


# ---------------------------------------------------------------- encode


def encode(typed: Typed) -> bytes:
    """Typed data to bytes. ValueError when the value is not one of its type."""
    tag, value = typed
    out = bytearray()
    out.append(tag)
    put_value(out, tag, value, 0)
    return bytes(out)


def put_length(out: bytearray, length: int) -> None:
    """Append an A-XDR (and BER) length: one byte below 128, else 0x80 + count and the bytes."""
    if length < 0x80:
        out.append(length)
    elif length < 0x100:
        out.append(0x81)
        out.append(length)
    elif length < 0x10000:
        out.append(0x82)
        out.extend(struct.pack(">H", length))
    elif length < 0x100000000:
        out.append(0x84)
        out.extend(struct.pack(">I", length))
    else:
        raise ValueError("a length of %d does not fit" % length)


def length_size(length: int) -> int:
    """How many bytes put_length() takes for it."""
    if length < 0x80:
        return 1
    return 2 if length < 0x100 else 3 if length < 0x10000 else 5


def put_octets(out: bytearray, octets: bytes) -> None:
    """Append an octet string without its tag: length, bytes."""
    put_length(out, len(octets))
    out.extend(octets)


def put_value(out: bytearray, tag: int, value: Any, depth: int) -> None:
    """Append the value of a type, without its tag."""
    if tag in _INTEGERS:  # these two first, for they are most of what is sent
        form, _, low, high = _INTEGERS[tag]
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError("%s holds %d..%d, not %r" % (TAGS[tag], low, high, value))
        out += struct.pack(form, value)
    elif tag == OCTET_STRING:
        put_length(out, len(value))
        out += value
    elif tag in PARTED:
        if depth >= DEPTH:
            raise ValueError("data is nested deeper than %d" % DEPTH)
        put_length(out, len(value))
        for item_tag, item in value:
            out.append(item_tag)
            put_value(out, item_tag, item, depth + 1)
    elif tag == COMPACT_ARRAY:
        from gateway.dlms.data import compact

        compact.put(out, value, depth)
    elif tag in _TEXTS:
        raw = value.encode()
        if tag == VISIBLE_STRING and len(raw) != len(value):
            raise ValueError("visible-string holds ASCII only; use utf8-string")
        put_length(out, len(raw))
        out += raw
    elif tag == BOOLEAN:
        out.append(1 if value else 0)
    elif tag == BIT_STRING:
        _put_bits(out, value)
    elif tag in _FLOATS:
        out += _float(tag, value)
    elif tag in _CALENDAR:
        if len(value) != _CALENDAR[tag]:
            raise ValueError("%s is %d bytes, not %d" % (TAGS[tag], _CALENDAR[tag], len(value)))
        out += value
    elif tag not in _EMPTY:
        raise ValueError(f"no data type has the tag {tag!r}")


def _float(tag: int, value: float) -> bytes:
    form = _FLOATS[tag][0]
    try:
        raw = struct.pack(form, value)
    except OverflowError:
        raise ValueError("%s cannot hold %r" % (TAGS[tag], value))
    # MicroPython packs what is too large as infinity
    if abs(struct.unpack(form, raw)[0]) == _INFINITY != abs(value):
        raise ValueError("%s cannot hold %r" % (TAGS[tag], value))
    return raw


def _put_bits(out: bytearray, bits: str) -> None:
    put_length(out, len(bits))
    octet = 0
    for index, bit in enumerate(bits):
        if bit != "0" and bit != "1":
            raise ValueError("a bit-string is text of 0 and 1")
        octet = octet << 1 | (bit == "1")
        if index & 7 == 7:
            out.append(octet)
            octet = 0
    if len(bits) & 7:
        out.append(octet << 8 - (len(bits) & 7))


# ---------------------------------------------------------------- decode


def decode(data: Bytes) -> Typed:
    """The one Data that fills `data` from its first byte to its last."""
    typed: Typed = _whole(data, True)
    return typed


def values(data: Bytes) -> Any:
    """As to_values(decode(data)): natives only, at about half the cost."""
    return _whole(data, False)


def decode_at(data: Bytes, pos: int) -> tuple[Typed, int]:
    """The Data that starts at `pos`, and the position after it."""
    return _get(data, pos, len(data), 0, True)


def length_at(data: Bytes, pos: int) -> tuple[int, int]:
    """A length and the position after it. Nothing says yet that so many bytes follow."""
    if pos >= len(data):
        raise ends_early(1, 0)
    length = data[pos]
    pos += 1
    if length < 0x80:
        return length, pos
    count = length & 0x7F
    if not 1 <= count <= 4:
        raise ProtocolError("a length of %d bytes where 1..4 are sensible" % count)
    if pos + count > len(data):
        raise ends_early(count, len(data) - pos)
    return int.from_bytes(data[pos : pos + count], "big"), pos + count


def bytes_at(data: Bytes, pos: int) -> tuple[bytes, int]:
    """An octet string without its tag (length, bytes), and the position after it."""
    return _octets(data, pos, len(data))


def skip_at(data: Bytes, pos: int) -> int:
    """The position after the Data that starts at `pos`; its values are not looked at."""
    end = len(data)
    left = 1  # Data to be passed over, those inside others too; a lie about their count ends early
    while left:
        left -= 1
        if pos >= end:
            raise ends_early(1, 0)
        tag = data[pos]
        pos += 1
        if tag in _SIZES:
            pos += _SIZES[tag]
        elif tag in _OCTETS:
            size, pos = length_at(data, pos)
            pos += size
        elif tag in PARTED:
            count, pos = length_at(data, pos)
            left += count
        elif tag == BIT_STRING:
            count, pos = length_at(data, pos)
            pos += count + 7 >> 3
        elif tag == COMPACT_ARRAY:
            pos = _get(data, pos - 1, end, 0, False)[1]
        else:
            raise ProtocolError("no data type has the tag %d" % tag)
    if pos > end:
        raise ProtocolError("data ends early: %d bytes are not there" % (pos - end))
    return pos


def to_values(typed: Typed) -> Any:
    """Natives only: numbers, text, bytes, None, and lists for arrays and structures."""
    tag, value = typed
    if tag in PARTED:
        return [to_values(item) for item in value]
    if tag == COMPACT_ARRAY:
        return [to_values(item) for item in value[1]]
    return value


def ends_early(wanted: int, there: int) -> ProtocolError:
    """The error for data that ends too soon."""
    return ProtocolError("data ends early: %d bytes expected, %d there" % (wanted, there))


def _whole(data: Bytes, typed: bool) -> Any:
    found, pos = _get(data, 0, len(data), 0, typed)
    if pos != len(data):
        raise ProtocolError("%d bytes left over after the data" % (len(data) - pos))
    return found


def _get(data: Bytes, pos: int, end: int, depth: int, typed: bool) -> tuple[Any, int]:
    """One Data, as (tag, value) or, when not `typed`, as its value in natives."""
    if pos >= end:
        raise ends_early(1, 0)
    tag = data[pos]
    pos += 1
    if tag in _NUMBERS:  # first, for they are most of what meters send
        form, size = _NUMBERS[tag]
        stop = pos + size
        if stop > end:
            raise ends_early(size, end - pos)
        value = struct.unpack_from(form, data, pos)[0]
    elif tag == ARRAY:
        value, stop = _get_array(data, pos, end, depth, typed)
    elif tag == STRUCTURE:
        value, stop = _get_structure(data, pos, end, depth, typed)
    elif tag == COMPACT_ARRAY:
        from gateway.dlms.data import compact

        value, stop = compact.get(data, pos, end, depth, typed)
    else:
        value, stop = simple_at(data, pos, end, tag)
    return ((tag, value) if typed else value), stop


def _get_structure(
    data: Bytes, pos: int, end: int, depth: int, typed: bool
) -> tuple[list[Any], int]:
    if depth >= DEPTH:
        raise ProtocolError("data is nested deeper than %d" % DEPTH)
    count, pos = length_at(data, pos)
    items = []
    for _ in range(count):  # a lie about the count ends at the first element not there
        item, pos = _get(data, pos, end, depth + 1, typed)
        items.append(item)
    return items, pos


def _get_array(data: Bytes, pos: int, end: int, depth: int, typed: bool) -> tuple[list[Any], int]:
    if depth >= DEPTH:
        raise ProtocolError("data is nested deeper than %d" % DEPTH)
    count, pos = length_at(data, pos)
    items: list[Any] = []
    before = 0
    while len(items) < count:  # a lie about the count ends at the first element not there
        start = pos
        item, pos = _get(data, pos, end, depth + 1, typed)
        items.append(item)
        # The rows of a profile are mostly alike: after two of one size, try the rest at once.
        if pos - start == before and data[start] == STRUCTURE:
            pos = _get_rows(data, start, pos, end, count, items, typed)
        before = pos - start
    return items, pos


def _get_rows(
    data: Bytes, start: int, pos: int, end: int, count: int, items: list[Any], typed: bool
) -> int:
    """Append the structures from `pos` that are built as the one from `start` to `pos` is, until
    `items` holds `count`; the position after them.

    Built alike means: the bytes of a row that are not values (tags and lengths) are the same, which
    one masked comparison of the row, taken as a number, tells. Its values then stand where those of
    the first row did, so that one unpack_from reads them all.
    """
    layout = _layout(data, start, pos)
    if layout is None:
        return pos
    form, mask, tags, empty = layout
    size = pos - start
    number = int.from_bytes
    alike = number(data[start:pos], "big") & mask
    while (
        len(items) < count
        and pos + size <= end
        and number(data[pos : pos + size], "big") & mask == alike
    ):
        cells = list(struct.unpack_from(form, data, pos))
        for column in empty:
            cells.insert(column, None)
        items.append((STRUCTURE, list(zip(tags, cells))) if typed else cells)  # noqa: B905
        pos += size
    return pos


def _layout(data: Bytes, pos: int, stop: int) -> tuple[str, int, list[int], list[int]] | None:
    """How the structure that fills `pos` to `stop` is built: a struct format that gives its values
    and passes over the rest, a mask with ones where tags and lengths are, the tags, and the columns
    without bytes, hence not in the format. None when unpack_from cannot give all its values.
    """
    _, after = length_at(data, pos + 1)
    form = ">" + "x" * (after - pos)
    mask = b"\xff" * (after - pos)
    tags: list[int] = []
    empty: list[int] = []
    pos = after
    while pos < stop:
        tag = data[pos]
        head, size = 1, 0
        code = letter(tag)
        if code:
            size = struct.calcsize(">" + code)
        elif tag == OCTET_STRING:
            size, after = length_at(data, pos + 1)
            head = after - pos
            code = "%ds" % size
        elif tag in _EMPTY:
            empty.append(len(tags))
        else:
            return None
        form += "x" * head + code
        mask += b"\xff" * head + bytes(size)
        tags.append(tag)
        pos += head + size
    return form, int.from_bytes(mask, "big"), tags, empty


def letter(tag: int) -> str:
    """What struct calls a value of the type, "" where that differs from value to value."""
    if tag in _NUMBERS:
        return _NUMBERS[tag][0][1]
    return "%ds" % _CALENDAR[tag] if tag in _CALENDAR else ""


def simple_at(data: Bytes, pos: int, end: int, tag: int) -> tuple[Any, int]:
    """A value that is neither array, structure nor compact-array, without its tag, and the position
    after it."""
    if tag in _NUMBERS:
        form, size = _NUMBERS[tag]
        if pos + size > end:
            raise ends_early(size, end - pos)
        return struct.unpack_from(form, data, pos)[0], pos + size
    if tag == OCTET_STRING:
        return _octets(data, pos, end)
    if tag in _TEXTS:
        raw, pos = _octets(data, pos, end)
        return _text(tag, raw), pos
    if tag in _EMPTY:
        return None, pos
    if tag == BOOLEAN:
        if pos >= end:
            raise ends_early(1, 0)
        return data[pos] != 0, pos + 1
    if tag == BIT_STRING:
        count, pos = length_at(data, pos)
        size = count + 7 >> 3
        if pos + size > end:
            raise ends_early(size, end - pos)
        bits = "".join([f"{octet:08b}" for octet in data[pos : pos + size]])
        return bits[:count], pos + size
    if tag in _CALENDAR:
        stop = pos + _CALENDAR[tag]
        if stop > end:
            raise ends_early(_CALENDAR[tag], end - pos)
        return bytes(data[pos:stop]), stop
    raise ProtocolError("no data type has the tag %d" % tag)


def _octets(data: Bytes, pos: int, end: int) -> tuple[bytes, int]:
    if pos < end and data[pos] < 0x80:  # nearly all are that short: without a call
        length, pos = data[pos], pos + 1
    else:
        length, pos = length_at(data, pos)
    stop = pos + length
    if stop > end:
        raise ends_early(length, end - pos)
    return bytes(data[pos:stop]), stop


def _text(tag: int, raw: bytes) -> str:
    if tag == VISIBLE_STRING and raw and max(raw) > 127:
        raise ProtocolError("visible-string with bytes that are not ASCII")
    try:
        return raw.decode()
    except UnicodeError:
        raise ProtocolError("utf8-string that is not UTF-8")
