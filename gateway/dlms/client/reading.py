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
_MOST_ROW = 4096  # bytes, or values, of a row of a profile


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

    return Rows(begin, step, failed)


class Rows:
    """The rows of a profile's buffer, one at a time: `async for row in rows`, each a list of typed
    values. Of a long answer in blocks only what is not yet a whole row is held, and of a row that
    has more values or bytes than any profile needs, nothing is made.

    `begin` asks for the buffer: its pieces (`last`, `next()`), and the first of its bytes; it is
    called once. `failed` closes the association after a protocol error.

    Null-data in a row is the meter's shorthand (Blue Book 4.3.6): the same as in the row before.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[tuple[Any, bytes]]],
        step: str,
        failed: Callable[[DlmsError], Awaitable[None]],
    ) -> None:
        self._begin = begin
        self._step = step
        self._failed = failed
        self._pieces: Any = None
        self._held = bytearray()
        self._pos = 0
        self._left = -1  # rows still to come, of a compact array bytes; -1: not known yet
        self._description: Any = None  # of a compact array's rows

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
        if len(self._held) > _MOST_ROW:
            raise ProtocolError("%s: a row longer than %d bytes" % (self._step, _MOST_ROW))
        self._held.extend(await self._pieces.next())

    def _parsed(self) -> list[Typed] | None:
        """A row that is there as a whole; None where more is needed, or nothing is left."""
        last = self._pieces.last
        if self._left < 0 and not self._head(last):
            return None
        if self._left == 0:
            self._over(last)
            return None
        start = self._pos
        try:
            typed, self._pos = self._row_at(start)
        except ProtocolError as error:
            if last:  # nothing more will come that could make it whole
                raise ProtocolError("%s: %s" % (self._step, error))
            return None
        self._left -= 1 if self._description is None else self._pos - start
        return _row(typed, self._step)

    def _row_at(self, start: int) -> tuple[Typed, int]:
        """The row there, and the position after it."""
        if self._description is not None:
            end = min(len(self._held), start + self._left)
            return compact_element(self._held, start, end, self._description)
        end = axdr.skip_at(self._held, start)
        if end - start > _MOST_ROW:
            raise ProtocolError("a row longer than %d bytes" % _MOST_ROW)
        return axdr.decode_at(self._held, start)

    def _over(self, last: bool) -> None:
        """There are no more rows."""
        stray = len(self._held) - self._pos
        if not last:
            raise ProtocolError("%s: blocks go on after the last row" % self._step)
        if stray:
            log.warning(WHERE, "%s: %d stray bytes behind the rows" % (self._step, stray))
            self._held = bytearray()
            self._pos = 0

    def _head(self, last: bool) -> bool:
        """Tag and count of the array; of a compact one its description, and its size in bytes."""
        if not self._held:
            return False
        tag = self._held[0]
        if tag not in (axdr.ARRAY, axdr.COMPACT_ARRAY):
            raise ProtocolError("%s: the buffer is not an array" % self._step)
        try:
            if tag == axdr.ARRAY:
                self._left, self._pos = axdr.length_at(self._held, 1)
            else:
                self._description, self._left, self._pos = compact_head(self._held, self._step)
        except ProtocolError:
            if last:
                raise
            return False
        return True


def compact_head(data: bytearray, step: str) -> tuple[Any, int, int]:
    """Of a compact array that `data` begins with: what its elements are, how many bytes they have,
    and where the first begins."""
    from gateway.dlms.data import compact

    description, pos, values = compact.description_at(data, 1, len(data), 0)
    if values > _MOST_ROW:
        raise ProtocolError("%s: rows of %d values" % (step, values))
    size, pos = axdr.length_at(data, pos)
    return description, size, pos


def compact_element(data: bytearray, pos: int, end: int, description: Any) -> tuple[Typed, int]:
    """The element at `pos`, and the position after it."""
    from gateway.dlms.data import compact

    typed, after = compact.element_at(data, pos, end, description, True)
    if after == pos:
        raise ProtocolError("a compact-array of elements without size")
    return typed, after


def _row(typed: Typed, step: str) -> list[Typed]:
    if typed[0] != axdr.STRUCTURE:
        raise ProtocolError("%s: a row is not a structure" % step)
    row: list[Typed] = typed[1]
    return row
