"""ACTION over an Exchange: one method, or a list of them; in blocks where they are long.

A method is never invoked twice: the request, or the last block of one, is sent once.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.reading import without_stray
from gateway.dlms.client.refusals import action_refused
from gateway.dlms.client.unkept import together
from gateway.dlms.data import cosem, obis
from gateway.dlms.errors import ActionRefused, NotSupported, ProtocolError, ServiceRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.apdu.action import Method
    from gateway.dlms.apdu.parts import DataResult
    from gateway.dlms.client.exchange import Exchange

_MOST_LIST = 64  # methods invoked by one list
_NULL = b"\x00"


def step_of(class_id: int, name: bytes, method: int) -> str:
    return "ACTION %s of %s" % (cosem.method_name(class_id, method), obis.text(name))


async def action(
    exchange: Exchange,
    class_id: int,
    name: bytes,
    method: int,
    data: bytes | None,
    confirmed: bool,
) -> bytes | None:
    step = step_of(class_id, name, method)
    exchange.need(acse.ACTION, "ACTION", step)
    if not confirmed:
        request = apdu.ActionRequest(exchange.next_invoke(False), class_id, name, method, data)
        await exchange.tell(request.encode(), step)
        return None
    request = apdu.ActionRequest(exchange.next_invoke(), class_id, name, method, data)
    answer = await _invoke(exchange, request, step)
    if isinstance(answer, apdu.ActionResponseBlock):
        value = await _joined(exchange, answer, request.invoke, step)
        # The blocks hold a Get-Data-Result; some meters send its Data alone. A Data of more than
        # one byte cannot begin with 0 (null-data), so the two are told apart.
        return without_stray(value[1:] if len(value) > 1 and value[0] == 0 else value, step)
    if answer.result != apdu.SUCCESS:
        raise action_refused(answer.result, step)
    if answer.data_result != apdu.SUCCESS:
        result = apdu.access_result_name(answer.data_result)
        text = "%s: done, but its answer: %s" % (step, result)
        raise ActionRefused(result, step, text, apdu.SUCCESS)
    found: bytes | None = answer.data
    return None if found is None else without_stray(found, step)


async def action_list(
    exchange: Exchange, items: list[tuple[Method, bytes | None]]
) -> list[DataResult]:
    found: list[DataResult] = []
    while len(found) < len(items):
        wanted = items[len(found) : len(found) + _MOST_LIST]
        if len(wanted) > 1 and exchange.agreed(acse.ACTION | acse.MULTIPLE_REFERENCES):
            while len(wanted) > 1 and not _goes(exchange, _list_request(0, wanted)):
                wanted = wanted[: len(wanted) // 2]
        else:
            wanted = wanted[:1]
        if len(wanted) > 1:
            # Where the meter says nothing, they may be invoked already: only a refusal counts.
            found += await together(exchange, wanted, _listed, _single, (ServiceRefused,))
        else:
            found.append(await _single(exchange, wanted[0]))
    return found


async def _single(exchange: Exchange, item: tuple[Method, bytes | None]) -> DataResult:
    (class_id, name, method), data = item
    try:
        return apdu.SUCCESS, await action(exchange, class_id, name, method, data, True)
    except ActionRefused as refused:
        return refused.number, None


async def _listed(exchange: Exchange, items: list[tuple[Method, bytes | None]]) -> list[DataResult]:
    step = "ACTION of %d methods, first %s" % (len(items), step_of(*items[0][0])[7:])
    request = _list_request(exchange.next_invoke(), items)
    answer = await _invoke(exchange, request, step)
    if isinstance(answer, apdu.ActionResponse):
        raise action_refused(answer.result, step)
    if isinstance(answer, apdu.ActionResponseBlock):
        value = await _joined(exchange, answer, request.invoke, step)
        outcomes, pos = apdu.action_results_at(value, 0)
        if pos != len(value):
            raise ProtocolError("%s: bytes left over after the answers" % step)
    else:
        outcomes = answer.items
    if len(outcomes) != len(items):
        raise ProtocolError("%s: %d answers came" % (step, len(outcomes)))
    return [(result, data) for result, data, _ in outcomes]


def _list_request(invoke: int, items: list[tuple[Method, bytes | None]]) -> apdu.ActionListRequest:
    values = [_NULL if data is None else data for _, data in items]
    return apdu.ActionListRequest(invoke, [method for method, _ in items], values)


def _goes(exchange: Exchange, request: apdu.ActionListRequest) -> bool:
    """Whether a list can be sent: as it is, or in blocks whose first holds all the descriptors."""
    if exchange.fits(request.encode()):
        return True
    head = apdu.ActionListFirstBlock(0, request.items, False, 1, b"").encode()
    return exchange.agreed(acse.BLOCK_ACTION) and len(head) + 8 < exchange.capacity()


async def _invoke(
    exchange: Exchange, request: apdu.ActionRequest | apdu.ActionListRequest, step: str
) -> Any:
    """ActionResponse, ActionListResponse, or the first ActionResponseBlock."""
    invoke = request.invoke
    plain = request.encode()
    finals: tuple[type, ...] = (apdu.ActionResponse, apdu.ActionResponseBlock)
    head: Any
    if isinstance(request, apdu.ActionListRequest):
        finals += (apdu.ActionListResponse,)
        data = apdu.values_of(request.values)
        head = apdu.ActionListFirstBlock(invoke, request.items, False, 1, b"")
    else:
        data = request.data or b""
        head = apdu.ActionFirstBlock(
            invoke, request.class_id, request.obis, request.method, False, 1, b""
        )
    if exchange.fits(plain):
        return await exchange.ask(plain, finals, step, False, invoke, 1)
    if not exchange.agreed(acse.BLOCK_ACTION):
        raise NotSupported(
            "%s: %d bytes; the meter takes %d, and agreed to no block transfer with ACTION"
            % (step, len(plain), exchange.max_send)
        )
    sent = exchange.room(len(head.encode()), step)
    head.data = data[:sent]
    plain = head.encode()
    block = 1
    while True:
        kinds = (apdu.ActionBlockAck, apdu.ActionResponse)
        answer = await exchange.ask(plain, kinds, step, True, invoke, block)
        if isinstance(answer, apdu.ActionResponse):
            if answer.result == apdu.SUCCESS:
                raise ProtocolError("%s: success amid the blocks" % step)
            return answer
        block += 1
        room = exchange.room(len(apdu.ActionBlock(invoke, False, block, b"").encode()), step)
        last = sent + room >= len(data)
        plain = apdu.ActionBlock(invoke, last, block, data[sent : sent + room]).encode()
        sent += room
        if last:
            return await exchange.ask(plain, finals, step, False, invoke, 1)


async def _joined(
    exchange: Exchange, answer: apdu.ActionResponseBlock, invoke: int, step: str
) -> bytes:
    """All blocks of an answer that began with `answer`."""
    value = bytearray()
    while True:
        if not answer.data and not answer.last:
            raise ProtocolError("%s: block %d is empty and not the last" % (step, answer.block))
        value.extend(answer.data)
        if len(value) > exchange.max_value:
            raise ProtocolError("%s: longer than the %d bytes allowed" % (step, exchange.max_value))
        if answer.last:
            return bytes(value)
        following = apdu.ActionNext(invoke, answer.block).encode()
        kinds = (apdu.ActionResponseBlock, apdu.ActionResponse)
        found = await exchange.ask(following, kinds, step, True, invoke, answer.block + 1)
        if isinstance(found, apdu.ActionResponse):
            result = apdu.action_result_name(found.result)
            text = "%s: done, but its answer broke off: %s" % (step, result)
            raise ActionRefused(result, step, text, apdu.SUCCESS)
        answer = found
