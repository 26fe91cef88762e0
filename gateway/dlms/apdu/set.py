"""SET, both directions."""

from __future__ import annotations

from gateway.dlms.apdu.parts import (
    block_at,
    data_block,
    descriptor_at,
    ends,
    head,
    lone_u32,
    octet_at,
    put_bytes,
    rest,
    selection_at,
    selection_of,
    targets,
    targets_at,
    u32,
    u32_at,
    values_at,
    values_of,
)
from gateway.dlms.data.axdr import bytes_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.apdu.parts import Selection, Target
    from gateway.dlms.data.axdr import Bytes

SET_REQUEST = 0xC1
SET_RESPONSE = 0xC5


class SetRequest(Fields):
    __slots__ = ("attribute", "class_id", "data", "invoke", "obis", "selection")
    FIELDS = ("invoke", "class_id", "obis", "attribute", "selection", "data")

    def __init__(
        self,
        invoke: int,
        class_id: int,
        obis: bytes,
        attribute: int,
        selection: Selection | None,
        data: bytes,
    ) -> None:
        self.invoke = invoke
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.selection = selection
        self.data = data

    def encode(self) -> bytes:
        return (
            head(SET_REQUEST, 1, self.invoke, self.class_id, self.obis, self.attribute)
            + selection_of(self.selection)
            + self.data
        )


class SetFirstBlock(Fields):
    __slots__ = ("attribute", "block", "class_id", "data", "invoke", "last", "obis", "selection")
    FIELDS = ("invoke", "class_id", "obis", "attribute", "selection", "last", "block", "data")

    def __init__(
        self,
        invoke: int,
        class_id: int,
        obis: bytes,
        attribute: int,
        selection: Selection | None,
        last: bool,
        block: int,
        data: bytes,
    ) -> None:
        self.invoke = invoke
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.selection = selection
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        return (
            head(SET_REQUEST, 2, self.invoke, self.class_id, self.obis, self.attribute)
            + selection_of(self.selection)
            + data_block(self.last, self.block, self.data)
        )


class SetBlock(Fields):
    __slots__ = ("block", "data", "invoke", "last")
    FIELDS = ("invoke", "last", "block", "data")

    def __init__(self, invoke: int, last: bool, block: int, data: bytes) -> None:
        self.invoke = invoke
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        start = bytes((SET_REQUEST, 3, self.invoke))
        return start + data_block(self.last, self.block, self.data)


class SetListRequest(Fields):
    """`items` are (class_id, obis, attribute, selection), `values` one Data for each."""

    __slots__ = ("invoke", "items", "values")
    FIELDS = ("invoke", "items", "values")

    def __init__(self, invoke: int, items: list[Target], values: list[bytes]) -> None:
        self.invoke = invoke
        self.items = items
        self.values = values

    def encode(self) -> bytes:
        start = bytes((SET_REQUEST, 4, self.invoke))
        return start + targets(self.items) + values_of(self.values)


class SetListFirstBlock(Fields):
    """The blocks joined are the values with their count (values_of). SetBlocks follow."""

    __slots__ = ("block", "data", "invoke", "items", "last")
    FIELDS = ("invoke", "items", "last", "block", "data")

    def __init__(
        self, invoke: int, items: list[Target], last: bool, block: int, data: bytes
    ) -> None:
        self.invoke = invoke
        self.items = items
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        start = bytes((SET_REQUEST, 5, self.invoke)) + targets(self.items)
        return start + data_block(self.last, self.block, self.data)


class SetResponse(Fields):
    __slots__ = ("invoke", "result")
    FIELDS = ("invoke", "result")

    def __init__(self, invoke: int, result: int) -> None:
        self.invoke = invoke
        self.result = result

    def encode(self) -> bytes:
        return bytes((SET_RESPONSE, 1, self.invoke, self.result))


class SetBlockAck(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((SET_RESPONSE, 2, self.invoke)) + u32(self.block)


class SetLastAck(Fields):
    __slots__ = ("block", "invoke", "result")
    FIELDS = ("invoke", "result", "block")

    def __init__(self, invoke: int, result: int, block: int) -> None:
        self.invoke = invoke
        self.result = result
        self.block = block

    def encode(self) -> bytes:
        return bytes((SET_RESPONSE, 3, self.invoke, self.result)) + u32(self.block)


class SetListResponse(Fields):
    """`results` of ACCESS_RESULTS, in the order of the request."""

    __slots__ = ("invoke", "results")
    FIELDS = ("invoke", "results")

    def __init__(self, invoke: int, results: list[int]) -> None:
        self.invoke = invoke
        self.results = results

    def encode(self) -> bytes:
        out = bytearray((SET_RESPONSE, 5, self.invoke))
        put_bytes(out, bytes(self.results))
        return bytes(out)


class SetLastListAck(Fields):
    __slots__ = ("block", "invoke", "results")
    FIELDS = ("invoke", "results", "block")

    def __init__(self, invoke: int, results: list[int], block: int) -> None:
        self.invoke = invoke
        self.results = results
        self.block = block

    def encode(self) -> bytes:
        out = bytearray((SET_RESPONSE, 4, self.invoke))
        put_bytes(out, bytes(self.results))
        out.extend(u32(self.block))
        return bytes(out)


def _set_request(data: Bytes, invoke: int) -> SetRequest:
    class_id, obis, attribute, pos = descriptor_at(data, 3)
    selection, pos = selection_at(data, pos)
    return SetRequest(invoke, class_id, obis, attribute, selection, rest(data, pos))


def _set_first_block(data: Bytes, invoke: int) -> SetFirstBlock:
    class_id, obis, attribute, pos = descriptor_at(data, 3)
    selection, pos = selection_at(data, pos)
    last, block, raw = block_at(data, pos)
    return SetFirstBlock(invoke, class_id, obis, attribute, selection, last, block, raw)


def _set_block(data: Bytes, invoke: int) -> SetBlock:
    last, block, raw = block_at(data, 3)
    return SetBlock(invoke, last, block, raw)


def _set_response(data: Bytes, invoke: int) -> SetResponse:
    result, pos = octet_at(data, 3)
    ends(data, pos)
    return SetResponse(invoke, result)


def _set_block_ack(data: Bytes, invoke: int) -> SetBlockAck:
    return SetBlockAck(invoke, lone_u32(data))


def _set_last_ack(data: Bytes, invoke: int) -> SetLastAck:
    result, pos = octet_at(data, 3)
    block, pos = u32_at(data, pos)
    ends(data, pos)
    return SetLastAck(invoke, result, block)


def _set_list_request(data: Bytes, invoke: int) -> SetListRequest:
    items, pos = targets_at(data, 3)
    values, pos = values_at(data, pos)
    ends(data, pos)
    if len(values) != len(items):
        raise ProtocolError("%d values for %d attributes" % (len(values), len(items)))
    return SetListRequest(invoke, items, values)


def _set_list_first_block(data: Bytes, invoke: int) -> SetListFirstBlock:
    items, pos = targets_at(data, 3)
    last, block, raw = block_at(data, pos)
    return SetListFirstBlock(invoke, items, last, block, raw)


def _set_list_response(data: Bytes, invoke: int) -> SetListResponse:
    # a sequence of one-byte enumerations is spelt like an octet string
    results, pos = bytes_at(data, 3)
    ends(data, pos)
    return SetListResponse(invoke, list(results))


def _set_last_list_ack(data: Bytes, invoke: int) -> SetLastListAck:
    results, pos = bytes_at(data, 3)
    block, pos = u32_at(data, pos)
    ends(data, pos)
    return SetLastListAck(invoke, list(results), block)


SET_DECODERS = {
    SET_REQUEST << 8 | 1: _set_request,
    SET_REQUEST << 8 | 2: _set_first_block,
    SET_REQUEST << 8 | 3: _set_block,
    SET_REQUEST << 8 | 4: _set_list_request,
    SET_REQUEST << 8 | 5: _set_list_first_block,
    SET_RESPONSE << 8 | 1: _set_response,
    SET_RESPONSE << 8 | 2: _set_block_ack,
    SET_RESPONSE << 8 | 3: _set_last_ack,
    SET_RESPONSE << 8 | 4: _set_last_list_ack,
    SET_RESPONSE << 8 | 5: _set_list_response,
}
