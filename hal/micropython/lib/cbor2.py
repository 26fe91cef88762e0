"""The part of the CPython package cbor2 that this project uses, for MicroPython: dumps, loads,
CBORTag (RFC 8949).

Heads are written in their shortest form, floats as 64 bits. `hal.rt.cbor` is what the gateway
calls.
"""

import struct


class CBORDecodeError(ValueError):
    """The input is not one well-formed item of definite length."""


class CBORTag:
    """A tagged item; `tag` is the number, `value` the content."""

    __slots__ = ("tag", "value")

    def __init__(self, tag, value):
        self.tag = tag
        self.value = value

    def __eq__(self, other):
        return isinstance(other, CBORTag) and self.tag == other.tag and self.value == other.value

    def __repr__(self):
        return "CBORTag(%r, %r)" % (self.tag, self.value)


def dumps(obj) -> bytes:
    """The encoding of None, bool, int of 64 bits, float, bytes, str, list, tuple, dict, CBORTag."""
    out = bytearray()
    _put(out, obj)
    return bytes(out)


def loads(data):
    """The item that `data` is; CBORDecodeError for anything else."""
    if not isinstance(data, bytes):
        data = bytes(data)
    try:
        obj, pos = _get(data, 0)
    except IndexError:
        raise CBORDecodeError("CBOR: ends inside an item")
    except RuntimeError:
        raise CBORDecodeError("CBOR: nested too deep")
    if pos != len(data):
        raise CBORDecodeError("CBOR: %d trailing bytes" % (len(data) - pos))
    return obj


def _put(out: bytearray, obj) -> None:
    if obj is None:
        out.append(0xF6)
    elif obj is True or obj is False:
        out.append(0xF5 if obj else 0xF4)
    elif isinstance(obj, int):
        if obj < 0:
            _put_head(out, 1, -1 - obj)
        else:
            _put_head(out, 0, obj)
    elif isinstance(obj, (bytes, bytearray, memoryview)):
        _put_head(out, 2, len(obj))
        out.extend(obj)
    elif isinstance(obj, str):
        text = obj.encode()
        _put_head(out, 3, len(text))
        out.extend(text)
    elif isinstance(obj, (list, tuple)):
        _put_head(out, 4, len(obj))
        for item in obj:
            _put(out, item)
    elif isinstance(obj, dict):
        _put_head(out, 5, len(obj))
        for key, value in obj.items():
            _put(out, key)
            _put(out, value)
    elif isinstance(obj, CBORTag):
        _put_head(out, 6, obj.tag)
        _put(out, obj.value)
    elif isinstance(obj, float):
        out.append(0xFB)
        out.extend(struct.pack(">d", obj))
    else:
        raise TypeError("CBOR: no encoding for %s" % type(obj))


def _put_head(out: bytearray, major: int, argument: int) -> None:
    major <<= 5
    if argument < 24:
        out.append(major | argument)
    elif argument < 1 << 8:
        out.append(major | 24)
        out.append(argument)
    elif argument < 1 << 16:
        out.append(major | 25)
        out.extend(argument.to_bytes(2, "big"))
    elif argument < 1 << 32:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    elif argument < 1 << 64:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))
    else:
        raise ValueError("CBOR: %d does not fit 64 bits" % argument)


def _get(data: bytes, pos: int):
    major = data[pos] >> 5
    info = data[pos] & 31
    pos += 1
    if info < 24:
        argument = info
    elif info < 28:
        size = 1 << (info - 24)
        argument = int.from_bytes(_take(data, pos, size), "big")
        pos += size
    else:
        raise CBORDecodeError("CBOR: indefinite or reserved length before byte %d" % pos)
    if major == 0:
        return argument, pos
    if major == 1:
        return -1 - argument, pos
    if major == 2:
        return _take(data, pos, argument), pos + argument
    if major == 3:
        return _take(data, pos, argument).decode(), pos + argument
    if major == 4:
        items = []
        for _ in range(_there(data, pos, argument)):
            item, pos = _get(data, pos)
            items.append(item)
        return items, pos
    if major == 5:
        pairs = {}
        for _ in range(_there(data, pos, 2 * argument) // 2):
            key, pos = _get(data, pos)
            pairs[key], pos = _get(data, pos)
        return pairs, pos
    if major == 6:
        value, pos = _get(data, pos)
        return CBORTag(argument, value), pos
    return _simple_or_float(data, info, pos), pos


def _there(data: bytes, pos: int, items: int) -> int:
    """Each has one byte at least."""
    if items > len(data) - pos:
        raise CBORDecodeError("CBOR: %d items announced before byte %d" % (items, pos))
    return items


def _take(data: bytes, pos: int, size: int) -> bytes:
    if size > len(data) - pos:
        raise CBORDecodeError("CBOR: %d bytes wanted at %d, %d left" % (size, pos, len(data) - pos))
    return data[pos : pos + size]


def _simple_or_float(data: bytes, info: int, pos: int):
    """`pos` is the position after the head, so a float's bytes lie before it."""
    if info == 20:
        return False
    if info == 21:
        return True
    if info == 22:
        return None
    if info == 25:
        return _half(int.from_bytes(data[pos - 2 : pos], "big"))
    if info == 26:
        return struct.unpack(">f", data[pos - 4 : pos])[0]
    if info == 27:
        return struct.unpack(">d", data[pos - 8 : pos])[0]
    raise CBORDecodeError("CBOR: simple value %d is not taken" % info)


def _half(bits: int) -> float:
    """IEEE 754 binary16, RFC 8949 appendix D."""
    exponent = bits >> 10 & 31
    mantissa = bits & 0x3FF
    if exponent == 0:
        value = mantissa * 2.0**-24
    elif exponent == 31:
        value = float("nan") if mantissa else float("inf")
    else:
        value = (mantissa + 1024) * 2.0 ** (exponent - 25)
    return -value if bits & 0x8000 else value
