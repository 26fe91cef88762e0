"""The xDLMS APDUs with logical name referencing, both directions (Green Book 9.5).

One class an APDU variant; each has `.encode() -> bytes`, and `decode(apdu)` gives back one of them:

    request                                    the meter's answer
    Aarq, Rlrq                                 Aare, Rlre                           (acse.py)
    GetRequest(invoke, class_id, obis, attribute, selection=None)
                                               GetResponse(invoke, result, data)
    GetNext(invoke, block)                     GetBlock(invoke, last, block, result, data)
    GetListRequest(invoke, items)              GetListResponse(invoke, items)
    SetRequest(invoke, class_id, obis, attribute, selection, data)
                                               SetResponse(invoke, result)
    SetFirstBlock(invoke, class_id, obis, attribute, selection, last, block, data)
    SetBlock(invoke, last, block, data)        SetBlockAck(invoke, block), after the last:
                                               SetLastAck(invoke, result, block)
    ActionRequest(invoke, class_id, obis, method, data)
                                               ActionResponse(invoke, result, data, data_result=0)
    ActionFirstBlock(invoke, class_id, obis, method, last, block, data)
    ActionBlock(invoke, last, block, data)     ActionBlockAck(invoke, block)
    ActionNext(invoke, block)                  ActionResponseBlock(invoke, last, block, data)
    any                                        ExceptionResponse(state, service, counter=None),
                                               ConfirmedServiceError(service, group, number)

`invoke` is the whole invoke-id-and-priority byte (low four bits are the id). `obis` is six bytes.
`data` of whole values is one A-XDR Data as bytes (None where there is none); of blocks, raw bytes:
the blocks of a GET or a SET joined are the Data, those of a GET with list the answers without their
count, those of an ACTION the parameters. `selection` is (selector, one Data as bytes) or None.
`result` is a number of ACCESS_RESULTS (GET, SET) or ACTION_RESULTS. Blocks count from 1.
decode raises ProtocolError and nothing else. It looks into a Data only where it must find its end:
the value of a GET response and of a SET is the rest of the APDU, for axdr.decode to judge.
"""

from __future__ import annotations

from gateway.dlms import acse
from gateway.dlms.axdr import bytes_at, length_at, put_length, skip_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.axdr import Bytes

    Selection = tuple[int, bytes]
    Target = tuple[int, bytes, int, Selection | None]  # class, obis, attribute, selection

GET_REQUEST = 0xC0
SET_REQUEST = 0xC1
ACTION_REQUEST = 0xC3
GET_RESPONSE = 0xC4
SET_RESPONSE = 0xC5
ACTION_RESPONSE = 0xC7
EXCEPTION_RESPONSE = 0xD8
CONFIRMED_SERVICE_ERROR = 0x0E

SUCCESS = 0

ACCESS_RESULTS = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-get-aborted",
    16: "no-long-get-in-progress",
    17: "long-set-aborted",
    18: "no-long-set-in-progress",
    19: "data-block-number-invalid",
    250: "other-reason",
}
ACTION_RESULTS = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-action-aborted",
    16: "no-long-action-in-progress",
    250: "other-reason",
}
STATE_ERRORS = {1: "service-not-allowed", 2: "service-unknown"}
SERVICE_ERRORS = {
    1: "operation-not-possible",
    2: "service-not-supported",
    3: "other-reason",
    4: "pdu-too-long",
    5: "deciphering-error",
    6: "invocation-counter-error",
}
INVOCATION_COUNTER_ERROR = 6

CONFIRMED_SERVICES = {1: "initiate", 2: "get-status", 3: "get-name-list", 5: "read", 6: "write"}
# (group, number): name, of the errors an LN server can still send; ServiceError of Green Book 9.5
SERVICE_ERROR_NAMES = {
    (6, 0): "initiate/other",
    (6, 1): "initiate/dlms-version-too-low",
    (6, 2): "initiate/incompatible-conformance",
    (6, 3): "initiate/pdu-size-too-short",
    (6, 4): "initiate/refused-by-the-VDE-handler",
}


def access_result_name(result: int) -> str:
    return ACCESS_RESULTS.get(result, "data-access-result %d" % result)


def action_result_name(result: int) -> str:
    return ACTION_RESULTS.get(result, "action-result %d" % result)


# ---------------------------------------------------------------- GET


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
        return (
            bytes((GET_REQUEST, 1, self.invoke))
            + _descriptor(self.class_id, self.obis, self.attribute)
            + _selection(self.selection)
        )


class GetNext(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((GET_REQUEST, 2, self.invoke)) + _u32(self.block)


class GetListRequest(Fields):
    """`items` are (class_id, obis, attribute, selection)."""

    __slots__ = ("invoke", "items")
    FIELDS = ("invoke", "items")

    def __init__(self, invoke: int, items: list[Target]) -> None:
        self.invoke = invoke
        self.items = items

    def encode(self) -> bytes:
        out = bytearray((GET_REQUEST, 3, self.invoke))
        put_length(out, len(self.items))
        for class_id, obis, attribute, selection in self.items:
            out.extend(_descriptor(class_id, obis, attribute))
            out.extend(_selection(selection))
        return bytes(out)


class GetResponse(Fields):
    """`data` is there exactly when `result` is SUCCESS."""

    __slots__ = ("data", "invoke", "result")
    FIELDS = ("invoke", "result", "data")

    def __init__(self, invoke: int, result: int, data: bytes | None) -> None:
        self.invoke = invoke
        self.result = result
        self.data = data

    def encode(self) -> bytes:
        return bytes((GET_RESPONSE, 1, self.invoke)) + _data_or_result(self.result, self.data)


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
        out.extend(_u32(self.block))
        if self.result == SUCCESS:
            out.append(0)
            _put_bytes(out, self.data)
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
            out.extend(_data_or_result(result, data))
        return bytes(out)


# ---------------------------------------------------------------- SET


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
            bytes((SET_REQUEST, 1, self.invoke))
            + _descriptor(self.class_id, self.obis, self.attribute)
            + _selection(self.selection)
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
            bytes((SET_REQUEST, 2, self.invoke))
            + _descriptor(self.class_id, self.obis, self.attribute)
            + _selection(self.selection)
            + _block(self.last, self.block, self.data)
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
        head = bytes((SET_REQUEST, 3, self.invoke))
        return head + _block(self.last, self.block, self.data)


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
        return bytes((SET_RESPONSE, 2, self.invoke)) + _u32(self.block)


class SetLastAck(Fields):
    __slots__ = ("block", "invoke", "result")
    FIELDS = ("invoke", "result", "block")

    def __init__(self, invoke: int, result: int, block: int) -> None:
        self.invoke = invoke
        self.result = result
        self.block = block

    def encode(self) -> bytes:
        return bytes((SET_RESPONSE, 3, self.invoke, self.result)) + _u32(self.block)


# ---------------------------------------------------------------- ACTION


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
        return (
            bytes((ACTION_REQUEST, 1, self.invoke))
            + _descriptor(self.class_id, self.obis, self.method)
            + (b"\x00" if self.data is None else b"\x01" + self.data)
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
        return (
            bytes((ACTION_REQUEST, 4, self.invoke))
            + _descriptor(self.class_id, self.obis, self.method)
            + _block(self.last, self.block, self.data)
        )


class ActionBlock(Fields):
    __slots__ = ("block", "data", "invoke", "last")
    FIELDS = ("invoke", "last", "block", "data")

    def __init__(self, invoke: int, last: bool, block: int, data: bytes) -> None:
        self.invoke = invoke
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        head = bytes((ACTION_REQUEST, 6, self.invoke))
        return head + _block(self.last, self.block, self.data)


class ActionNext(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((ACTION_REQUEST, 2, self.invoke)) + _u32(self.block)


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
        head = bytes((ACTION_RESPONSE, 1, self.invoke, self.result))
        if self.data is None and self.data_result == SUCCESS:
            return head + b"\x00"
        return head + b"\x01" + _data_or_result(self.data_result, self.data)


class ActionResponseBlock(Fields):
    __slots__ = ("block", "data", "invoke", "last")
    FIELDS = ("invoke", "last", "block", "data")

    def __init__(self, invoke: int, last: bool, block: int, data: bytes) -> None:
        self.invoke = invoke
        self.last = last
        self.block = block
        self.data = data

    def encode(self) -> bytes:
        head = bytes((ACTION_RESPONSE, 2, self.invoke))
        return head + _block(self.last, self.block, self.data)


class ActionBlockAck(Fields):
    __slots__ = ("block", "invoke")
    FIELDS = ("invoke", "block")

    def __init__(self, invoke: int, block: int) -> None:
        self.invoke = invoke
        self.block = block

    def encode(self) -> bytes:
        return bytes((ACTION_RESPONSE, 4, self.invoke)) + _u32(self.block)


# ---------------------------------------------------------------- errors


class ExceptionResponse(Fields):
    """`state` of STATE_ERRORS, `service` of SERVICE_ERRORS; `counter` is the invocation counter the
    server expects, with INVOCATION_COUNTER_ERROR only."""

    __slots__ = ("counter", "service", "state")
    FIELDS = ("state", "service", "counter")

    def __init__(self, state: int, service: int, counter: int | None = None) -> None:
        self.state = state
        self.service = service
        self.counter = counter

    def state_name(self) -> str:
        return STATE_ERRORS.get(self.state, "state-error %d" % self.state)

    def service_name(self) -> str:
        return SERVICE_ERRORS.get(self.service, "service-error %d" % self.service)

    def encode(self) -> bytes:
        head = bytes((EXCEPTION_RESPONSE, self.state, self.service))
        return head if self.counter is None else head + _u32(self.counter)


class ConfirmedServiceError(Fields):
    """`service` of CONFIRMED_SERVICES, `group` and `number` of SERVICE_ERROR_NAMES."""

    __slots__ = ("group", "number", "service")
    FIELDS = ("service", "group", "number")

    def __init__(self, service: int, group: int, number: int) -> None:
        self.service = service
        self.group = group
        self.number = number

    def service_name(self) -> str:
        return CONFIRMED_SERVICES.get(self.service, "service %d" % self.service)

    def error_name(self) -> str:
        known = SERVICE_ERROR_NAMES.get((self.group, self.number))
        return known or "error %d/%d" % (self.group, self.number)

    def encode(self) -> bytes:
        return bytes((CONFIRMED_SERVICE_ERROR, self.service, self.group, self.number))


# ---------------------------------------------------------------- encode helpers


def _u32(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError("%d does not fit 32 bits" % value)
    return value.to_bytes(4, "big")


def _descriptor(class_id: int, obis: bytes, index: int) -> bytes:
    """cosem-attribute-descriptor and cosem-method-descriptor are alike."""
    if not 0 <= class_id <= 0xFFFF or len(obis) != 6 or not -128 <= index <= 127:
        raise ValueError("class 0..65535, logical name of 6 bytes, index -128..127 expected")
    return bytes((class_id >> 8, class_id & 0xFF)) + obis + bytes((index & 0xFF,))


def _selection(selection: Selection | None) -> bytes:
    if selection is None:
        return b"\x00"
    return bytes((1, selection[0])) + selection[1]


def _data_or_result(result: int, data: bytes | None) -> bytes:
    """Get-Data-Result: CHOICE of data [0] and data-access-result [1]."""
    if result != SUCCESS:
        return bytes((1, result))
    if data is None:
        raise ValueError("a successful answer needs data")
    return b"\x00" + data


def _block(last: bool, block: int, data: bytes) -> bytes:
    out = bytearray((1 if last else 0,))
    out.extend(_u32(block))
    _put_bytes(out, data)
    return bytes(out)


def _put_bytes(out: bytearray, data: bytes) -> None:
    put_length(out, len(data))
    out.extend(data)


# ---------------------------------------------------------------- decode


def decode(apdu: Bytes) -> Any:
    """The one APDU in `apdu`, as an instance of a class above or of acse.py; ProtocolError if it is
    none of these (ciphered ones go through security.py first)."""
    size = len(apdu)
    if size == 0:
        raise ProtocolError("an empty APDU")
    tag = apdu[0]
    if tag in _WHOLE:
        return _WHOLE[tag](apdu)
    if size < 3:
        raise ProtocolError("an APDU of %d bytes with tag 0x%02x" % (size, tag))
    key = tag << 8 | apdu[1]
    if key not in _VARIANTS:
        raise ProtocolError("no APDU known by tag 0x%02x and choice %d" % (tag, apdu[1]))
    return _VARIANTS[key](apdu, apdu[2])


def _octet_at(data: Bytes, pos: int) -> tuple[int, int]:
    if pos >= len(data):
        raise ProtocolError("the APDU ends early")
    return data[pos], pos + 1


def _u32_at(data: Bytes, pos: int) -> tuple[int, int]:
    if pos + 4 > len(data):
        raise ProtocolError("the APDU ends early")
    return int.from_bytes(bytes(data[pos : pos + 4]), "big"), pos + 4


def _descriptor_at(data: Bytes, pos: int) -> tuple[int, bytes, int, int]:
    if pos + 9 > len(data):
        raise ProtocolError("the APDU ends early")
    index = data[pos + 8]
    return (
        data[pos] << 8 | data[pos + 1],
        bytes(data[pos + 2 : pos + 8]),
        index - 256 if index > 127 else index,
        pos + 9,
    )


def _selection_at(data: Bytes, pos: int) -> tuple[Selection | None, int]:
    present, pos = _octet_at(data, pos)
    if not present:
        return None, pos
    selector, pos = _octet_at(data, pos)
    end = skip_at(data, pos)
    return (selector, bytes(data[pos:end])), end


def _block_at(data: Bytes, pos: int) -> tuple[bool, int, bytes]:
    """last-block, block-number, raw-data, which ends the APDU."""
    last, pos = _octet_at(data, pos)
    block, pos = _u32_at(data, pos)
    raw, pos = bytes_at(data, pos)
    _ends(data, pos)
    return last != 0, block, raw


def _ends(data: Bytes, pos: int) -> None:
    if pos != len(data):
        raise ProtocolError("%d bytes left over after the APDU" % (len(data) - pos))


def _rest(data: Bytes, pos: int) -> bytes:
    """The Data that fills the rest of the APDU."""
    if pos >= len(data):
        raise ProtocolError("the APDU ends where its data should begin")
    return bytes(data[pos:])


def _refusal_at(data: Bytes, pos: int) -> tuple[int, int]:
    result, pos = _octet_at(data, pos)
    if result == SUCCESS:
        raise ProtocolError("data-access-result success in place of the data")
    return result, pos


def _get_request(data: Bytes, invoke: int) -> GetRequest:
    class_id, obis, attribute, pos = _descriptor_at(data, 3)
    selection, pos = _selection_at(data, pos)
    _ends(data, pos)
    return GetRequest(invoke, class_id, obis, attribute, selection)


def _get_next(data: Bytes, invoke: int) -> GetNext:
    return GetNext(invoke, _lone_u32(data))


def _get_list_request(data: Bytes, invoke: int) -> GetListRequest:
    count, pos = length_at(data, 3)
    items: list[Target] = []
    for _ in range(count):  # a lie about the count ends at the first item that is not there
        class_id, obis, attribute, pos = _descriptor_at(data, pos)
        selection, pos = _selection_at(data, pos)
        items.append((class_id, obis, attribute, selection))
    _ends(data, pos)
    return GetListRequest(invoke, items)


def _get_response(data: Bytes, invoke: int) -> GetResponse:
    choice, pos = _octet_at(data, 3)
    if choice == 0:
        return GetResponse(invoke, SUCCESS, _rest(data, pos))
    if choice != 1:
        raise ProtocolError("Get-Data-Result is choice %d, not 0 or 1" % choice)
    result, pos = _refusal_at(data, pos)
    _ends(data, pos)
    return GetResponse(invoke, result, None)


def _get_block(data: Bytes, invoke: int) -> GetBlock:
    last, pos = _octet_at(data, 3)
    block, pos = _u32_at(data, pos)
    choice, pos = _octet_at(data, pos)
    result = SUCCESS
    raw = b""
    if choice == 0:
        raw, pos = bytes_at(data, pos)
    elif choice == 1:
        result, pos = _refusal_at(data, pos)
    else:
        raise ProtocolError("DataBlock-G is choice %d, not 0 or 1" % choice)
    _ends(data, pos)
    return GetBlock(invoke, last != 0, block, result, raw)


def _get_list_response(data: Bytes, invoke: int) -> GetListResponse:
    count, pos = length_at(data, 3)
    items, pos = data_results_at(data, pos, count)
    _ends(data, pos)
    return GetListResponse(invoke, items)


def data_results_at(
    data: Bytes, pos: int, count: int
) -> tuple[list[tuple[int, bytes | None]], int]:
    """`count` Get-Data-Results from `pos`, as (result, data or None), and the position after."""
    items: list[tuple[int, bytes | None]] = []
    for _ in range(count):
        choice, pos = _octet_at(data, pos)
        if choice == 0:
            end = skip_at(data, pos)
            items.append((SUCCESS, bytes(data[pos:end])))
            pos = end
        elif choice == 1:
            result, pos = _refusal_at(data, pos)
            items.append((result, None))
        else:
            raise ProtocolError("Get-Data-Result is choice %d, not 0 or 1" % choice)
    return items, pos


def _set_request(data: Bytes, invoke: int) -> SetRequest:
    class_id, obis, attribute, pos = _descriptor_at(data, 3)
    selection, pos = _selection_at(data, pos)
    return SetRequest(invoke, class_id, obis, attribute, selection, _rest(data, pos))


def _set_first_block(data: Bytes, invoke: int) -> SetFirstBlock:
    class_id, obis, attribute, pos = _descriptor_at(data, 3)
    selection, pos = _selection_at(data, pos)
    last, block, raw = _block_at(data, pos)
    return SetFirstBlock(invoke, class_id, obis, attribute, selection, last, block, raw)


def _set_block(data: Bytes, invoke: int) -> SetBlock:
    last, block, raw = _block_at(data, 3)
    return SetBlock(invoke, last, block, raw)


def _set_response(data: Bytes, invoke: int) -> SetResponse:
    result, pos = _octet_at(data, 3)
    _ends(data, pos)
    return SetResponse(invoke, result)


def _set_block_ack(data: Bytes, invoke: int) -> SetBlockAck:
    return SetBlockAck(invoke, _lone_u32(data))


def _set_last_ack(data: Bytes, invoke: int) -> SetLastAck:
    result, pos = _octet_at(data, 3)
    block, pos = _u32_at(data, pos)
    _ends(data, pos)
    return SetLastAck(invoke, result, block)


def _action_request(data: Bytes, invoke: int) -> ActionRequest:
    class_id, obis, method, pos = _descriptor_at(data, 3)
    present, pos = _octet_at(data, pos)
    if present:
        return ActionRequest(invoke, class_id, obis, method, _rest(data, pos))
    _ends(data, pos)
    return ActionRequest(invoke, class_id, obis, method, None)


def _action_next(data: Bytes, invoke: int) -> ActionNext:
    return ActionNext(invoke, _lone_u32(data))


def _action_first_block(data: Bytes, invoke: int) -> ActionFirstBlock:
    class_id, obis, method, pos = _descriptor_at(data, 3)
    last, block, raw = _block_at(data, pos)
    return ActionFirstBlock(invoke, class_id, obis, method, last, block, raw)


def _action_block(data: Bytes, invoke: int) -> ActionBlock:
    last, block, raw = _block_at(data, 3)
    return ActionBlock(invoke, last, block, raw)


def _action_response(data: Bytes, invoke: int) -> ActionResponse:
    result, pos = _octet_at(data, 3)
    present, pos = _octet_at(data, pos)
    if not present:
        _ends(data, pos)
        return ActionResponse(invoke, result)
    choice, pos = _octet_at(data, pos)
    if choice == 0:
        return ActionResponse(invoke, result, _rest(data, pos))
    if choice != 1:
        raise ProtocolError("Get-Data-Result is choice %d, not 0 or 1" % choice)
    # Meters do say data-access-result success here, for a method that returns nothing.
    data_result, pos = _octet_at(data, pos)
    _ends(data, pos)
    return ActionResponse(invoke, result, None, data_result)


def _action_response_block(data: Bytes, invoke: int) -> ActionResponseBlock:
    last, block, raw = _block_at(data, 3)
    return ActionResponseBlock(invoke, last, block, raw)


def _action_block_ack(data: Bytes, invoke: int) -> ActionBlockAck:
    return ActionBlockAck(invoke, _lone_u32(data))


def _lone_u32(data: Bytes) -> int:
    value, pos = _u32_at(data, 3)
    _ends(data, pos)
    return value


def _exception_response(data: Bytes) -> ExceptionResponse:
    if len(data) < 3:
        raise ProtocolError("exception-response of %d bytes" % len(data))
    if data[2] == INVOCATION_COUNTER_ERROR and len(data) > 3:
        return ExceptionResponse(data[1], data[2], _lone_u32(data))
    _ends(data, 3)
    return ExceptionResponse(data[1], data[2])


def _confirmed_service_error(data: Bytes) -> ConfirmedServiceError:
    if len(data) != 4:
        raise ProtocolError("confirmed-service-error of %d bytes where 4 are due" % len(data))
    return ConfirmedServiceError(data[1], data[2], data[3])


_WHOLE = {
    acse.AARQ: acse.Aarq.decode,
    acse.AARE: acse.Aare.decode,
    acse.RLRQ: acse.Rlrq.decode,
    acse.RLRE: acse.Rlre.decode,
    acse.INITIATE_REQUEST: acse.InitiateRequest.decode,
    acse.INITIATE_RESPONSE: acse.InitiateResponse.decode,
    EXCEPTION_RESPONSE: _exception_response,
    CONFIRMED_SERVICE_ERROR: _confirmed_service_error,
}
_VARIANTS = {
    GET_REQUEST << 8 | 1: _get_request,
    GET_REQUEST << 8 | 2: _get_next,
    GET_REQUEST << 8 | 3: _get_list_request,
    GET_RESPONSE << 8 | 1: _get_response,
    GET_RESPONSE << 8 | 2: _get_block,
    GET_RESPONSE << 8 | 3: _get_list_response,
    SET_REQUEST << 8 | 1: _set_request,
    SET_REQUEST << 8 | 2: _set_first_block,
    SET_REQUEST << 8 | 3: _set_block,
    SET_RESPONSE << 8 | 1: _set_response,
    SET_RESPONSE << 8 | 2: _set_block_ack,
    SET_RESPONSE << 8 | 3: _set_last_ack,
    ACTION_REQUEST << 8 | 1: _action_request,
    ACTION_REQUEST << 8 | 2: _action_next,
    ACTION_REQUEST << 8 | 4: _action_first_block,
    ACTION_REQUEST << 8 | 6: _action_block,
    ACTION_RESPONSE << 8 | 1: _action_response,
    ACTION_RESPONSE << 8 | 2: _action_response_block,
    ACTION_RESPONSE << 8 | 4: _action_block_ack,
}
