"""ACCESS, both directions: reads, writes and methods mixed in one exchange (Green Book 9.3.5)."""

from __future__ import annotations

from gateway.dlms.apdu.parts import (
    date_time_at,
    descriptor,
    descriptor_at,
    ends,
    octet_at,
    put_bytes,
    selection_of,
    u32,
    u32_at,
    values_at,
    values_of,
)
from gateway.dlms.data.axdr import length_at, put_length, skip_at
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from gateway.dlms.apdu.parts import Selection
    from gateway.dlms.data.axdr import Bytes

    Operation: TypeAlias = "AccessGet | AccessSet | AccessAction"
    AccessResult = tuple[int, int, bytes]  # ACCESS_GET.., result, one Data (null-data for none)

ACCESS_REQUEST = 0xD9
ACCESS_RESPONSE = 0xDA

# the CHOICE of Access-Request-Specification; the first three also of Access-Response-Specification
ACCESS_GET = 1
ACCESS_SET = 2
ACCESS_ACTION = 3
_GET_SELECTED = 4
_SET_SELECTED = 5

# long-invoke-id-and-priority: bits 0 to 23 are the id
BREAK_ON_ERROR = 1 << 29
LONG_CONFIRMED = 1 << 30
LONG_ID = 0xFFFFFF

_NULL = b"\x00"


class AccessGet(Fields):
    __slots__ = ("attribute", "class_id", "obis", "selection")
    FIELDS = ("class_id", "obis", "attribute", "selection")
    CHOICE = ACCESS_GET

    def __init__(
        self, class_id: int, obis: bytes, attribute: int, selection: Selection | None = None
    ) -> None:
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.selection = selection

    def specification(self) -> bytes:
        return _selectable(ACCESS_GET, _GET_SELECTED, self)

    def value(self) -> bytes:
        return _NULL


class AccessSet(Fields):
    __slots__ = ("attribute", "class_id", "data", "obis", "selection")
    FIELDS = ("class_id", "obis", "attribute", "data", "selection")
    CHOICE = ACCESS_SET

    def __init__(
        self,
        class_id: int,
        obis: bytes,
        attribute: int,
        data: bytes,
        selection: Selection | None = None,
    ) -> None:
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.data = data
        self.selection = selection

    def specification(self) -> bytes:
        return _selectable(ACCESS_SET, _SET_SELECTED, self)

    def value(self) -> bytes:
        return self.data


class AccessAction(Fields):
    """`data` None is sent, and read back, as null-data: ACCESS has no other way to say nothing."""

    __slots__ = ("class_id", "data", "method", "obis")
    FIELDS = ("class_id", "obis", "method", "data")
    CHOICE = ACCESS_ACTION

    def __init__(self, class_id: int, obis: bytes, method: int, data: bytes | None = None) -> None:
        self.class_id = class_id
        self.obis = obis
        self.method = method
        self.data = data

    def specification(self) -> bytes:
        return bytes((ACCESS_ACTION,)) + descriptor(self.class_id, self.obis, self.method)

    def value(self) -> bytes:
        return _NULL if self.data is None else self.data


class AccessRequest(Fields):
    """`invoke` is the whole long-invoke-id-and-priority (32 bits), `date_time` 12 bytes or none."""

    __slots__ = ("date_time", "invoke", "operations")
    FIELDS = ("invoke", "date_time", "operations")

    def __init__(self, invoke: int, date_time: bytes, operations: list[Operation]) -> None:
        self.invoke = invoke
        self.date_time = date_time
        self.operations = operations

    def encode(self) -> bytes:
        out = bytearray((ACCESS_REQUEST,))
        out.extend(u32(self.invoke))
        put_bytes(out, self.date_time)
        put_length(out, len(self.operations))
        for operation in self.operations:
            out.extend(operation.specification())
        out.extend(values_of([operation.value() for operation in self.operations]))
        return bytes(out)


class AccessResponse(Fields):
    """`items` are (ACCESS_GET.., result, one Data), in the order asked; the result is of
    ACCESS_RESULTS, of an ACTION of ACTION_RESULTS."""

    __slots__ = ("date_time", "invoke", "items")
    FIELDS = ("invoke", "date_time", "items")

    def __init__(self, invoke: int, date_time: bytes, items: list[AccessResult]) -> None:
        self.invoke = invoke
        self.date_time = date_time
        self.items = items

    def encode(self) -> bytes:
        out = bytearray((ACCESS_RESPONSE,))
        out.extend(u32(self.invoke))
        put_bytes(out, self.date_time)
        out.append(0)  # the request's specification is not repeated
        out.extend(values_of([data for _, _, data in self.items]))
        put_length(out, len(self.items))
        for choice, result, _ in self.items:
            out.append(choice)
            out.append(result)
        return bytes(out)


def _selectable(choice: int, selected: int, operation: AccessGet | AccessSet) -> bytes:
    what = descriptor(operation.class_id, operation.obis, operation.attribute)
    if operation.selection is None:
        return bytes((choice,)) + what
    # the choice says that a selection follows: it has no presence flag of its own
    return bytes((selected,)) + what + selection_of(operation.selection)[1:]


def _specifications_at(data: Bytes, pos: int) -> tuple[list[Operation], int]:
    count, pos = length_at(data, pos)
    operations: list[Operation] = []
    for _ in range(count):
        choice, pos = octet_at(data, pos)
        class_id, obis, index, pos = descriptor_at(data, pos)
        selection: Selection | None = None
        if choice in (_GET_SELECTED, _SET_SELECTED):
            selector, pos = octet_at(data, pos)
            end = skip_at(data, pos)
            selection = (selector, bytes(data[pos:end]))
            pos = end
        if choice in (ACCESS_GET, _GET_SELECTED):
            operations.append(AccessGet(class_id, obis, index, selection))
        elif choice in (ACCESS_SET, _SET_SELECTED):
            operations.append(AccessSet(class_id, obis, index, _NULL, selection))
        elif choice == ACCESS_ACTION:
            operations.append(AccessAction(class_id, obis, index))
        else:
            raise ProtocolError("Access-Request-Specification is choice %d, not 1..5" % choice)
    return operations, pos


def _access_request(data: Bytes) -> AccessRequest:
    invoke, pos = u32_at(data, 1)
    date_time, pos = date_time_at(data, pos)
    operations, pos = _specifications_at(data, pos)
    values, pos = values_at(data, pos)
    ends(data, pos)
    if len(values) != len(operations):
        raise ProtocolError("%d values for %d operations" % (len(values), len(operations)))
    for operation, value in zip(operations, values):  # noqa: B905 (lengths are equal)
        if isinstance(operation, AccessSet) or (
            isinstance(operation, AccessAction) and value != _NULL
        ):
            operation.data = value
    return AccessRequest(invoke, date_time, operations)


def _access_response(data: Bytes) -> AccessResponse:
    invoke, pos = u32_at(data, 1)
    date_time, pos = date_time_at(data, pos)
    repeated, pos = octet_at(data, pos)
    if repeated:
        _, pos = _specifications_at(data, pos)
    values, pos = values_at(data, pos)
    count, pos = length_at(data, pos)
    if count != len(values):
        raise ProtocolError("%d values for %d results" % (len(values), count))
    items: list[AccessResult] = []
    for value in values:
        choice, pos = octet_at(data, pos)
        result, pos = octet_at(data, pos)
        if not ACCESS_GET <= choice <= ACCESS_ACTION:
            raise ProtocolError("Access-Response-Specification is choice %d, not 1..3" % choice)
        items.append((choice, result, value))
    ends(data, pos)
    return AccessResponse(invoke, date_time, items)


ACCESS_DECODERS = {
    ACCESS_REQUEST: _access_request,
    ACCESS_RESPONSE: _access_response,
}
