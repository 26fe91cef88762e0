"""Read and Write of variables, which have short names, over an Exchange: in blocks where they are
long, both ways (Green Book 9.3.14 to 9.3.16).

Nothing in an answer says which request it answers: before one goes out, what may still come of
those before is waited for.
"""

from __future__ import annotations

from gateway.dlms.apdu import acse, short
from gateway.dlms.apdu.parts import SUCCESS, data_results_at
from gateway.dlms.client.refusals import BROKEN_TRANSFER, Broken, access_refused, broken
from gateway.dlms.errors import NoAnswer, NotSupported, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.apdu.parts import DataResult, Selection
    from gateway.dlms.apdu.short import Variable
    from gateway.dlms.client.exchange import Exchange

_MOST_LIST = 64  # variables in one request


class Variables:
    """Each says in `step` what it is doing, for errors; what is not to be repeated (a method may be
    invoked by it) goes by the `_once` ones."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.decode = short.decode

    # ------------------------------------------------------------ reading

    async def read(self, items: list[Variable], step: str) -> list[DataResult]:
        """Read them; anew where the blocks of the answer came apart."""
        for attempt in range(1, self._exchange.tries + 1):
            try:
                return await self.read_once(items, step, True)
            except Broken as failed:
                if attempt == self._exchange.tries:
                    raise access_refused(failed.result, step)
        raise NoAnswer("%s: no try is allowed" % step)

    async def read_once(self, items: list[Variable], step: str, repeat: bool) -> list[DataResult]:
        pieces = Pieces(self, items, step, repeat)
        first = await pieces.first()
        if isinstance(first, list):
            found = first
        else:
            value = bytearray(first)
            while not pieces.last:
                value.extend(await pieces.next())
                if len(value) > self._exchange.max_value:
                    raise ProtocolError(
                        "%s: longer than the %d bytes allowed" % (step, self._exchange.max_value)
                    )
            found = _results(bytes(value), len(items), step)
        if len(found) == len(items):
            return found
        if len(found) == 1 and found[0][1] is None:
            raise access_refused(found[0][0], step)
        raise ProtocolError("%s: %d answers came" % (step, len(found)))

    async def begin(self, item: Variable, step: str) -> tuple[Pieces, bytes]:
        """The first of a long value, and where the rest comes from."""
        pieces = Pieces(self, [item], step, True)
        first = await pieces.first()
        if not isinstance(first, list):
            return pieces, first
        if len(first) != 1:
            raise ProtocolError("%s: %d answers came" % (step, len(first)))
        result, data = first[0]
        if data is None:
            raise access_refused(result, step)
        return pieces, data

    # ------------------------------------------------------------ writing

    async def write(self, items: list[Variable], values: list[bytes], step: str) -> list[int]:
        """Write them; anew where the blocks of the request came apart."""
        for attempt in range(1, self._exchange.tries + 1):
            try:
                return await self.write_once(items, values, step, True)
            except Broken as failed:
                if attempt == self._exchange.tries:
                    raise access_refused(failed.result, step)
        raise NoAnswer("%s: no try is allowed" % step)

    async def write_once(
        self, items: list[Variable], values: list[bytes], step: str, repeat: bool
    ) -> list[int]:
        plain = short.WriteRequest(items, values).encode()
        kinds = (short.WriteResponse,)
        answer = await self.request(short.WriteRequestBlock, plain, kinds, step, repeat)
        if not self._exchange.fits(plain):
            for result in answer.results:
                if result in BROKEN_TRANSFER:
                    raise Broken(result)
        results: list[int] = answer.results
        if len(results) == len(items):
            return results
        if len(results) == 1 and results[0] != SUCCESS:
            raise access_refused(results[0], step)
        raise ProtocolError("%s: %d results came" % (step, len(results)))

    async def tell(self, item: Variable, data: bytes, step: str) -> None:
        self._need(acse.UNCONFIRMED_WRITE, step)
        self._need_selection(item[1], step)
        request = short.UnconfirmedWriteRequest([item], [data])
        await self._exchange.tell(request.encode(), step)

    def as_many(self, variables: list[Variable], values: list[bytes] | None) -> list[Variable]:
        """From the first on, as many as go in one request; `values` are to be written."""
        if not self._exchange.agreed(acse.MULTIPLE_REFERENCES):
            return variables[:1]
        wanted = variables[:_MOST_LIST]
        while len(wanted) > 1:
            if values is None:
                plain = short.ReadRequest(wanted).encode()
            else:
                plain = short.WriteRequest(wanted, values[: len(wanted)]).encode()
            if self._exchange.fits(plain):
                break
            wanted = wanted[: len(wanted) // 2]
        return wanted

    # ------------------------------------------------------------ what is agreed

    def need_read(self, selection: Selection | None, step: str) -> None:
        self._need(acse.READ, step)
        self._need_selection(selection, step)

    def need_write(self, selection: Selection | None, step: str) -> None:
        self._need(acse.WRITE, step)
        self._need_selection(selection, step)

    def _need_selection(self, selection: Selection | None, step: str) -> None:
        if selection is not None:
            self._need(acse.PARAMETERIZED_ACCESS, step)

    def _need(self, bit: int, step: str) -> None:
        self._exchange.need(bit, acse.CONFORMANCE_NAMES[bit], step)

    # ------------------------------------------------------------ asking

    async def ask(
        self,
        plain: bytes,
        kinds: tuple[type, ...],
        step: str,
        repeat: bool,
        block: int = 0,
        long_answer: bool = False,
    ) -> Any:
        await self._exchange.settle()
        return await self._exchange.ask(plain, kinds, step, repeat, -1, block, long_answer)

    async def request(
        self, kind: Any, plain: bytes, kinds: tuple[type, ...], step: str, repeat: bool
    ) -> Any:
        """The answer of one of `kinds` to a request, in blocks of `kind` where it does not fit."""
        exchange = self._exchange
        if exchange.fits(plain):
            return await self.ask(plain, kinds, step, repeat, 1, True)
        reads = kind is short.ReadRequestBlock
        if not exchange.agreed(acse.BLOCK_GET if reads else acse.BLOCK_SET):
            raise NotSupported(
                "%s: %d bytes; the meter takes %d, and agreed to no block transfer with %s"
                % (step, len(plain), exchange.max_send, "read" if reads else "write")
            )
        ack = short.ReadBlockAck if reads else short.WriteBlockAck
        sent = 1  # the tag is not part of the blocks
        number = 1
        while True:
            room = exchange.room(len(kind(False, number, b"").encode()), step)
            last = sent + room >= len(plain)
            block = kind(last, number, plain[sent : sent + room]).encode()
            if last:
                return await self.ask(block, kinds, step, repeat, 1, True)
            answer = await self.ask(block, kinds + (ack,), step, True, number)
            if not isinstance(answer, ack):
                if _succeeded(answer):
                    raise ProtocolError("%s: success amid the blocks" % step)
                return answer
            _check_block(answer.block, number, step)
            sent += room
            number += 1


class Pieces:
    """One Read: the whole answer, or its blocks one after the other."""

    def __init__(
        self, variables: Variables, items: list[Variable], step: str, repeat: bool
    ) -> None:
        self._variables = variables
        self._items = items
        self._step = step
        self._repeat = repeat
        self._block = 0  # the last one received
        self.last = False

    async def first(self) -> list[DataResult] | bytes:
        """The answers when one APDU was enough, else the first of their bytes; of a single variable
        these are its value."""
        plain = short.ReadRequest(self._items).encode()
        kinds: tuple[type, ...] = (short.ReadResponse, short.ReadBlock)
        answer = await self._variables.request(
            short.ReadRequestBlock, plain, kinds, self._step, self._repeat
        )
        if isinstance(answer, short.ReadResponse):
            self.last = True
            items: list[DataResult] = answer.items
            return items
        data = self._taken(answer)
        # The blocks hold the list of answers with its count; some meters leave that, and the choice
        # after it, away where there is one answer. An array (tag 1) of no elements is nothing more.
        if len(self._items) == 1 and data[:2] == b"\x01\x00" and (len(data) > 2 or not self.last):
            return data[2:]
        return data

    async def next(self) -> bytes:
        """The next block's data; not to be called after the last."""
        answer = await self._variables.ask(
            short.ReadNext(self._block).encode(),
            (short.ReadBlock, short.ReadResponse),
            self._step,
            True,
            self._block + 1,
        )
        if isinstance(answer, short.ReadResponse):
            if len(answer.items) != 1 or answer.items[0][1] is not None:
                raise ProtocolError("%s: a whole value came amid its blocks" % self._step)
            raise broken(answer.items[0][0], self._step)
        return self._taken(answer)

    def _taken(self, answer: short.ReadBlock) -> bytes:
        _check_block(answer.block, self._block + 1, self._step)
        if not answer.data and not answer.last:
            raise ProtocolError(
                "%s: block %d is empty and not the last" % (self._step, answer.block)
            )
        self._block = answer.block
        self.last = answer.last
        return answer.data


def _results(joined: bytes, count: int, step: str) -> list[DataResult]:
    """The answers in blocks that are joined; of a single variable its value, or a refusal."""
    if count == 1 and not (len(joined) == 3 and joined[:2] == b"\x01\x01"):
        return [(SUCCESS, joined)]
    found, pos = data_results_at(joined, 0)
    if pos != len(joined):
        raise ProtocolError("%s: bytes left over after the answers" % step)
    return found


def _succeeded(answer: Any) -> bool:
    """Whether any part of an answer is a success."""
    if isinstance(answer, short.ReadBlock):
        return True
    if isinstance(answer, short.WriteResponse):
        return SUCCESS in answer.results
    return any(result == SUCCESS for result, _ in answer.items)


def _check_block(came: int, due: int, step: str) -> None:
    if came != due:
        raise ProtocolError("%s: block %d came, which does not follow" % (step, came))
