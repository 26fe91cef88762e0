"""GET over an Exchange: one attribute, a list of them, and a profile's rows one by one."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.refusals import Broken, access_refused, broken
from gateway.dlms.client.unkept import together
from gateway.dlms.data import axdr, cosem, obis
from gateway.dlms.errors import AccessRefused, LinkLost, LinkSilent, NoAnswer, ProtocolError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from gateway.dlms.apdu.parts import DataResult, Selection, Target
    from gateway.dlms.client.exchange import Exchange
    from gateway.dlms.data.axdr import Typed
    from gateway.dlms.errors import DlmsError

WHERE = "dlms"
_BUFFER = 2  # attribute of class 7
_MOST_LIST = 64  # attributes asked for in one list


def step_of(class_id: int, name: bytes, attribute: int) -> str:
    return "GET %s of %s" % (cosem.attribute_name(class_id, attribute), obis.text(name))


class _Pieces:
    """One GET: the whole answer, or its blocks one after the other."""

    def __init__(
        self, exchange: Exchange, request: apdu.GetRequest | apdu.GetListRequest, step: str
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._step = step
        self._block = 0  # the last one received
        self.last = False

    async def first(self) -> Any:
        """GetResponse or GetListResponse when one APDU was enough, else the first block's data."""
        kinds: tuple[type, ...] = (apdu.GetResponse, apdu.GetListResponse, apdu.GetBlock)
        answer = await self._exchange.ask(
            self._request.encode(), kinds, self._step, True, self._request.invoke, 1, True
        )
        if isinstance(answer, apdu.GetBlock):
            return self._taken(answer)
        self.last = True
        return answer

    async def next(self) -> bytes:
        """The next block's data; not to be called after the last."""
        answer = await self._exchange.ask(
            apdu.GetNext(self._request.invoke, self._block).encode(),
            (apdu.GetBlock, apdu.GetResponse),
            self._step,
            True,
            self._request.invoke,
            self._block + 1,
        )
        if isinstance(answer, apdu.GetResponse):
            if answer.data is not None:
                raise ProtocolError("%s: a whole value came amid its blocks" % self._step)
            raise broken(answer.result, self._step)
        return self._taken(answer)

    def _taken(self, answer: apdu.GetBlock) -> bytes:
        if answer.result != apdu.SUCCESS:
            raise broken(answer.result, self._step)
        if not answer.data and not answer.last:
            raise ProtocolError(
                "%s: block %d is empty and not the last" % (self._step, answer.block)
            )
        self._block = answer.block
        self.last = answer.last
        return answer.data


async def get(
    exchange: Exchange, class_id: int, name: bytes, attribute: int, selection: Selection | None
) -> bytes:
    step = step_of(class_id, name, attribute)
    _need(exchange, selection, step)
    for attempt in range(1, exchange.tries + 1):
        request = apdu.GetRequest(exchange.next_invoke(), class_id, name, attribute, selection)
        try:
            answer = await _whole(exchange, request, step)
        except Broken as failed:
            if attempt == exchange.tries:
                raise access_refused(failed.result, step)
            continue
        if isinstance(answer, apdu.GetResponse):
            return _value(answer, step)
        if isinstance(answer, bytes):
            return without_stray(answer, step)
        raise ProtocolError("%s: answered as a list" % step)
    raise NoAnswer("%s: no try is allowed" % step)


async def get_list(exchange: Exchange, items: list[Target]) -> list[DataResult]:
    found: list[DataResult] = []
    while len(found) < len(items):
        wanted = items[len(found) : len(found) + _MOST_LIST]
        if len(wanted) > 1 and exchange.agreed(acse.GET | acse.MULTIPLE_REFERENCES):
            while len(wanted) > 1 and not exchange.fits(apdu.GetListRequest(0, wanted).encode()):
                wanted = wanted[: len(wanted) // 2]
        else:
            wanted = wanted[:1]
        if len(wanted) > 1:
            found += await together(exchange, wanted, _listed, _single)
        else:
            found.append(await _single(exchange, wanted[0]))
    return found


async def _single(exchange: Exchange, target: Target) -> DataResult:
    class_id, name, attribute, selection = target
    try:
        return apdu.SUCCESS, await get(exchange, class_id, name, attribute, selection)
    except AccessRefused as refused:
        return refused.number, None


async def _listed(exchange: Exchange, items: list[Target]) -> list[DataResult]:
    step = "GET of %d attributes, first %s" % (len(items), step_of(*items[0][:3])[4:])
    for attempt in range(1, exchange.tries + 1):
        request = apdu.GetListRequest(exchange.next_invoke(), items)
        try:
            answer = await _whole(exchange, request, step)
        except Broken as failed:
            if attempt == exchange.tries:
                raise access_refused(failed.result, step)
            continue
        if isinstance(answer, apdu.GetResponse):
            raise access_refused(answer.result, step)
        if isinstance(answer, apdu.GetListResponse):
            found = answer.items
        else:
            found, pos = apdu.data_results_at(answer, 0)
            if pos != len(answer):
                raise ProtocolError("%s: bytes left over after the answers" % step)
        if len(found) != len(items):
            raise ProtocolError("%s: %d answers came" % (step, len(found)))
        return found
    raise NoAnswer("%s: no try is allowed" % step)


async def _whole(
    exchange: Exchange, request: apdu.GetRequest | apdu.GetListRequest, step: str
) -> Any:
    """GetResponse or GetListResponse when one APDU was enough, else the blocks joined."""
    pieces = _Pieces(exchange, request, step)
    first = await pieces.first()
    if not isinstance(first, bytes):
        return first
    value = bytearray(first)
    while not pieces.last:
        value.extend(await pieces.next())
        if len(value) > exchange.max_value:
            raise ProtocolError("%s: longer than the %d bytes allowed" % (step, exchange.max_value))
    return bytes(value)


def _need(exchange: Exchange, selection: Selection | None, step: str) -> None:
    exchange.need(acse.GET, "GET", step)
    if selection is not None:
        exchange.need(acse.SELECTIVE_ACCESS, "selective access", step)


def _value(answer: apdu.GetResponse, step: str) -> bytes:
    if answer.data is None:
        raise access_refused(answer.result, step)
    return without_stray(answer.data, step)


def without_stray(data: bytes, step: str) -> bytes:
    """The one Data that `data` begins with, all of it as a rule; what is none stays as it is, for
    axdr.decode to judge."""
    try:
        end = axdr.skip_at(data, 0)
    except ProtocolError:
        return data
    if end == len(data):
        return data
    log.warning(WHERE, "%s: %d stray bytes behind the value" % (step, len(data) - end))
    return data[:end]


def rows(
    exchange: Exchange,
    name: bytes,
    selection: Selection | None,
    failed: Callable[[DlmsError], Awaitable[None]],
) -> Rows:
    """The rows of the profile `name`."""
    step = step_of(7, name, _BUFFER)

    async def begin() -> tuple[_Pieces, bytes]:
        _need(exchange, selection, step)
        request = apdu.GetRequest(exchange.next_invoke(), 7, name, _BUFFER, selection)
        pieces = _Pieces(exchange, request, step)
        first = await pieces.first()
        if isinstance(first, apdu.GetListResponse):
            raise ProtocolError("%s: answered as a list" % step)
        if isinstance(first, apdu.GetResponse):
            if first.data is None:
                raise access_refused(first.result, step)
            first = first.data
        return pieces, first

    return Rows(begin, step, exchange.max_value, failed)


class Rows:
    """The rows of a profile's buffer, one at a time: `async for row in rows`, each a list of typed
    values. Of a long answer in blocks only what is not yet a whole row is held.

    `begin` asks for the buffer: its pieces (`last`, `next()`), and the first of its bytes; it is
    called once. `failed` closes the association after a protocol error.

    Null-data in a row is the meter's shorthand (Blue Book 4.3.6): the same as in the row before.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[tuple[Any, bytes]]],
        step: str,
        max_value: int,
        failed: Callable[[DlmsError], Awaitable[None]],
    ) -> None:
        self._begin = begin
        self._step = step
        self._max_value = max_value
        self._failed = failed
        self._pieces: Any = None
        self._held = bytearray()
        self._pos = 0
        self._left = -1  # rows still to come; -1: not known yet
        self._compact: list[Typed] | None = None

    def __aiter__(self) -> Rows:
        return self

    async def __anext__(self) -> list[Typed]:
        try:
            row = await self._next()
        except (ProtocolError, LinkLost, LinkSilent) as error:
            await self._failed(error)
            raise error
        if row is None:
            raise StopAsyncIteration
        return row

    async def _next(self) -> list[Typed] | None:
        try:
            if self._pieces is None:
                self._pieces, first = await self._begin()
                self._held.extend(first)
            while True:
                found = self._parsed()
                if found is not None:
                    return found
                if self._left == 0:
                    return None
                await self._more()
        except Broken as failed:
            raise access_refused(failed.result, self._step)

    async def _more(self) -> None:
        if self._pieces.last:
            raise ProtocolError("%s: it ends amid a row" % self._step)
        self._held[: self._pos] = b""
        self._pos = 0
        self._held.extend(await self._pieces.next())
        if len(self._held) > self._max_value:
            raise ProtocolError(
                "%s: a row longer than the %d bytes allowed" % (self._step, self._max_value)
            )

    def _parsed(self) -> list[Typed] | None:
        """A row that is there as a whole; None where more is needed, or nothing is left."""
        last = self._pieces.last
        if self._left < 0 and not self._head(last):
            return None
        if self._compact is not None:
            if not self._compact:
                self._left = 0
                return None
            return _row(self._compact.pop(0), self._step)
        if self._left == 0:
            stray = len(self._held) - self._pos
            if not last:
                raise ProtocolError("%s: blocks go on after the last row" % self._step)
            if stray:
                log.warning(WHERE, "%s: %d stray bytes behind the rows" % (self._step, stray))
                self._held = bytearray()
                self._pos = 0
            return None
        try:
            typed, self._pos = axdr.decode_at(self._held, self._pos)
        except ProtocolError as error:
            if last:  # nothing more will come that could make it whole
                raise ProtocolError("%s: %s" % (self._step, error))
            return None
        self._left -= 1
        return _row(typed, self._step)

    def _head(self, last: bool) -> bool:
        """Tag and count of the array; all of a compact one, whose description comes first."""
        if not self._held:
            return False
        if self._held[0] == axdr.COMPACT_ARRAY:
            if not last:
                return False
            typed = axdr.decode(without_stray(bytes(self._held), self._step))
            self._compact = list(typed[1][1])
            self._left = 1
            return True
        if self._held[0] != axdr.ARRAY:
            raise ProtocolError("%s: the buffer is not an array" % self._step)
        try:
            self._left, self._pos = axdr.length_at(self._held, 1)
        except ProtocolError:
            if last:
                raise
            return False
        return True


def _row(typed: Typed, step: str) -> list[Typed]:
    if typed[0] != axdr.STRUCTURE:
        raise ProtocolError("%s: a row is not a structure" % step)
    row: list[Typed] = typed[1]
    return row
