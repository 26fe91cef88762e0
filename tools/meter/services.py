"""GET, SET, ACTION and ACCESS inside one association, long ones in blocks. One APDU in, one out,
all plain: ciphering and general blocks are the server's.

A request that repeats the previous one byte for byte (same invoke-id) is a client that lost the
answer: SET and ACTION are answered again without being carried out again; a GET is read anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.errors import ProtocolError
from tools.meter.access import ACCESS, ACTION, Access
from tools.meter.association import AssociationLN
from tools.meter.model import Meter

SERVICE_NOT_ALLOWED, SERVICE_UNKNOWN = 1, 2  # state-error
NOT_POSSIBLE, NOT_SUPPORTED, OTHER_REASON, PDU_TOO_LONG = 1, 2, 3, 4  # service-error
BLOCK_HEAD = 14  # what a response with one block adds to its raw data, at most
MOST_COLLECTED = 1 << 16  # bytes of one long SET or ACTION
CONFIRMED = 0x40  # of an invoke-id-and-priority
NOTHING = b"\x00"  # null-data
REPLY_TO_HLS = (15, 1)  # class, method

Answer = Any  # one of the response classes of gateway.dlms.apdu


class _Sending:
    """A long answer going out: block `number` was sent last."""

    def __init__(self, service: type, data: bytes, size: int) -> None:
        self.service = service  # GetNext or ActionNext: how the client asks for more
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

    def advance(self, acknowledged: int) -> bool:
        """The client has block `acknowledged` and asks for the next (again, if that was lost)."""
        last = self.block()[0]
        if acknowledged == self.number and not last:
            self.number += 1
            return True
        return acknowledged == self.number - 1 and acknowledged > 0


class _Collecting:
    """A long SET or ACTION coming in: blocks up to `number` are there. `carry_out` gets the value
    and makes the answer to the last block."""

    def __init__(self, service: type, carry_out: Callable[[Any, bytes], Answer]) -> None:
        self.service = service  # SetBlock or ActionBlock: what goes on with it
        self.carry_out = carry_out
        self.data = bytearray()
        self.number = 0

    def add(self, number: int, data: bytes) -> str:
        """Add one block; the name of what is wrong, or ""."""
        if number != self.number + 1:
            return "data-block-number-invalid"
        if len(self.data) + len(data) > MOST_COLLECTED:
            return "too-long"
        self.data += data
        self.number = number
        return ""


class Services:
    """`limit` is the longest plain response; `conformance` what was negotiated."""

    def __init__(
        self, meter: Meter, association: AssociationLN, limit: int, conformance: int
    ) -> None:
        self.limit = limit
        self.conformance = conformance
        self._access = Access(meter, association)
        self._sending: _Sending | None = None
        self._collecting: _Collecting | None = None
        self._last: tuple[bytes, bytes] = (b"", b"")  # the request carried out last, its response
        self._limit = limit  # of the response under way
        self._handlers: dict[type, tuple[int, Callable[[Any], Answer]]] = {
            apdu.GetRequest: (acse.GET, self._get),
            apdu.GetNext: (acse.BLOCK_GET, self._next),
            apdu.GetListRequest: (acse.GET | acse.MULTIPLE_REFERENCES, self._get_list),
            apdu.SetRequest: (acse.SET, self._set),
            apdu.SetFirstBlock: (acse.SET | acse.BLOCK_SET, self._set_first),
            apdu.SetBlock: (acse.BLOCK_SET, self._set_block),
            apdu.SetListRequest: (acse.SET | acse.MULTIPLE_REFERENCES, self._set_list),
            apdu.SetListFirstBlock: (
                acse.SET | acse.MULTIPLE_REFERENCES | acse.BLOCK_SET,
                self._set_list_first,
            ),
            apdu.ActionRequest: (acse.ACTION, self._action),
            apdu.ActionFirstBlock: (acse.ACTION | acse.BLOCK_ACTION, self._action_first),
            apdu.ActionBlock: (acse.BLOCK_ACTION, self._action_block),
            apdu.ActionNext: (acse.BLOCK_ACTION, self._next),
            apdu.ActionListRequest: (acse.ACTION | acse.MULTIPLE_REFERENCES, self._action_list),
            apdu.ActionListFirstBlock: (
                acse.ACTION | acse.MULTIPLE_REFERENCES | acse.BLOCK_ACTION,
                self._action_list_first,
            ),
            apdu.AccessRequest: (acse.ACCESS, self._access_request),
        }

    @staticmethod
    def is_hls_reply(plain: bytes) -> bool:
        try:
            request = apdu.decode(plain)
        except ProtocolError:
            return False
        return (
            isinstance(request, apdu.ActionRequest)
            and (request.class_id, request.method) == REPLY_TO_HLS
        )

    def handle(self, raw: bytes, limit: int | None = None) -> bytes:
        """One plain request to one plain response of at most `limit` bytes (None: the
        association's); b"" where the request wants none."""
        request, response = self._last
        if raw == request:
            return response
        try:
            decoded = apdu.decode(raw)
        except ProtocolError:
            return exception(SERVICE_UNKNOWN, OTHER_REASON)
        self._limit = self.limit if limit is None else limit
        response = bytes(self._dispatch(decoded).encode())
        if isinstance(decoded, (apdu.SetRequest, apdu.ActionRequest)) and not (
            decoded.invoke & CONFIRMED
        ):
            response = b""
        # reading has no effect that could happen twice; the numbered blocks look after themselves
        repeatable = isinstance(
            decoded, (apdu.GetRequest, apdu.GetListRequest, apdu.GetNext, apdu.ActionNext)
        )
        self._last = (b"", b"") if repeatable else (raw, response)
        return response

    def _general(self, own_blocks: int) -> bool:
        """Whether a long response goes as it is, in general blocks, because the service's own ones
        are not agreed to."""
        general = self.conformance & acse.GENERAL_BLOCK_TRANSFER
        return bool(general) and not self.conformance & own_blocks

    def _dispatch(self, request: Any) -> Answer:
        needed, handler = self._handlers.get(type(request), (0, None))
        if handler is None or needed & self.conformance != needed:
            return apdu.ExceptionResponse(SERVICE_NOT_ALLOWED, NOT_SUPPORTED)
        return handler(request)

    # ------------------------------------------------------------ GET

    def _get(self, request: apdu.GetRequest) -> Answer:
        result, data = self._read(
            request.class_id, request.obis, request.attribute, request.selection
        )
        response = apdu.GetResponse(request.invoke, result, data)
        if data is None or len(data) + 4 <= self._limit or self._general(acse.BLOCK_GET):
            return response
        return self._start_get_blocks(request.invoke, data)

    def _get_list(self, request: apdu.GetListRequest) -> Answer:
        items = [self._read(*target) for target in request.items]
        response = apdu.GetListResponse(request.invoke, items)
        encoded = response.encode()
        if len(encoded) <= self._limit or self._general(acse.BLOCK_GET):
            return response
        return self._start_get_blocks(request.invoke, encoded[3:])

    def _read(
        self, class_id: int, name: bytes, index: int, selection: tuple[int, bytes] | None
    ) -> tuple[int, bytes | None]:
        if selection is not None and not self.conformance & acse.SELECTIVE_ACCESS:
            return ACCESS["scope-of-access-violated"], None
        return self._access.read(class_id, name, index, selection)

    def _start_get_blocks(self, invoke: int, data: bytes) -> Answer:
        if not self.conformance & acse.BLOCK_GET:
            return apdu.GetResponse(invoke, ACCESS["other-reason"], None)
        self._sending = _Sending(apdu.GetNext, data, self._limit - BLOCK_HEAD)
        return self._block(invoke)

    def _block(self, invoke: int) -> Answer:
        assert self._sending is not None
        last, number, data = self._sending.block()
        if self._sending.service is apdu.ActionNext:
            return apdu.ActionResponseBlock(invoke, last, number, data)
        return apdu.GetBlock(invoke, last, number, apdu.SUCCESS, data)

    def _next(self, request: apdu.GetNext | apdu.ActionNext) -> Answer:
        sending = self._sending
        reading = isinstance(request, apdu.GetNext)
        result = "no-long-get-in-progress" if reading else "no-long-action-in-progress"
        if sending is not None and sending.service is type(request):
            if sending.advance(request.block):
                return self._block(request.invoke)
            result = "data-block-number-invalid" if reading else "long-action-aborted"
            self._sending = None
        if reading:
            return apdu.GetBlock(request.invoke, True, request.block, ACCESS[result], b"")
        return apdu.ActionResponse(request.invoke, ACTION[result])

    # ------------------------------------------------------------ SET

    def _set(self, request: apdu.SetRequest) -> Answer:
        target = (request.class_id, request.obis, request.attribute, request.selection)
        return apdu.SetResponse(request.invoke, self._access.write(*target, request.data))

    def _set_list(self, request: apdu.SetListRequest) -> Answer:
        pairs = zip(request.items, request.values, strict=True)
        results = [self._access.write(*target, data) for target, data in pairs]
        return apdu.SetListResponse(request.invoke, results)

    def _set_first(self, request: apdu.SetFirstBlock) -> Answer:
        target = (request.class_id, request.obis, request.attribute, request.selection)
        self._collecting = _Collecting(
            apdu.SetBlock,
            lambda last, data: apdu.SetLastAck(
                last.invoke, self._access.write(*target, data), last.block
            ),
        )
        return self._set_block(request)

    def _set_list_first(self, request: apdu.SetListFirstBlock) -> Answer:
        def carry_out(last: Any, data: bytes) -> Answer:
            values = _values(data)
            if len(values) != len(request.items):
                return apdu.SetResponse(last.invoke, ACCESS["type-unmatched"])
            pairs = zip(request.items, values, strict=True)
            results = [self._access.write(*target, value) for target, value in pairs]
            return apdu.SetLastListAck(last.invoke, results, last.block)

        self._collecting = _Collecting(apdu.SetBlock, carry_out)
        return self._set_block(request)

    def _set_block(self, request: Any) -> Answer:
        collecting = self._collecting
        if collecting is None or collecting.service is not apdu.SetBlock:
            return apdu.SetLastAck(request.invoke, ACCESS["no-long-set-in-progress"], request.block)
        trouble = collecting.add(request.block, request.data)
        if trouble:
            self._collecting = None
            result = ACCESS["long-set-aborted" if trouble == "too-long" else trouble]
            return apdu.SetResponse(request.invoke, result)
        if not request.last:
            return apdu.SetBlockAck(request.invoke, request.block)
        self._collecting = None
        return collecting.carry_out(request, bytes(collecting.data))

    # ------------------------------------------------------------ ACTION

    def _action(self, request: apdu.ActionRequest) -> Answer:
        result, data = self._access.invoke(
            request.class_id, request.obis, request.method, request.data
        )
        return self._returned(request.invoke, result, data)

    def _returned(self, invoke: int, result: int, data: bytes | None) -> Answer:
        response = apdu.ActionResponse(invoke, result, data)
        if data is None or len(data) + 6 <= self._limit or self._general(acse.BLOCK_ACTION):
            return response
        # a Get-Data-Result in blocks: data [0], and the Data
        return self._start_action_blocks(invoke, b"\x00" + data)

    def _action_list(self, request: apdu.ActionListRequest) -> Answer:
        return self._invoke_all(request.invoke, request.items, request.values)

    def _invoke_all(
        self, invoke: int, items: list[tuple[int, bytes, int]], values: list[bytes]
    ) -> Answer:
        outcomes = []
        for target, value in zip(items, values, strict=True):
            result, data = self._access.invoke(*target, None if value == NOTHING else value)
            outcomes.append((result, data, apdu.SUCCESS))
        response = apdu.ActionListResponse(invoke, outcomes)
        encoded = response.encode()
        if len(encoded) <= self._limit or self._general(acse.BLOCK_ACTION):
            return response
        return self._start_action_blocks(invoke, encoded[3:])

    def _start_action_blocks(self, invoke: int, data: bytes) -> Answer:
        if not self.conformance & acse.BLOCK_ACTION:
            return apdu.ActionResponse(invoke, apdu.SUCCESS, None, ACCESS["other-reason"])
        self._sending = _Sending(apdu.ActionNext, data, self._limit - BLOCK_HEAD)
        return self._block(invoke)

    def _action_first(self, request: apdu.ActionFirstBlock) -> Answer:
        target = (request.class_id, request.obis, request.method)
        self._collecting = _Collecting(
            apdu.ActionBlock,
            lambda last, data: self._returned(last.invoke, *self._access.invoke(*target, data)),
        )
        return self._action_block(request)

    def _action_list_first(self, request: apdu.ActionListFirstBlock) -> Answer:
        def carry_out(last: Any, data: bytes) -> Answer:
            values = _values(data)
            if len(values) != len(request.items):
                return apdu.ActionResponse(last.invoke, ACTION["type-unmatched"])
            return self._invoke_all(last.invoke, request.items, values)

        self._collecting = _Collecting(apdu.ActionBlock, carry_out)
        return self._action_block(request)

    def _action_block(self, request: Any) -> Answer:
        collecting = self._collecting
        if collecting is None or collecting.service is not apdu.ActionBlock:
            return apdu.ActionResponse(request.invoke, ACTION["no-long-action-in-progress"])
        if collecting.add(request.block, request.data):
            self._collecting = None
            return apdu.ActionResponse(request.invoke, ACTION["long-action-aborted"])
        if not request.last:
            return apdu.ActionBlockAck(request.invoke, request.block)
        self._collecting = None
        return collecting.carry_out(request, bytes(collecting.data))

    # ------------------------------------------------------------ ACCESS

    def _access_request(self, request: apdu.AccessRequest) -> Answer:
        """In order; after the first refusal the rest is left undone where the client wants so."""
        items = []
        for operation in request.operations:
            result, data = self._perform(operation)
            items.append((operation.CHOICE, result, data or NOTHING))
            if result != apdu.SUCCESS and request.invoke & apdu.BREAK_ON_ERROR:
                break
        response = apdu.AccessResponse(request.invoke, b"", items)
        # ACCESS has no blocks of its own
        if len(response.encode()) <= self._limit or self._general(0):
            return response
        return apdu.ExceptionResponse(SERVICE_NOT_ALLOWED, PDU_TOO_LONG)

    def _perform(self, operation: Any) -> tuple[int, bytes | None]:
        if isinstance(operation, apdu.AccessGet):
            return self._read(
                operation.class_id, operation.obis, operation.attribute, operation.selection
            )
        if isinstance(operation, apdu.AccessSet):
            target = (
                operation.class_id,
                operation.obis,
                operation.attribute,
                operation.selection,
            )
            return self._access.write(*target, operation.data), None
        return self._access.invoke(
            operation.class_id, operation.obis, operation.method, operation.data
        )


def exception(state: int, service: int, counter: int | None = None) -> bytes:
    return apdu.ExceptionResponse(state, service, counter).encode()


def _values(data: bytes) -> list[bytes]:
    """The values of a list, joined from their blocks; none where they are malformed."""
    try:
        values, end = apdu.values_at(data, 0)
    except ProtocolError:
        return []
    return values if end == len(data) else []
