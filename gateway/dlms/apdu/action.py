"""ACTION, both directions."""

from __future__ import annotations

from gateway.dlms.apdu.parts import (
    SUCCESS,
    block_at,
    data_block,
    data_or_result,
    descriptor,
    descriptor_at,
    ends,
    head,
    lone_u32,
    octet_at,
    rest,
    u32,
    values_at,
    values_of,
)
from gateway.dlms.data.axdr import length_at, put_length, skip_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

    Method = tuple[int, bytes, int]  # class, obis, method
    Outcome = tuple[int, bytes | None, int]  # action-result, data, data-access-result

ACTION_REQUEST = 0xC3
ACTION_RESPONSE = 0xC7


def action_result(result: int, data: bytes | None, data_result: int) -> bytes:
    """Action-Response-With-Optional-Data."""
    if data is None and data_result == SUCCESS:
        return bytes((result, 0))
    return bytes((result, 1)) + data_or_result(data_result, data)


def action_result_at(data: Bytes, pos: int) -> tuple[Outcome, int]:
    result, pos = octet_at(data, pos)
    present, pos = octet_at(data, pos)
    if not present:
        return (result, None, SUCCESS), pos
    choice, pos = octet_at(data, pos)
    if choice == 0:
        end = skip_at(data, pos)
        return (result, bytes(data[pos:end]), SUCCESS), end
    if choice != 1:
        raise ProtocolError("Get-Data-Result is choice %d, not 0 or 1" % choice)
    # Meters do say data-access-result success here, for a method that returns nothing.
    data_result, pos = octet_at(data, pos)
    return (result, None, data_result), pos


def action_results(items: list[Outcome]) -> bytes:
    """SEQUENCE OF Action-Response-With-Optional-Data, with its count."""
    out = bytearray()
    put_length(out, len(items))
    for result, data, data_result in items:
        out.extend(action_result(result, data, data_result))
    return bytes(out)


def action_results_at(data: Bytes, pos: int) -> tuple[list[Outcome], int]:
    count, pos = length_at(data, pos)
    items: list[Outcome] = []
    for _ in range(count):
        item, pos = action_result_at(data, pos)
        items.append(item)
    return items, pos


def _methods(items: list[Method]) -> bytes:
    out = bytearray()
    put_length(out, len(items))
    for class_id, obis, method in items:
        out.extend(descriptor(class_id, obis, method))
    return bytes(out)


def _methods_at(data: Bytes, pos: int) -> tuple[list[Method], int]:
    count, pos = length_at(data, pos)
    items: list[Method] = []
    for _ in range(count):
        class_id, obis, method, pos = descriptor_at(data, pos)
        items.append((class_id, obis, method))
    return items, pos


class ActionRequest(Fields):
    __slots__ = ("class_id", "data", "invoke", "method", "obis")
    FIELDS = ("invoke", "class_id", "obis", "method", "data")

    def __init__(
        self, invoke: int, class_id: int, obis: bytes, method: int, data: bytes | None
    ) -> None:
        self.invoke = invoke
        self.class_id = class_id
        self.obis = obis
        self.method = method
        self.data = data

    def encode(self) -> bytes:
        return head(ACTION_REQUEST, 1, self.invoke, self.class_id, self.obis, self.method) + (
            b"\x00" if self.data is None else b"\x01" + self.data
        )


class ActionFirstBlock(Fields):
    __slots__ = ("block", "class_id", "data", "invoke", "last", "method", "obis")
    FIELDS = ("invoke", "class_id", "obis", "method", "last", "block", "data")

    def __init__(
        self,
        invoke: int,
        class_id: int,
        obis: bytes,
        method: int,
        last: bool,
        block: int,
        data: bytes,
    ) -> None:
        self.invoke = invoke
        self.class_id = class_id
        self.obis = obis
        self.method = method
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        return head(
            ACTION_REQUEST, 4, self.invoke, self.class_id, self.obis, self.method
        ) + data_block(self.last, self.block, self.data)


class ActionBlock(Fields):
    __slots__ = ("block", "data", "invoke", "last")
    FIELDS = ("invoke", "last", "block", "data")

    def __init__(self, invoke: int, last: bool, block: int, data: bytes) -> None:
        self.invoke = invoke
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        start = bytes((ACTION_REQUEST, 6, self.invoke))
        return start + data_block(self.last, self.block, self.data)


class ActionListRequest(Fields):
    """`items` are (class_id, obis, method), `values` one Data for each (null-data for none)."""

    __slots__ = ("invoke", "items", "values")
    FIELDS = ("invoke", "items", "values")

    def __init__(self, invoke: int, items: list[Method], values: list[bytes]) -> None:
        self.invoke = invoke
        self.items = items
        self.values = values

    def encode(self) -> bytes:
        start = bytes((ACTION_REQUEST, 3, self.invoke))
        return start + _methods(self.items) + values_of(self.values)


class ActionListFirstBlock(Fields):
    """The blocks joined are the values with their count (values_of). ActionBlocks follow."""

    __slots__ = ("block", "data", "invoke", "items", "last")
    FIELDS = ("invoke", "items", "last", "block", "data")

    def __init__(
        self, invoke: int, items: list[Method], last: bool, block: int, data: bytes
    ) -> None:
        self.invoke = invoke
        self.items = items
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        start = bytes((ACTION_REQUEST, 5, self.invoke)) + _methods(self.items)
        return start + data_block(self.last, self.block, self.data)


class ActionNext(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((ACTION_REQUEST, 2, self.invoke)) + u32(self.block)


class ActionResponse(Fields):
    """`result` of the method. The return parameters are `data`, or a `data_result` of
    ACCESS_RESULTS where the meter could not give them, or neither (None, SUCCESS)."""

    __slots__ = ("data", "data_result", "invoke", "result")
    FIELDS = ("invoke", "result", "data", "data_result")

    def __init__(
        self, invoke: int, result: int, data: bytes | None = None, data_result: int = SUCCESS
    ) -> None:
        self.invoke = invoke
        self.result = result
        self.data = data
        self.data_result = data_result

    def encode(self) -> bytes:
        start = bytes((ACTION_RESPONSE, 1, self.invoke))
        return start + action_result(self.result, self.data, self.data_result)


class ActionListResponse(Fields):
    """`items` are (result, data, data_result) as of ActionResponse, in the order asked."""

    __slots__ = ("invoke", "items")
    FIELDS = ("invoke", "items")

    def __init__(self, invoke: int, items: list[Outcome]) -> None:
        self.invoke = invoke
        self.items = items

    def encode(self) -> bytes:
        return bytes((ACTION_RESPONSE, 3, self.invoke)) + action_results(self.items)


class ActionResponseBlock(Fields):
    """The blocks joined are one Get-Data-Result, or the answers of a list (action_results)."""

    __slots__ = ("block", "data", "invoke", "last")
    FIELDS = ("invoke", "last", "block", "data")

    def __init__(self, invoke: int, last: bool, block: int, data: bytes) -> None:
        self.invoke = invoke
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        start = bytes((ACTION_RESPONSE, 2, self.invoke))
        return start + data_block(self.last, self.block, self.data)


class ActionBlockAck(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((ACTION_RESPONSE, 4, self.invoke)) + u32(self.block)


def _action_request(data: Bytes, invoke: int) -> ActionRequest:
    class_id, obis, method, pos = descriptor_at(data, 3)
    present, pos = octet_at(data, pos)
    if present:
        return ActionRequest(invoke, class_id, obis, method, rest(data, pos))
    ends(data, pos)
    return ActionRequest(invoke, class_id, obis, method, None)


def _action_next(data: Bytes, invoke: int) -> ActionNext:
    return ActionNext(invoke, lone_u32(data))


def _action_first_block(data: Bytes, invoke: int) -> ActionFirstBlock:
    class_id, obis, method, pos = descriptor_at(data, 3)
    last, block, raw = block_at(data, pos)
    return ActionFirstBlock(invoke, class_id, obis, method, last, block, raw)


def _action_block(data: Bytes, invoke: int) -> ActionBlock:
    last, block, raw = block_at(data, 3)
    return ActionBlock(invoke, last, block, raw)


def _action_response(data: Bytes, invoke: int) -> ActionResponse:
    result, pos = octet_at(data, 3)
    # The Data of a single answer is the rest of the APDU, and is left unparsed.
    if len(data) > pos + 1 and data[pos] and data[pos + 1] == 0:
        return ActionResponse(invoke, result, rest(data, pos + 2))
    if pos == len(data) and result != SUCCESS:
        return ActionResponse(invoke, result)  # some meters leave out that nothing is returned
    (_, returned, data_result), pos = action_result_at(data, 3)
    ends(data, pos)
    return ActionResponse(invoke, result, returned, data_result)


def _action_response_block(data: Bytes, invoke: int) -> ActionResponseBlock:
    last, block, raw = block_at(data, 3)
    return ActionResponseBlock(invoke, last, block, raw)


def _action_block_ack(data: Bytes, invoke: int) -> ActionBlockAck:
    return ActionBlockAck(invoke, lone_u32(data))


def _action_list_request(data: Bytes, invoke: int) -> ActionListRequest:
    items, pos = _methods_at(data, 3)
    values, pos = values_at(data, pos)
    ends(data, pos)
    if len(values) != len(items):
        raise ProtocolError("%d values for %d methods" % (len(values), len(items)))
    return ActionListRequest(invoke, items, values)


def _action_list_first_block(data: Bytes, invoke: int) -> ActionListFirstBlock:
    items, pos = _methods_at(data, 3)
    last, block, raw = block_at(data, pos)
    return ActionListFirstBlock(invoke, items, last, block, raw)


def _action_list_response(data: Bytes, invoke: int) -> ActionListResponse:
    items, pos = action_results_at(data, 3)
    ends(data, pos)
    return ActionListResponse(invoke, items)


ACTION_DECODERS = {
    ACTION_REQUEST << 8 | 1: _action_request,
    ACTION_REQUEST << 8 | 2: _action_next,
    ACTION_REQUEST << 8 | 3: _action_list_request,
    ACTION_REQUEST << 8 | 4: _action_first_block,
    ACTION_REQUEST << 8 | 5: _action_list_first_block,
    ACTION_REQUEST << 8 | 6: _action_block,
    ACTION_RESPONSE << 8 | 1: _action_response,
    ACTION_RESPONSE << 8 | 2: _action_response_block,
    ACTION_RESPONSE << 8 | 3: _action_list_response,
    ACTION_RESPONSE << 8 | 4: _action_block_ack,
}
