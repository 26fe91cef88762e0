"""GET, SET and ACTION inside one association, long ones in blocks. One APDU in, one out,
all plain: ciphering is the server's.

A request that repeats the previous one byte for byte (same invoke-id) is a client that lost the
answer: SET and ACTION are answered again without being carried out again; a GET is read anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dlms import acse, apdu, axdr, obis
from gateway.dlms.errors import ProtocolError
from tools.meter.association import CURRENT, AssociationLN
from tools.meter.model import CosemObject, Meter, Refused
from tools.meter.profile import ProfileGeneric

ACCESS = {name: number for number, name in apdu.ACCESS_RESULTS.items()}
ACTION = {name: number for number, name in apdu.ACTION_RESULTS.items()}
SERVICE_NOT_ALLOWED, SERVICE_UNKNOWN = 1, 2  # state-error
NOT_POSSIBLE, NOT_SUPPORTED, OTHER_REASON, PDU_TOO_LONG = 1, 2, 3, 4  # service-error
BLOCK_HEAD = 14  # what a response with one block adds to its raw data, at most
MOST_COLLECTED = 1 << 16  # bytes of one long SET or ACTION

Answer = Any  # one of the response classes of gateway.dlms.apdu


class _Sending:
    """A long GET answer going out: block `number` was sent last."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size
        self.number = 1

    def block(self) -> tuple[bool, int, bytes]:
        start = (self.number - 1) * self.size
        return (
            start + self.size >= len(self.data),
            self.number,
            self.data[start : start + self.size],
        )


class _Collecting:
    """A long SET or ACTION coming in: blocks up to `number` are there."""

    def __init__(self, class_id: int, name: bytes, index: int) -> None:
        self.target = (class_id, name, index)
        self.data = bytearray()
        self.number = 0


class Services:
    """`limit` is the longest plain response; `conformance` what was negotiated."""

    def __init__(
        self, meter: Meter, association: AssociationLN, limit: int, conformance: int
    ) -> None:
        self.meter = meter
        self.association = association
        self.limit = limit
        self.conformance = conformance
        self._sending: _Sending | None = None
        self._collecting: _Collecting | None = None
        self._last: tuple[bytes, bytes] = (b"", b"")  # the request carried out last, its response

    def handle(self, raw: bytes) -> bytes:
        """One plain request to one plain response."""
        request, response = self._last
        if raw == request:
            return response
        try:
            decoded = apdu.decode(raw)
        except ProtocolError:
            return exception(SERVICE_UNKNOWN, OTHER_REASON)
        response = bytes(self._dispatch(decoded).encode())
        # reading has no effect that could happen twice; the numbered blocks look after themselves
        repeatable = isinstance(decoded, (apdu.GetRequest, apdu.GetListRequest, apdu.GetNext))
        self._last = (b"", b"") if repeatable else (raw, response)
        return response

    def _dispatch(self, request: Any) -> Answer:
        handlers: dict[type, tuple[int, Callable[[Any], Answer]]] = {
            apdu.GetRequest: (acse.GET, self._get),
            apdu.GetNext: (acse.BLOCK_GET, self._get_next),
            apdu.GetListRequest: (acse.MULTIPLE_REFERENCES, self._get_list),
            apdu.SetRequest: (acse.SET, self._set),
            apdu.SetFirstBlock: (acse.BLOCK_SET, self._set_first),
            apdu.SetBlock: (acse.BLOCK_SET, self._set_block),
            apdu.ActionRequest: (acse.ACTION, self._action),
            apdu.ActionFirstBlock: (acse.BLOCK_ACTION, self._action_first),
            apdu.ActionBlock: (acse.BLOCK_ACTION, self._action_block),
        }
        needed, handler = handlers.get(type(request), (0, None))
        if handler is None or not needed & self.conformance:
            return apdu.ExceptionResponse(SERVICE_NOT_ALLOWED, NOT_SUPPORTED)
        return handler(request)

    # ------------------------------------------------------------ access to the objects

    def _find(self, class_id: int, name: bytes) -> CosemObject:
        text = obis.text(name)
        if class_id == AssociationLN.class_id and text == CURRENT:
            return self.association
        return self.meter.find(class_id, text)

    def _read(
        self, class_id: int, name: bytes, index: int, selection: tuple[int, bytes] | None
    ) -> bytes:
        found = self._find(class_id, name)
        typed = found.read(index, self.association.client_sap)
        if selection is not None:
            if not isinstance(found, ProfileGeneric) or index != 2:
                raise Refused("scope-of-access-violated")
            typed = found.selected(selection[0], axdr.decode(selection[1]))
        return axdr.encode(typed)

    def _write(self, class_id: int, name: bytes, index: int, data: bytes) -> int:
        text = obis.text(name)
        try:
            typed = axdr.decode(data)
            if self.meter.faults.refuse_write == (class_id, text, index):
                raise Refused("read-write-denied")
            self._find(class_id, name).write(index, typed, self.association.client_sap)
        except ProtocolError:
            return ACCESS["type-unmatched"]
        except Refused as refused:
            return ACCESS[refused.result]
        self.meter.log.add("set", class_id, text, index)
        return apdu.SUCCESS

    def _invoke(
        self, class_id: int, name: bytes, index: int, data: bytes | None
    ) -> tuple[int, bytes | None]:
        text = obis.text(name)
        try:
            typed = (axdr.NULL, None) if data is None else axdr.decode(data)
            returned = self._find(class_id, name).invoke(index, typed, self.association.client_sap)
        except ProtocolError:
            return ACTION["type-unmatched"], None
        except Refused as refused:
            return ACTION[refused.result], None
        if class_id != AssociationLN.class_id:  # proving who one is changes nothing
            self.meter.log.add("action", class_id, text, index)
        return apdu.SUCCESS, None if returned is None else axdr.encode(returned)

    # ------------------------------------------------------------ GET

    def _get(self, request: apdu.GetRequest) -> Answer:
        try:
            data = self._read(request.class_id, request.obis, request.attribute, request.selection)
        except (Refused, ProtocolError) as error:
            return apdu.GetResponse(request.invoke, _access_result(error), None)
        response = apdu.GetResponse(request.invoke, apdu.SUCCESS, data)
        if len(data) + 4 <= self.limit:
            return response
        return self._start_get_blocks(request.invoke, data)

    def _get_list(self, request: apdu.GetListRequest) -> Answer:
        items: list[tuple[int, bytes | None]] = []
        for target in request.items:
            try:
                items.append((apdu.SUCCESS, self._read(*target)))
            except (Refused, ProtocolError) as error:
                items.append((_access_result(error), None))
        response = apdu.GetListResponse(request.invoke, items)
        encoded = response.encode()
        if len(encoded) <= self.limit:
            return response
        return self._start_get_blocks(request.invoke, encoded[3:])

    def _start_get_blocks(self, invoke: int, data: bytes) -> Answer:
        if not self.conformance & acse.BLOCK_GET:
            return apdu.GetResponse(invoke, ACCESS["other-reason"], None)
        self._sending = _Sending(data, self.limit - BLOCK_HEAD)
        return self._get_block(invoke)

    def _get_block(self, invoke: int) -> Answer:
        assert self._sending is not None
        last, number, data = self._sending.block()
        return apdu.GetBlock(invoke, last, number, apdu.SUCCESS, data)

    def _get_next(self, request: apdu.GetNext) -> Answer:
        sending = self._sending
        result = "no-long-get-in-progress"
        if sending is not None:
            if self._advance(sending, request.block):
                return self._get_block(request.invoke)
            result = "data-block-number-invalid"
            self._sending = None
        return apdu.GetBlock(request.invoke, True, request.block, ACCESS[result], b"")

    def _advance(self, sending: _Sending, acknowledged: int) -> bool:
        """The client has block `acknowledged` and asks for the next (again, if that was lost)."""
        last = sending.block()[0]
        if acknowledged == sending.number and not last:
            sending.number += 1
            return True
        return acknowledged == sending.number - 1 and acknowledged > 0

    # ------------------------------------------------------------ SET

    def _set(self, request: apdu.SetRequest) -> Answer:
        result = (
            ACCESS["scope-of-access-violated"]
            if request.selection is not None
            else self._write(request.class_id, request.obis, request.attribute, request.data)
        )
        return apdu.SetResponse(request.invoke, result)

    def _set_first(self, request: apdu.SetFirstBlock) -> Answer:
        if request.selection is not None:
            return apdu.SetResponse(request.invoke, ACCESS["scope-of-access-violated"])
        self._collecting = _Collecting(request.class_id, request.obis, request.attribute)
        return self._set_block(request)

    def _set_block(self, request: apdu.SetFirstBlock | apdu.SetBlock) -> Answer:
        collecting = self._collecting
        if collecting is None:
            return apdu.SetLastAck(request.invoke, ACCESS["no-long-set-in-progress"], request.block)
        trouble = self._collect(collecting, request.block, request.data)
        if trouble:
            result = ACCESS["long-set-aborted" if trouble == "too-long" else trouble]
            return apdu.SetResponse(request.invoke, result)
        if not request.last:
            return apdu.SetBlockAck(request.invoke, request.block)
        self._collecting = None
        result = self._write(*collecting.target, bytes(collecting.data))
        return apdu.SetLastAck(request.invoke, result, request.block)

    def _collect(self, collecting: _Collecting, number: int, data: bytes) -> str:
        """Add one block; the name of what is wrong (and the transfer is over), or ""."""
        if number != collecting.number + 1:
            self._collecting = None
            return "data-block-number-invalid"
        if len(collecting.data) + len(data) > MOST_COLLECTED:
            self._collecting = None
            return "too-long"
        collecting.data += data
        collecting.number = number
        return ""

    # ------------------------------------------------------------ ACTION

    def _action(self, request: apdu.ActionRequest) -> Answer:
        result, data = self._invoke(request.class_id, request.obis, request.method, request.data)
        return apdu.ActionResponse(request.invoke, result, data)

    def _action_first(self, request: apdu.ActionFirstBlock) -> Answer:
        self._collecting = _Collecting(request.class_id, request.obis, request.method)
        return self._action_block(request)

    def _action_block(self, request: apdu.ActionFirstBlock | apdu.ActionBlock) -> Answer:
        collecting = self._collecting
        if collecting is None:
            return apdu.ActionResponse(request.invoke, ACTION["no-long-action-in-progress"])
        if self._collect(collecting, request.block, request.data):
            return apdu.ActionResponse(request.invoke, ACTION["long-action-aborted"])
        if not request.last:
            return apdu.ActionBlockAck(request.invoke, request.block)
        self._collecting = None
        result, data = self._invoke(*collecting.target, bytes(collecting.data))
        return apdu.ActionResponse(request.invoke, result, data)


def exception(state: int, service: int, counter: int | None = None) -> bytes:
    return apdu.ExceptionResponse(state, service, counter).encode()


def _access_result(error: Refused | ProtocolError) -> int:
    return ACCESS[error.result] if isinstance(error, Refused) else ACCESS["type-unmatched"]
