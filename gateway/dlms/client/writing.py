"""SET over an Exchange: one attribute, or a list of them; in blocks where they are long."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.refusals import BROKEN_TRANSFER, Broken, access_refused
from gateway.dlms.client.unkept import together
from gateway.dlms.data import cosem, obis
from gateway.dlms.errors import AccessRefused, NoAnswer, NotSupported, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.apdu.parts import Selection, Target
    from gateway.dlms.client.exchange import Exchange

_MOST_LIST = 64  # attributes written in one list


def step_of(class_id: int, name: bytes, attribute: int) -> str:
    return "SET %s of %s" % (cosem.attribute_name(class_id, attribute), obis.text(name))


def _need(exchange: Exchange, selection: Selection | None, step: str) -> None:
    exchange.need(acse.SET, "SET", step)
    if selection is not None:
        exchange.need(acse.SELECTIVE_ACCESS, "selective access", step)


async def set_(
    exchange: Exchange,
    class_id: int,
    name: bytes,
    attribute: int,
    data: bytes,
    selection: Selection | None,
    confirmed: bool,
) -> None:
    step = step_of(class_id, name, attribute)
    _need(exchange, selection, step)
    if not confirmed:
        request = apdu.SetRequest(
            exchange.next_invoke(False), class_id, name, attribute, selection, data
        )
        await exchange.tell(request.encode(), step)
        return
    result = apdu.SUCCESS
    for attempt in range(1, exchange.tries + 1):
        invoke = exchange.next_invoke()
        try:
            request = apdu.SetRequest(invoke, class_id, name, attribute, selection, data)
            answer = await _set(exchange, request, step)
        except Broken as failed:
            if attempt < exchange.tries:
                continue
            answer = [failed.result]
        result = answer[0]
        break
    else:
        raise NoAnswer("%s: no try is allowed" % step)
    if result != apdu.SUCCESS:
        raise access_refused(result, step)


async def set_list(exchange: Exchange, items: list[tuple[Target, bytes]]) -> list[int]:
    results: list[int] = []
    while len(results) < len(items):
        wanted = items[len(results) : len(results) + _MOST_LIST]
        if len(wanted) > 1 and exchange.agreed(acse.SET | acse.MULTIPLE_REFERENCES):
            while len(wanted) > 1 and not _goes(exchange, _list_request(0, wanted)):
                wanted = wanted[: len(wanted) // 2]
        else:
            wanted = wanted[:1]
        if len(wanted) > 1:
            results += await together(exchange, wanted, _listed, _single)
        else:
            results.append(await _single(exchange, wanted[0]))
    return results


async def _single(exchange: Exchange, item: tuple[Target, bytes]) -> int:
    (class_id, name, attribute, selection), data = item
    try:
        await set_(exchange, class_id, name, attribute, data, selection, True)
    except AccessRefused as refused:
        return refused.number
    return apdu.SUCCESS


async def _listed(exchange: Exchange, items: list[tuple[Target, bytes]]) -> list[int]:
    step = "SET of %d attributes, first %s" % (len(items), step_of(*items[0][0][:3])[4:])
    for attempt in range(1, exchange.tries + 1):
        try:
            results = await _set(exchange, _list_request(exchange.next_invoke(), items), step)
        except Broken as failed:
            if attempt == exchange.tries:
                raise access_refused(failed.result, step)
            continue
        if len(results) != len(items):
            raise ProtocolError("%s: %d results came" % (step, len(results)))
        return results
    raise NoAnswer("%s: no try is allowed" % step)


def _list_request(invoke: int, items: list[tuple[Target, bytes]]) -> apdu.SetListRequest:
    return apdu.SetListRequest(invoke, [item[0] for item in items], [item[1] for item in items])


def _goes(exchange: Exchange, request: apdu.SetListRequest) -> bool:
    """Whether a list can be sent: as it is, or in blocks whose first holds all the descriptors."""
    if exchange.fits(request.encode()):
        return True
    head = apdu.SetListFirstBlock(0, request.items, False, 1, b"").encode()
    return exchange.agreed(acse.BLOCK_SET) and len(head) + 8 < exchange.capacity()


async def _set(
    exchange: Exchange, request: apdu.SetRequest | apdu.SetListRequest, step: str
) -> list[int]:
    """The data-access-results: one for each attribute of the request."""
    invoke = request.invoke
    plain = request.encode()
    ends: tuple[type, ...]
    if isinstance(request, apdu.SetListRequest):
        ends = (apdu.SetListResponse, apdu.SetLastListAck, apdu.SetResponse, apdu.SetLastAck)
    else:
        ends = (apdu.SetResponse, apdu.SetLastAck)
    if exchange.fits(plain):
        return _results(await exchange.ask(plain, ends, step, True, invoke))
    if not exchange.agreed(acse.BLOCK_SET):
        raise NotSupported(
            "%s: %d bytes; the meter takes %d, and agreed to no block transfer with SET"
            % (step, len(plain), exchange.max_send)
        )
    head: Any
    if isinstance(request, apdu.SetListRequest):
        data = apdu.values_of(request.values)
        head = apdu.SetListFirstBlock(invoke, request.items, False, 1, b"")
    else:
        data = request.data
        head = apdu.SetFirstBlock(
            invoke,
            request.class_id,
            request.obis,
            request.attribute,
            request.selection,
            False,
            1,
            b"",
        )
    sent = exchange.room(len(head.encode()), step)
    head.data = data[:sent]
    plain = head.encode()
    block = 1
    last = False
    while True:
        kinds = ends if last else ends + (apdu.SetBlockAck,)
        answer = await exchange.ask(plain, kinds, step, True, invoke, block)
        if not isinstance(answer, apdu.SetBlockAck):
            results = _results(answer)
            if not last and apdu.SUCCESS in results:
                raise ProtocolError("%s: success amid the blocks" % step)
            for result in results:
                if result in BROKEN_TRANSFER:
                    raise Broken(result)
            return results
        block += 1
        room = exchange.room(len(apdu.SetBlock(invoke, False, block, b"").encode()), step)
        last = sent + room >= len(data)
        plain = apdu.SetBlock(invoke, last, block, data[sent : sent + room]).encode()
        sent += room


def _results(answer: Any) -> list[int]:
    if isinstance(answer, (apdu.SetListResponse, apdu.SetLastListAck)):
        return answer.results
    return [answer.result]
