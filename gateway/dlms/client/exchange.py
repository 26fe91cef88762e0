"""One request and its answer over a Link: protection, repetition, block transfer, and telling the
answer from what is late, double, forged or unasked for.

An answer is known by its invoke-id, block number or invocation counter. What else the meter sends
is dropped; notifications go to `on_notification`. An APDU that does not fit goes as general blocks
(gbt.py) where the meter agreed to them.
"""

from __future__ import annotations

import asyncio

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, gbt
from gateway.dlms.errors import (
    DlmsError,
    NoAnswer,
    NotSupported,
    ProtocolError,
    Replayed,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.protection.policy import PLAIN
from gateway.dlms.protection.tags import GLO_OF, PROTECTED
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.dlms.protection.security import Ciphering
    from hal.ports import Clock, Link

_MOST_LATE = 64  # frames dropped while waiting for silence
_CONFIRMED = 0x40  # invoke-id-and-priority: confirmed service, normal priority
_PROTECTION = 512  # what protection adds to a long answer, at most

_SERVICES = (
    apdu.GET_RESPONSE,
    apdu.SET_RESPONSE,
    apdu.ACTION_RESPONSE,
    apdu.ACCESS_RESPONSE,
)
_UNASKED = (apdu.DATA_NOTIFICATION, apdu.EVENT_NOTIFICATION, apdu.INFORMATION_REPORT)
_FRAME_ERRORS = (apdu.SERVICE_ERRORS[5], apdu.SERVICE_ERRORS[6])

_SERVICE_HINTS = {
    "operation-not-possible": "the meter has no association for it (any more): associate again",
    "service-not-supported": "the meter lacks this service",
    "pdu-too-long": "ask for a smaller largest APDU",
    "deciphering-error": "check keys and system title",
    "invocation-counter-error": "go on with the counter the meter expects",
}


class Exchange:
    """What the services of a client share. `window` is how many general blocks the meter may send
    at once. `ciphering`, `conformance` (0: no association) and `max_send` are the association's."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        timeout_ms: int,
        tries: int,
        max_value: int,
        window: int,
        on_notification: Callable[[Any], None] | None,
    ) -> None:
        if not 1 <= window <= gbt.MOST_WINDOW:
            raise ValueError("window %d is not 1..%d" % (window, gbt.MOST_WINDOW))
        self.link = link
        self.timeout_ms = timeout_ms
        self.tries = tries
        self.max_value = max_value
        self.ciphering: Ciphering | None = None
        self.conformance = 0
        self.max_send = link.max_apdu
        self._clock = clock
        self._window = window
        self._on_notification = on_notification
        self._invoke = 0
        self._long_invoke = 0

    # ------------------------------------------------------------ what is agreed

    def next_invoke(self, confirmed: bool = True) -> int:
        self._invoke = self._invoke + 1 & 0x0F
        return _CONFIRMED | self._invoke if confirmed else self._invoke

    def next_long_invoke(self) -> int:
        self._long_invoke = self._long_invoke + 1 & apdu.LONG_ID
        return apdu.LONG_CONFIRMED | self._long_invoke

    def agreed(self, bits: int) -> bool:
        return self.conformance & bits == bits

    def need(self, bits: int, service: str, step: str) -> None:
        if self.agreed(bits):
            return
        if self.conformance == 0:
            raise NotSupported("%s: there is no association; associate first" % step)
        raise NotSupported("%s: the meter did not agree to %s" % (step, service))

    def protects(self, tag: int) -> bool:
        """Whether the association's protection has a form for APDUs with this tag."""
        return not self._secured() or tag in GLO_OF or self.agreed(acse.GENERAL_PROTECTION)

    def capacity(self) -> int:
        """The longest plain APDU that still fits once it is protected."""
        if self.ciphering is None:
            return self.max_send
        return self.max_send - self.ciphering.overhead(self.max_send)

    def fits(self, plain: bytes) -> bool:
        """Whether it can be sent as it is, or in general blocks."""
        return len(plain) <= self.capacity() or self.agreed(acse.GENERAL_BLOCK_TRANSFER)

    def room(self, head: int, step: str) -> int:
        """Bytes of data for a block APDU whose other parts, with a one-byte length, are `head`."""
        room = self.capacity() - head
        if room > 0x7F:
            room -= 1 if room <= 0x100 else 2  # the length field itself grows
        if room < 1:
            raise NotSupported("%s: %d bytes are too few for a block" % (step, self.max_send))
        return room

    # ------------------------------------------------------------ one exchange

    async def ask(
        self,
        plain: bytes,
        kinds: tuple[type, ...],
        step: str,
        repeat: bool,
        invoke: int = -1,
        block: int = 0,
        long_answer: bool = False,
    ) -> Any:
        """Send, and wait for the answer of one of `kinds` with this `invoke` and `block` (where it
        has one). `repeat`: it may be sent again. `long_answer`: let the meter know our window."""
        complaint: DlmsError | None = None  # what else came, should no true answer ever come
        general = self.agreed(acse.GENERAL_BLOCK_TRANSFER)
        for _ in range(self.tries if repeat else 1):
            transfer = self._transfer(self._protected(plain), step, long_answer)
            await transfer.send()
            deadline = self._clock.ticks_ms() + self.timeout_ms
            while True:
                left = deadline - self._clock.ticks_ms()
                if left > 0:
                    try:
                        raw = await self.link.receive(left)
                    except asyncio.TimeoutError:
                        left = 0
                if left <= 0:
                    if not await transfer.again():
                        break
                    deadline = self._clock.ticks_ms() + self.timeout_ms
                    continue
                certain = not self._secured()  # that it comes from our meter
                try:
                    if raw and raw[0] == apdu.GENERAL_BLOCK_TRANSFER and general:
                        before = transfer.progress
                        whole = await transfer.take(apdu.decode(raw))
                        if transfer.progress > before:
                            deadline = self._clock.ticks_ms() + self.timeout_ms
                        if whole is None:
                            continue
                        raw = whole
                    opened = self._opened(raw)
                    certain = certain or opened is not raw
                    answer = None if opened is None else self._read(opened, step)
                except Replayed:
                    transfer.forget()
                    continue  # a duplicate
                except SecurityFailed as failed:
                    # Anybody may put a forged frame on the air: the true answer may still come.
                    # Of general blocks, some of an earlier transfer may have been among them.
                    complaint = SecurityFailed("%s: %s" % (step, failed))
                    transfer.forget()
                    continue
                except ProtocolError as error:
                    complaint = ProtocolError("%s: %s" % (step, error))
                    if certain and not transfer.blocks:
                        raise complaint
                    transfer.forget()
                    continue
                except ServiceRefused as refused:
                    # It has no invoke-id and is never ciphered: in the midst of an association a
                    # complaint about counter or tag may be due to an old frame on its way twice.
                    if invoke < 0 or refused.service not in _FRAME_ERRORS:
                        raise
                    complaint = refused
                    continue
                if isinstance(answer, apdu.NOTIFICATIONS):
                    self._notify(answer)
                elif self._is_for(answer, kinds, step, invoke, block):
                    return answer
                transfer.forget()
            if transfer.cut:
                break  # its blocks have been sent again and again already
        if complaint is not None:
            raise complaint
        raise NoAnswer(
            "%s: no answer within %d ms, sent %d times; check the path"
            % (step, self.timeout_ms, self.tries if repeat else 1)
        )

    async def tell(self, plain: bytes, step: str) -> None:
        """Send a request that is not confirmed: nothing comes back."""
        transfer = self._transfer(self._protected(plain), step, False)
        await transfer.send_unconfirmed()

    async def drain(self) -> None:
        """Until nothing has come for as long as one answer may take: what was late is over."""
        for _ in range(_MOST_LATE):
            try:
                await self.link.receive(self.timeout_ms)
            except asyncio.TimeoutError:
                return

    async def listen(self, timeout_ms: int) -> Any:
        """The next notification within `timeout_ms`, None when there was none; it goes to
        `on_notification` too. Anything else that comes is dropped."""
        deadline = self._clock.ticks_ms() + timeout_ms
        transfer = self._transfer(b"", "notification", False)
        while True:
            left = deadline - self._clock.ticks_ms()
            if left <= 0:
                return None
            try:
                raw = await self.link.receive(left)
            except asyncio.TimeoutError:
                return None
            try:
                if raw and raw[0] == apdu.GENERAL_BLOCK_TRANSFER:
                    whole = await transfer.take(apdu.decode(raw))
                    if whole is None:
                        continue
                    raw = whole
                opened = self._opened(raw)
                answer = None if opened is None else self._read(opened, "notification")
            except DlmsError:
                transfer.forget()
                continue
            transfer.forget()
            if isinstance(answer, apdu.NOTIFICATIONS):
                self._notify(answer)
                return answer

    async def abandon(self, information: bytes) -> None:
        """Close the association after a fault, without waiting for the meter's consent."""
        self.conformance = 0
        try:
            await self.link.send(acse.Rlrq(0, information).encode())
        except (OSError, PortError):
            pass

    # ------------------------------------------------------------ small parts

    def _transfer(self, raw: bytes, step: str, long_answer: bool) -> _Transfer:
        blocks = self.agreed(acse.GENERAL_BLOCK_TRANSFER)
        if len(raw) > self.max_send and not blocks:
            raise NotSupported(
                "%s: %d bytes, the meter takes %d and no general blocks"
                % (step, len(raw), self.max_send)
            )
        outgoing = None
        if len(raw) > self.max_send or (blocks and long_answer and self._window > 1):
            size = self.max_send - gbt.OVERHEAD
            if size < 1:
                raise NotSupported("%s: %d bytes are too few for a block" % (step, self.max_send))
            outgoing = gbt.Outgoing(raw, size)
        return _Transfer(
            self.link, raw, outgoing, self._window, self.max_value + _PROTECTION, self.tries
        )

    def _protected(self, plain: bytes) -> bytes:
        # AARQ and RLRQ are BER: what is secret in them is ciphered inside. A request sent again is
        # ciphered again, for a counter may be used only once.
        if self.ciphering is None or plain[0] in (acse.AARQ, acse.RLRQ):
            return plain
        return self.ciphering.protect(plain)

    def _opened(self, raw: bytes) -> bytes | None:
        """The plain APDU; None for what is to be dropped without a word."""
        if len(raw) == 0:
            raise ProtocolError("an empty APDU came")
        tag = raw[0]
        if (tag in PROTECTED or tag in _SERVICES) and self.conformance == 0:
            return None  # of an association that is over
        if tag in PROTECTED:
            if self.ciphering is None:
                raise SecurityFailed("a ciphered answer came to a plain request")
            return self.ciphering.unprotect(raw)
        if tag in _SERVICES and self._secured():
            raise SecurityFailed("a plain answer came to a ciphered request")
        if tag in _UNASKED and self._secured():
            return None  # anybody may have sent it
        return raw

    def _read(self, plain: bytes, step: str) -> Any:
        """The APDU in `plain`; refusals of the whole service raise."""
        answer = apdu.decode(plain)
        if isinstance(answer, apdu.ExceptionResponse):
            state, service = answer.state_name(), answer.service_name()
            text = "%s: exception-response, %s, %s%s%s" % (
                step,
                state,
                service,
                "" if answer.counter is None else "; the meter expects %d" % answer.counter,
                "; " + _SERVICE_HINTS[service] if service in _SERVICE_HINTS else "",
            )
            raise ServiceRefused(state, service, answer.counter, text)
        if isinstance(answer, apdu.ConfirmedServiceError):
            service, error_name = answer.service_name(), answer.error_name()
            text = "%s: confirmed-service-error, %s, %s" % (step, service, error_name)
            raise ServiceRefused(service, error_name, None, text)
        return answer

    def _secured(self) -> bool:
        """Whether the meter's answers must come protected."""
        ciphering = self.ciphering
        return ciphering is not None and (
            ciphering.protection.form != PLAIN or ciphering.protection.signed
        )

    def _notify(self, notification: Any) -> None:
        if self._on_notification is not None:
            self._on_notification(notification)

    def _is_for(
        self, answer: Any, kinds: tuple[type, ...], step: str, invoke: int, block: int
    ) -> bool:
        """False for what is late or double; ProtocolError for what can be neither."""
        if invoke < 0:
            return isinstance(answer, kinds)
        if apdu.AccessResponse in kinds or isinstance(answer, apdu.AccessResponse):
            # the one service with a long invoke-id
            theirs = getattr(answer, "invoke", -1) if isinstance(answer, kinds) else -1
            return theirs >= 0 and theirs & apdu.LONG_ID == invoke & apdu.LONG_ID
        theirs = getattr(answer, "invoke", None)
        if theirs is None or theirs & 0x0F != invoke & 0x0F:
            return False
        if isinstance(answer, apdu.ActionBlockAck) and apdu.ActionBlockAck not in kinds:
            return False  # the last block is out; an earlier one was acknowledged twice
        if isinstance(answer, kinds) and getattr(answer, "result", apdu.SUCCESS) != apdu.SUCCESS:
            return True  # a refusal is one whatever block number it carries
        number = getattr(answer, "block", block)
        if number < block:
            return False
        if not isinstance(answer, kinds) or number > block:
            raise ProtocolError(
                "%s: %s came%s, which does not follow"
                % (step, type(answer).__name__, " (block %d)" % number if number else "")
            )
        return True


class _Transfer:
    """One request on its way, and its answer coming in, in general blocks where there are any.

    `progress` grows with every block that is new to either side."""

    def __init__(
        self,
        link: Link,
        raw: bytes,
        outgoing: gbt.Outgoing | None,
        window: int,
        limit: int,
        tries: int,
    ) -> None:
        self._link = link
        self._raw = raw
        self.cut = outgoing is not None  # the request goes in general blocks
        self._outgoing = outgoing
        self._window = window
        self._limit = limit
        self._tries = tries
        self._incoming: gbt.Incoming | None = None
        self._first = b""  # block 1 of what comes in
        self._acked = 0  # blocks of ours that the meter has
        self._most_acked = 0
        self._theirs = 0  # the number of their last acknowledgement
        self._sent = 0  # the highest block of ours sent
        self._their_window = 1  # known from their first block on
        self._acks = 0  # acknowledgements sent: blocks have numbers even when they are empty
        self._stalled = 0  # times something was sent again without progress since
        self.progress = 0
        self.blocks = False  # general blocks have come

    async def send(self) -> None:
        if self._outgoing is None:
            await self._link.send(self._raw)
        else:
            await self._send_window()

    async def send_unconfirmed(self) -> None:
        """All at once; in blocks that stream, with window 0: nobody acknowledges them."""
        if self._outgoing is None:
            await self._link.send(self._raw)
            return
        for block in self._outgoing.window(0, self._outgoing.count, 0, 0):
            await self._link.send(block.encode())

    async def again(self) -> bool:
        """Nothing came in time: repeat what makes the meter say where it stands. False when there
        are no blocks, or it has been tried often enough."""
        if self._outgoing is None and not self._first:
            return False
        if not self._may_repeat():
            return False
        if self._incoming is not None:
            await self._acknowledge()
        elif self._outgoing is not None:
            # The last block makes the meter tell what it has. Where it keeps silent even then, it
            # may have nothing, and an acknowledgement of an earlier transfer has misled us.
            after = self._sent - 1 if self._stalled % 2 else 0
            if after == 0:
                self._acked = 0
            for block in self._outgoing.window(after, 1, self._window, self._theirs):
                await self._link.send(block.encode())
        return True

    async def take(self, block: gbt.GeneralBlock) -> bytes | None:
        """A block has come: answer it as is due. The whole APDU once it is there."""
        self.blocks = True
        self._their_window = block.window or 1
        if self._outgoing is not None and self._acked < self._outgoing.count:
            if not self._acked <= block.ack <= self._sent:
                return None  # of an earlier transfer
            if block.data and block.ack < self._outgoing.count:
                return None  # no answer can come before all of the request is there
            self._acked = block.ack
            self._theirs = block.number
            if block.ack > self._most_acked:
                self._most_acked = block.ack
                self._moved()
            elif not self._may_repeat():
                return None
            if self._acked < self._outgoing.count:
                await self._send_window()
                return None
        if not block.data:
            return None  # all of ours is there, and nothing of theirs yet
        return await self._collect(block)

    def forget(self) -> None:
        """What came in was of no use; the true answer may begin with any next block."""
        self._incoming = None
        self._first = b""

    async def _collect(self, block: gbt.GeneralBlock) -> bytes | None:
        if block.number == 1 and block.data != self._first:
            # Another block 1 than before: the one before was of an earlier transfer.
            self._incoming = gbt.Incoming(self._limit)
            self._first = block.data
        if self._incoming is None:
            # Blocks before block 1 are of an earlier transfer, or come again once it is asked for.
            self._incoming = None if block.streaming else gbt.Incoming(self._limit)
        elif self._first and self._incoming.take(block):
            self._moved()
        if self._incoming is None:
            return None
        whole = self._incoming.whole()
        if whole is None and not block.streaming:
            await self._acknowledge()
        return whole

    async def _acknowledge(self) -> None:
        """Empty block: what we have, and how much may come now (only what is missing of a gap)."""
        assert self._incoming is not None
        window = min(self._window, self._incoming.missing() or self._window)
        self._acks += 1
        number = (0 if self._outgoing is None else self._outgoing.count) + self._acks
        received = self._incoming.received
        await self._link.send(
            gbt.GeneralBlock(True, False, window, number & 0xFFFF, received, b"").encode()
        )

    async def _send_window(self) -> None:
        assert self._outgoing is not None
        following = self._outgoing.window(
            self._acked, self._their_window, self._window, self._theirs
        )
        for block in following:
            await self._link.send(block.encode())
            self._sent = max(self._sent, block.number)

    def _may_repeat(self) -> bool:
        self._stalled += 1
        return self._stalled < self._tries

    def _moved(self) -> None:
        self.progress += 1
        self._stalled = 0
