"""One request and its answer over a Link: protection, repetition, block transfer, and telling the
answer from what is late, double, forged or unasked for.

An answer is known by its invoke-id, block number or invocation counter. What else the meter sends
is dropped; notifications go to `on_notification`. Answers with short names have no invoke-id: what
of them may still come is waited for before the next request goes out (settle). An APDU that does
not fit goes as general blocks (gbt.py) where the meter agreed to them.
"""

from __future__ import annotations

import asyncio

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, gbt, parts
from gateway.dlms.client.question import Question
from gateway.dlms.client.refusals import service_refused
from gateway.dlms.client.transfer import Transfer
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
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.dlms.protection.security import Ciphering
    from hal.ports import Clock, Link

WHERE = "dlms"
_MOST_LATE = 64  # frames dropped while waiting for silence
_CONFIRMED = 0x40  # invoke-id-and-priority: confirmed service, normal priority
_PROTECTION = 512  # what protection adds to a long answer, at most

_SERVICES = (
    apdu.GET_RESPONSE,
    apdu.SET_RESPONSE,
    apdu.ACTION_RESPONSE,
    apdu.ACCESS_RESPONSE,
    parts.READ_RESPONSE,
    parts.WRITE_RESPONSE,
)
_UNASKED = (apdu.DATA_NOTIFICATION, apdu.EVENT_NOTIFICATION, apdu.INFORMATION_REPORT)
_FRAME_ERRORS = (apdu.SERVICE_ERRORS[5], apdu.SERVICE_ERRORS[6])


class Exchange:
    """What the services of a client share. `window` is how many general blocks the meter may send
    at once. `ciphering`, `conformance` (0: no association) and `max_send` are the association's.
    `decode` knows the APDUs that may come; `unanswered` requests without invoke-id are out."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        timeout_ms: int,
        tries: int,
        max_value: int,
        window: int,
        on_notification: Callable[[Any], None] | None,
        pause_ms: int = 0,
    ) -> None:
        if not 1 <= window <= gbt.MOST_WINDOW:
            raise ValueError("window %d is not 1..%d" % (window, gbt.MOST_WINDOW))
        self.link = link
        self.timeout_ms = timeout_ms
        self.tries = tries
        self.max_value = max_value
        self.ciphering: Ciphering | None = None
        self.conformance = 0
        self.unkept = 0  # conformance bits given up, in all associations
        self.max_send = link.max_apdu
        self.decode: Callable[[bytes], Any] = apdu.decode
        self.unanswered = 0
        self._clock = clock
        self._window = window
        self._on_notification = on_notification
        self._pause_ms = pause_ms
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

    def give_up(self, bits: int) -> None:
        """The meter agreed to these services and does not keep to them."""
        for bit, name in acse.CONFORMANCE_NAMES.items():
            if bits & bit:
                log.warning(WHERE, "the meter agreed to %s and does not keep to it" % name)
        self.unkept |= bits
        self.conformance &= ~bits

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

    def now(self) -> int:
        return self._clock.ticks_ms()

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
        question = Question(kinds, step, invoke, block)
        sent = self.tries if repeat else 1
        await self._pause()
        for _ in range(sent):
            transfer = self._transfer(self._protected(plain), step, long_answer)
            nameless = invoke < 0 and self.conformance != 0
            self.unanswered += nameless
            await transfer.send()
            try:
                answer = await self._answer(question, transfer)
            except ServiceRefused:
                self.unanswered -= nameless
                raise
            if answer is not None:
                self.unanswered -= nameless
                return answer
            if transfer.cut:
                break  # its blocks have been sent again and again already
        if transfer.cut and not transfer.blocks and long_answer:
            answer = await self._asked_whole(plain, question)
            if answer is not None:
                return answer
        if question.complaint is not None:
            raise question.complaint
        raise NoAnswer(
            "%s: no answer within %d ms, sent %d times; check the path"
            % (step, self.timeout_ms, sent)
        )

    async def _asked_whole(self, plain: bytes, question: Question) -> Any:
        """The answer to a request that went in general blocks without need, to let the meter know
        our window, and was met with silence; None where this is too."""
        raw = self._protected(plain)
        if len(raw) > self.max_send:
            return None
        transfer = Transfer(self.link, raw, None, 1, self.max_value + _PROTECTION, 1)
        await transfer.send()
        answer = await self._answer(question, transfer)
        if answer is not None and not transfer.blocks:
            self.give_up(acse.GENERAL_BLOCK_TRANSFER)
        return answer

    async def _pause(self) -> None:
        if self._pause_ms:
            await self._clock.sleep_ms(self._pause_ms)

    async def _answer(self, question: Question, transfer: Transfer) -> Any:
        """The true answer, None if none comes in time; each block that is new gives more time."""
        deadline = self._clock.ticks_ms() + self.timeout_ms
        while True:
            raw = await self._received(deadline)
            if raw is None:
                if not await transfer.again():
                    return None
                deadline = self._clock.ticks_ms() + self.timeout_ms
                continue
            before = transfer.progress
            answer = await self._heard(raw, question, transfer)
            if answer is not None:
                return answer
            if transfer.progress > before:
                deadline = self._clock.ticks_ms() + self.timeout_ms

    async def _received(self, deadline: int) -> bytes | None:
        """The next frame of the meter; None if it is not there by the deadline."""
        left = deadline - self._clock.ticks_ms()
        if left <= 0:
            return None
        try:
            return await self.link.receive(left)
        except asyncio.TimeoutError:
            return None

    async def _heard(self, raw: bytes, question: Question, transfer: Transfer) -> Any:
        """What has come if it is the answer, else None: a notification goes to who wants it, the
        rest is dropped, and what is wrong with it may be told later."""
        certain = not self._secured()  # that it comes from our meter
        try:
            if self._is_block(raw) and self.agreed(acse.GENERAL_BLOCK_TRANSFER):
                whole = await transfer.take(apdu.decode(raw))
                if whole is None:
                    return None
                raw = whole
            opened = self._opened(raw)
            certain = certain or opened is not raw
            answer = None if opened is None else self._read(opened, question.step)
        except Replayed:
            answer = None  # a duplicate
        except SecurityFailed as failed:
            # Anybody may put a forged frame on the air: the true answer may still come. Of general
            # blocks, some of an earlier transfer may have been among them.
            question.complaint = SecurityFailed("%s: %s" % (question.step, failed))
            answer = None
        except ProtocolError as error:
            question.complaint = ProtocolError("%s: %s" % (question.step, error))
            if certain and not transfer.blocks:
                raise question.complaint
            answer = None
        except ServiceRefused as refused:
            # It has no invoke-id and is never ciphered: in the midst of an association a complaint
            # about counter or tag may be due to an old frame on its way twice.
            if self.conformance == 0 or refused.service not in _FRAME_ERRORS:
                raise
            question.complaint = refused
            return None
        if isinstance(answer, apdu.NOTIFICATIONS):
            self._notify(answer)
        elif answer is not None and question.is_answered_by(answer):
            return answer
        transfer.forget()
        return None

    async def settle(self) -> None:
        """Until every answer that may still come is there, or nothing has come for as long as one
        may take: of a request without invoke-id that was sent again, or given up, the answer would
        be taken for the next one's."""
        deadline = self._clock.ticks_ms() + self.timeout_ms
        while self.unanswered > 0:
            raw = await self._received(deadline)
            if raw is None:
                break
            try:
                # deciphered all the same: its counter must not be accepted another time
                opened = self._opened(raw)
                late = None if opened is None else self._read(opened, "late answer")
            except (ServiceRefused, Replayed):
                self.unanswered -= 1
                continue
            except DlmsError:
                continue
            if isinstance(late, apdu.NOTIFICATIONS):
                self._notify(late)
            elif late is not None:
                self.unanswered -= 1
        self.unanswered = 0

    async def tell(self, plain: bytes, step: str) -> None:
        """Send a request that is not confirmed: nothing comes back."""
        await self._pause()
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
            raw = await self._received(deadline)
            if raw is None:
                return None
            try:
                if self._is_block(raw):
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
        except (DlmsError, OSError, PortError):
            pass

    # ------------------------------------------------------------ small parts

    def _transfer(self, raw: bytes, step: str, long_answer: bool) -> Transfer:
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
        return Transfer(
            self.link, raw, outgoing, self._window, self.max_value + _PROTECTION, self.tries
        )

    def _is_block(self, raw: bytes) -> bool:
        return len(raw) > 0 and raw[0] == apdu.GENERAL_BLOCK_TRANSFER

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
        try:
            answer = self.decode(plain)
        except ProtocolError:
            if plain[0] != acse.RLRE:
                raise
            answer = acse.Rlre.said_by(plain)
        if isinstance(answer, (apdu.ExceptionResponse, apdu.ConfirmedServiceError)):
            raise service_refused(answer, step)
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
