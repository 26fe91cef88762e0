"""GET, both directions."""

from __future__ import annotations

from gateway.dlms.apdu.parts import (
    SUCCESS,
    data_or_result,
    data_results_at,
    descriptor_at,
    ends,
    head,
    lone_u32,
    octet_at,
    put_bytes,
    refusal_at,
    rest,
    selection_at,
    selection_of,
    targets,
    targets_at,
    u32,
    u32_at,
)
from gateway.dlms.data.axdr import bytes_at, put_length
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.apdu.parts import Selection, Target
    from gateway.dlms.data.axdr import Bytes

GET_REQUEST = 0xC0
GET_RESPONSE = 0xC4


class GetRequest(Fields):
    __slots__ = ("attribute", "class_id", "invoke", "obis", "selection")
    FIELDS = ("invoke", "class_id", "obis", "attribute", "selection")

    def __init__(
        self,
        invoke: int,
        class_id: int,
        obis: bytes,
        attribute: int,
        selection: Selection | None = None,
    ) -> None:
        self.invoke = invoke
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.selection = selection

    def encode(self) -> bytes:
        plain = head(GET_REQUEST, 1, self.invoke, self.class_id, self.obis, self.attribute)
        return plain + b"\x00" if self.selection is None else plain + selection_of(self.selection)


class GetNext(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((GET_REQUEST, 2, self.invoke)) + u32(self.block)


class GetListRequest(Fields):
    """`items` are (class_id, obis, attribute, selection)."""

    __slots__ = ("invoke", "items")
    FIELDS = ("invoke", "items")

    def __init__(self, invoke: int, items: list[Target]) -> None:
        self.invoke = invoke
        self.items = items

    def encode(self) -> bytes:
        return bytes((GET_REQUEST, 3, self.invoke)) + targets(self.items)


class GetResponse(Fields):
    """`data` is there exactly when `result` is SUCCESS."""

    __slots__ = ("data", "invoke", "result")
    FIELDS = ("invoke", "result", "data")

    def __init__(self, invoke: int, result: int, data: bytes | None) -> None:
        self.invoke = invoke
        self.result = result
        self.data = data

    def encode(self) -> bytes:
        return bytes((GET_RESPONSE, 1, self.invoke)) + data_or_result(self.result, self.data)


class GetBlock(Fields):
    """One block of a long answer; with a `result` other than SUCCESS the transfer is over."""

    __slots__ = ("block", "data", "invoke", "last", "result")
    FIELDS = ("invoke", "last", "block", "result", "data")

    def __init__(self, invoke: int, last: bool, block: int, result: int, data: bytes) -> None:
        self.invoke = invoke
        self.last = last
        self.block = block
        self.result = result
        self.data = data

    def encode(self) -> bytes:
        out = bytearray((GET_RESPONSE, 2, self.invoke, self.last))
        out.extend(u32(self.block))
        if self.result == SUCCESS:
            out.append(0)
            put_bytes(out, self.data)
        else:
            out.append(1)
            out.append(self.result)
        return bytes(out)


class GetListResponse(Fields):
    """`items` are (result, data or None), in the order asked."""

    __slots__ = ("invoke", "items")
    FIELDS = ("invoke", "items")

    def __init__(self, invoke: int, items: list[tuple[int, bytes | None]]) -> None:
        self.invoke = invoke
        self.items = items

    def encode(self) -> bytes:
        out = bytearray((GET_RESPONSE, 3, self.invoke))
        put_length(out, len(self.items))
        for result, data in self.items:
            out.extend(data_or_result(result, data))
        return bytes(out)


def _get_request(data: Bytes, invoke: int) -> GetRequest:
    class_id, obis, attribute, pos = descriptor_at(data, 3)
    selection, pos = selection_at(data, pos)
    ends(data, pos)
    return GetRequest(invoke, class_id, obis, attribute, selection)


def _get_next(data: Bytes, invoke: int) -> GetNext:
    return GetNext(invoke, lone_u32(data))


def _get_list_request(data: Bytes, invoke: int) -> GetListRequest:
    items, pos = targets_at(data, 3)
    ends(data, pos)
    return GetListRequest(invoke, items)


def _get_response(data: Bytes, invoke: int) -> GetResponse:
    if len(data) > 4 and data[3] == 0:  # nearly all are that: without a call
        return GetResponse(invoke, SUCCESS, bytes(data[4:]))
    choice, pos = octet_at(data, 3)
    if choice == 0:
        return GetResponse(invoke, SUCCESS, rest(data, pos))
    if choice != 1:
        raise ProtocolError("Get-Data-Result is choice %d, not 0 or 1" % choice)
    result, pos = refusal_at(data, pos)
    ends(data, pos)
    return GetResponse(invoke, result, None)


def _get_block(data: Bytes, invoke: int) -> GetBlock:
    last, pos = octet_at(data, 3)
    block, pos = u32_at(data, pos)
    choice, pos = octet_at(data, pos)
    result = SUCCESS
    raw = b""
    if choice == 0:
        raw, pos = bytes_at(data, pos)
    elif choice == 1:
        result, pos = refusal_at(data, pos)
    else:
        raise ProtocolError("DataBlock-G is choice %d, not 0 or 1" % choice)
    ends(data, pos)
    return GetBlock(invoke, last != 0, block, result, raw)


def _get_list_response(data: Bytes, invoke: int) -> GetListResponse:
    items, pos = data_results_at(data, 3)
    ends(data, pos)
    return GetListResponse(invoke, items)


GET_DECODERS = {
    GET_REQUEST << 8 | 1: _get_request,
    GET_REQUEST << 8 | 2: _get_next,
    GET_REQUEST << 8 | 3: _get_list_request,
    GET_RESPONSE << 8 | 1: _get_response,
    GET_RESPONSE << 8 | 2: _get_block,
    GET_RESPONSE << 8 | 3: _get_list_response,
}
