"""The services with short names, both directions: Read, Write, UnconfirmedWrite (Green Book 9.5,
COSEMpdu), with blocks and parameterized access.

    request                                 the meter's answer
    ReadRequest(items)                      ReadResponse(items), or ReadBlock(last, block, data)
    ReadNext(block)                         ReadBlock(last, block, data)
    ReadRequestBlock(last, block, data)     ReadBlockAck(block), after the last as to a ReadRequest
    WriteRequest(items, values)             WriteResponse(results)
    WriteRequestBlock(last, block, data)    WriteBlockAck(block), after the last WriteResponse
    UnconfirmedWriteRequest(items, values)  none
                                            InformationReport (notify.py)

`items` of requests are (short name of 16 bits, selection or None); a selection (selector, one Data)
makes it parameterized access. `items` of an answer are (result, data or None), `values` one Data
for each item. `data` of blocks are raw bytes; joined they are what the APDU in one piece has after
its tag. Blocks count from 1, in 16 bits. There is no invoke-id: nothing in an answer says what it
answers.

Loaded for a meter with short names only: apdu.decode knows nothing of these; decode here does, and
of all the others too.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu.parts import (
    READ_REQUEST,
    READ_RESPONSE,
    SUCCESS,
    UNCONFIRMED_WRITE_REQUEST,
    WRITE_REQUEST,
    WRITE_RESPONSE,
    data_or_result,
    ends,
    octet_at,
    put_bytes,
    refusal_at,
    u16,
    u16_at,
    values_at,
    values_of,
)
from gateway.dlms.data.axdr import OCTET_STRING, bytes_at, length_at, put_length, skip_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.apdu.parts import DataResult, Selection
    from gateway.dlms.data.axdr import Bytes

    Variable = tuple[int, Selection | None]

# the CHOICE of Variable-Access-Specification
_VARIABLE_NAME = 2
_PARAMETERIZED = 4
_BLOCK_NUMBER = 5
_READ_BLOCK = 6
_WRITE_BLOCK = 7

# the CHOICE in a ReadResponse, in a WriteResponse
_DATA, _ERROR, _BLOCK_RESULT, _READ_ACK = 0, 1, 2, 3
_WRITTEN, _NOT_WRITTEN, _WRITE_ACK = 0, 1, 2

_ALONE = 1  # a block, and what acknowledges it, is the one item of its APDU


class _Numbered(Fields):
    """What names one block."""

    __slots__ = ("block",)
    FIELDS = ("block",)

    def __init__(self, block: int) -> None:
        self.block = block


class _Block(Fields):
    """What carries one block."""

    __slots__ = ("block", "data", "last")
    FIELDS = ("last", "block", "data")

    def __init__(self, last: bool, block: int, data: bytes) -> None:
        self.last = last
        self.block = block
        self.data = data


class ReadRequest(Fields):
    __slots__ = ("items",)
    FIELDS = ("items",)

    def __init__(self, items: list[Variable]) -> None:
        self.items = items

    def encode(self) -> bytes:
        return bytes((READ_REQUEST,)) + _variables(self.items)


class ReadNext(_Numbered):
    """`block`: the last one received."""

    __slots__ = ()

    def encode(self) -> bytes:
        return bytes((READ_REQUEST, _ALONE, _BLOCK_NUMBER)) + u16(self.block)


class ReadRequestBlock(_Block):
    """One block of a long ReadRequest."""

    __slots__ = ()

    def encode(self) -> bytes:
        return bytes((READ_REQUEST, _ALONE, _READ_BLOCK)) + _block(self.last, self.block, self.data)


class ReadResponse(Fields):
    __slots__ = ("items",)
    FIELDS = ("items",)

    def __init__(self, items: list[DataResult]) -> None:
        self.items = items

    def encode(self) -> bytes:
        out = bytearray((READ_RESPONSE,))
        put_length(out, len(self.items))
        for result, data in self.items:
            out.extend(data_or_result(result, data))
        return bytes(out)


class ReadBlock(_Block):
    """One block of a long answer."""

    __slots__ = ()

    def encode(self) -> bytes:
        head = bytes((READ_RESPONSE, _ALONE, _BLOCK_RESULT))
        return head + _block(self.last, self.block, self.data)


class ReadBlockAck(_Numbered):
    """A block of a long request is there, and not the last."""

    __slots__ = ()

    def encode(self) -> bytes:
        return bytes((READ_RESPONSE, _ALONE, _READ_ACK)) + u16(self.block)


class WriteRequest(Fields):
    __slots__ = ("items", "values")
    FIELDS = ("items", "values")
    TAG = WRITE_REQUEST

    def __init__(self, items: list[Variable], values: list[bytes]) -> None:
        if len(items) != len(values):
            raise ValueError("%d values for %d variables" % (len(values), len(items)))
        self.items = items
        self.values = values

    def encode(self) -> bytes:
        return bytes((self.TAG,)) + _variables(self.items) + values_of(self.values)


class UnconfirmedWriteRequest(WriteRequest):
    __slots__ = ()
    TAG = UNCONFIRMED_WRITE_REQUEST


class WriteRequestBlock(_Block):
    """One block of a long WriteRequest: the raw data is the value of the one variable."""

    __slots__ = ()

    def encode(self) -> bytes:
        out = bytearray((WRITE_REQUEST, _ALONE, _WRITE_BLOCK, 1 if self.last else 0))
        out.extend(u16(self.block))
        out.append(_ALONE)
        out.append(OCTET_STRING)
        put_bytes(out, self.data)
        return bytes(out)


class WriteResponse(Fields):
    """`results`: of ACCESS_RESULTS, one for each variable."""

    __slots__ = ("results",)
    FIELDS = ("results",)

    def __init__(self, results: list[int]) -> None:
        self.results = results

    def encode(self) -> bytes:
        out = bytearray((WRITE_RESPONSE,))
        put_length(out, len(self.results))
        for result in self.results:
            if result == SUCCESS:
                out.append(_WRITTEN)
            else:
                out.append(_NOT_WRITTEN)
                out.append(result)
        return bytes(out)


class WriteBlockAck(_Numbered):
    """A block of a long request is there, and not the last."""

    __slots__ = ()

    def encode(self) -> bytes:
        return bytes((WRITE_RESPONSE, _ALONE, _WRITE_ACK)) + u16(self.block)


def decode(data: Bytes) -> Any:
    """The one APDU in `data`: of a class above, or what apdu.decode makes of it."""
    if len(data) and data[0] in _DECODERS:
        return _DECODERS[data[0]](data)
    return apdu.decode(data)


# ---------------------------------------------------------------- parts


def _variables(items: list[Variable]) -> bytes:
    out = bytearray()
    put_length(out, len(items))
    for name, selection in items:
        out.append(_VARIABLE_NAME if selection is None else _PARAMETERIZED)
        out.extend(u16(name))
        if selection is not None:
            out.append(selection[0])
            out.extend(selection[1])
    return bytes(out)


def _variables_at(data: Bytes, count: int, pos: int) -> tuple[list[Variable], int]:
    items: list[Variable] = []
    for _ in range(count):  # a lie about the count ends at the first item that is not there
        choice, pos = octet_at(data, pos)
        if choice not in (_VARIABLE_NAME, _PARAMETERIZED):
            raise ProtocolError(
                "Variable-Access-Specification is choice %d among %d" % (choice, count)
            )
        name, pos = u16_at(data, pos)
        selection: Selection | None = None
        if choice == _PARAMETERIZED:
            selector, pos = octet_at(data, pos)
            end = skip_at(data, pos)
            selection = (selector, bytes(data[pos:end]))
            pos = end
        items.append((name, selection))
    return items, pos


def _block(last: bool, block: int, data: bytes) -> bytes:
    out = bytearray((1 if last else 0,))
    out.extend(u16(block))
    put_bytes(out, data)
    return bytes(out)


def _block_at(data: Bytes, pos: int) -> tuple[bool, int, bytes]:
    """last-block, block-number, raw-data, which ends the APDU."""
    last, pos = octet_at(data, pos)
    block, pos = u16_at(data, pos)
    raw, pos = bytes_at(data, pos)
    ends(data, pos)
    return last != 0, block, raw


def _lone_u16(data: Bytes, pos: int) -> int:
    value, pos = u16_at(data, pos)
    ends(data, pos)
    return value


def _alone(data: Bytes, count: int, pos: int) -> int:
    """The choice of the only item; -1 where there are others."""
    return data[pos] if count == 1 and pos < len(data) else -1


def _read_request(data: Bytes) -> ReadRequest | ReadNext | ReadRequestBlock:
    count, pos = length_at(data, 1)
    choice = _alone(data, count, pos)
    if choice == _BLOCK_NUMBER:
        return ReadNext(_lone_u16(data, pos + 1))
    if choice == _READ_BLOCK:
        last, block, raw = _block_at(data, pos + 1)
        return ReadRequestBlock(last, block, raw)
    items, pos = _variables_at(data, count, pos)
    ends(data, pos)
    return ReadRequest(items)


def _read_response(data: Bytes) -> ReadResponse | ReadBlock | ReadBlockAck:
    count, pos = length_at(data, 1)
    choice = _alone(data, count, pos)
    if choice == _READ_ACK:
        return ReadBlockAck(_lone_u16(data, pos + 1))
    if choice == _BLOCK_RESULT:
        last, block, raw = _block_at(data, pos + 1)
        return ReadBlock(last, block, raw)
    items, pos = apdu.data_results_at(data, 1)
    ends(data, pos)
    return ReadResponse(items)


def _write_request(data: Bytes) -> WriteRequest | WriteRequestBlock:
    count, pos = length_at(data, 1)
    if _alone(data, count, pos) == _WRITE_BLOCK:
        return _write_request_block(data, pos + 1)
    items, values = _assignments(data, count, pos)
    return WriteRequest(items, values)


def _write_request_block(data: Bytes, pos: int) -> WriteRequestBlock:
    last, pos = octet_at(data, pos)
    block, pos = u16_at(data, pos)
    count, pos = length_at(data, pos)
    tag, pos = octet_at(data, pos)
    if (count, tag) != (_ALONE, OCTET_STRING):
        raise ProtocolError("a block of a write holds %d data, first tag %d" % (count, tag))
    raw, pos = bytes_at(data, pos)
    ends(data, pos)
    return WriteRequestBlock(last != 0, block, raw)


def _unconfirmed_write_request(data: Bytes) -> UnconfirmedWriteRequest:
    count, pos = length_at(data, 1)
    items, values = _assignments(data, count, pos)
    return UnconfirmedWriteRequest(items, values)


def _assignments(data: Bytes, count: int, pos: int) -> tuple[list[Variable], list[bytes]]:
    items, pos = _variables_at(data, count, pos)
    values, pos = values_at(data, pos)
    ends(data, pos)
    if len(values) != len(items):
        raise ProtocolError("%d values for %d variables" % (len(values), len(items)))
    return items, values


def _write_response(data: Bytes) -> WriteResponse | WriteBlockAck:
    count, pos = length_at(data, 1)
    if _alone(data, count, pos) == _WRITE_ACK:
        return WriteBlockAck(_lone_u16(data, pos + 1))
    results: list[int] = []
    for _ in range(count):
        choice, pos = octet_at(data, pos)
        result = SUCCESS
        if choice == _NOT_WRITTEN:
            result, pos = refusal_at(data, pos)
        elif choice != _WRITTEN:
            raise ProtocolError("a write's result is choice %d, not 0 or 1" % choice)
        results.append(result)
    ends(data, pos)
    return WriteResponse(results)


_DECODERS = {
    READ_REQUEST: _read_request,
    WRITE_REQUEST: _write_request,
    READ_RESPONSE: _read_response,
    WRITE_RESPONSE: _write_response,
    UNCONFIRMED_WRITE_REQUEST: _unconfirmed_write_request,
}
