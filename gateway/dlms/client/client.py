"""The DLMS/COSEM client over one Link: associate, get, set, action, access, release.

Requests go out one at a time. Answers that are late or double are known by their invoke-id, block
number or invocation counter, and dropped. A request is sent again when no answer came, `tries`
times in all; a method is never invoked twice, so an ACTION (or the last block of one) is sent once.
Values that do not fit the meter's or the path's largest APDU travel in blocks. Every service is
asked for, and only those that the meter grants are used: a list goes one by one where there are no
lists, ACCESS as lists.

Errors are those of errors.py; OSError and ModemError of the link pass through. After a
ProtocolError the association is closed: associate() starts the next. Cancelling a call leaves the
link usable: what still comes for it is dropped later.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client import accessing, invoking, reading, writing
from gateway.dlms.client.association import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LOW,
    NONE,
    Association,
)
from gateway.dlms.client.exchange import Exchange
from gateway.dlms.data import axdr
from gateway.dlms.data.selection import by_entry, by_range
from gateway.dlms.errors import (
    ActionRefused,
    AssociationRefused,
    DlmsError,
    LinkSilent,
    NoAnswer,
    NotSupported,
    ProtocolError,
    SecurityFailed,
)
from gateway.dlms.protection import hls
from gateway.dlms.protection.policy import PLAIN
from gateway.dlms.protection.security import Ciphering
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from gateway.dlms.apdu.access import Operation
    from gateway.dlms.apdu.action import Method
    from gateway.dlms.apdu.parts import DataResult, Selection, Target
    from gateway.dlms.client.reading import Rows
    from gateway.dlms.data.axdr import Typed
    from gateway.dlms.protection.keyring import Keys
    from hal.ports import Clock, Crypto, Link

    T = TypeVar("T")

__all__ = (
    "HIGH",
    "HIGH_ECDSA",
    "HIGH_GMAC",
    "HIGH_MD5",
    "HIGH_SHA1",
    "HIGH_SHA256",
    "LOW",
    "NONE",
    "PROPOSED",
    "Association",
    "Client",
)

PROPOSED = (
    acse.GENERAL_PROTECTION
    | acse.GENERAL_BLOCK_TRANSFER
    | acse.BLOCK_GET
    | acse.BLOCK_SET
    | acse.BLOCK_ACTION
    | acse.MULTIPLE_REFERENCES
    | acse.DATA_NOTIFICATION
    | acse.ACCESS
    | acse.GET
    | acse.SET
    | acse.SELECTIVE_ACCESS
    | acse.EVENT_NOTIFICATION
    | acse.ACTION
)

_CURRENT_ASSOCIATION = b"\x00\x00\x28\x00\x00\xff"
_REPLY_TO_HLS = 1


class _ProofRefused(AssociationRefused):
    """By the meter, after an AARE that may have been an earlier one."""


class Client:
    """`timeout_ms` is how long one answer may take, `tries` how often a repeatable request is sent,
    `max_value` the largest value in bytes put together from blocks, `window` how many general
    blocks the meter may send at once (1..63). `next_counter` gives invocation counters never used
    before with these keys. `on_notification` is called with what the meter sends unasked
    (apdu.NOTIFICATIONS); without it that is dropped. One caller at a time."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        crypto: Crypto,
        association: Association,
        next_counter: Callable[[], int],
        timeout_ms: int = 10_000,
        tries: int = 3,
        max_value: int = 65536,
        window: int = 1,
        on_notification: Callable[[Any], None] | None = None,
    ) -> None:
        self._link = link
        self._crypto = crypto
        self._association = association
        self._next_counter = next_counter
        self._exchange = Exchange(
            link, clock, timeout_ms, tries, max_value, window, on_notification
        )
        self._dedicated = b""  # this association's key, where its protection has one
        self._open = False  # an AARQ is out, and no RLRQ after it

    @property
    def conformance(self) -> int:
        """The services agreed to (bits of acse.py); 0 while there is no association."""
        return self._exchange.conformance

    @property
    def capacity(self) -> int:
        """The longest plain APDU in bytes that goes in one piece, protection allowed for."""
        return self._exchange.capacity()

    # ------------------------------------------------------------ association

    async def associate(self) -> None:
        """AARQ, AARE, and both passes of HLS. Starts anew each time it is called.

        On a bad path an AARE may belong to an AARQ before, even of a conversation before; then its
        challenge is void and authentication fails though the keys are right. So a failure counts
        only once the line has been silent before the AARQ; else it is NoAnswer.
        """
        exchange = self._exchange
        silent_before = exchange.tries == 1
        for attempt in range(1, exchange.tries + 1):
            exchange.conformance = 0
            self._open = True
            try:
                await self._associate_once()
                return
            except LinkSilent:
                raise  # the link has tried often enough, and says what
            except NoAnswer:
                if attempt == exchange.tries:
                    raise NoAnswer(
                        "association of client %d: no answer within %d ms, tried %d times;"
                        " check the path"
                        % (self._association.client_sap, exchange.timeout_ms, attempt)
                    )
                silent_before = False
            except (SecurityFailed, _ProofRefused) as error:
                if silent_before:
                    raise error
                if attempt == exchange.tries:
                    raise NoAnswer(
                        "%s; or the answers come too late: tried %d times" % (error, attempt)
                    )
                await exchange.drain()
                silent_before = True
            except ProtocolError as error:
                await self._abandon()
                raise error

    def assume(self, title: bytes, conformance: int, max_pdu: int, received: int = -1) -> None:
        """A pre-established association (Green Book 9.3.1): nothing is exchanged, both sides know
        what would have been agreed. `title`: the meter's system title; `received`: the highest
        invocation counter that has come from it (see `received`)."""
        exchange = self._exchange
        self._begin_protection()
        if self._association.proves:
            raise ValueError("a pre-established association has no authentication of its own")
        if exchange.ciphering is not None:
            exchange.ciphering.peer_title = title
            assert self._association.keys is not None
            exchange.ciphering.use(self._association.keys, received)
        exchange.max_send = min(max_pdu, self._link.max_apdu)
        exchange.conformance = conformance & PROPOSED

    @property
    def received(self) -> int:
        """The highest invocation counter accepted from the meter so far; -1: none."""
        ciphering = self._exchange.ciphering
        return -1 if ciphering is None else ciphering.received

    async def _associate_once(self) -> None:
        wanted = self._association
        exchange = self._exchange
        step = "association of client %d" % wanted.client_sap
        self._begin_protection()
        challenge = b""
        if wanted.proves:
            challenge = self._crypto.random(hls.challenge_size(wanted.authentication))
        answer = await exchange.ask(self._aarq(challenge).encode(), (acse.Aare,), step, False)
        agreed = self._check_aare(answer, step)
        exchange.max_send = self._link.max_apdu
        if agreed.max_pdu:
            exchange.max_send = min(agreed.max_pdu, exchange.max_send)
        conformance = agreed.conformance & PROPOSED
        if wanted.protection.general and not conformance & acse.GENERAL_PROTECTION:
            raise NotSupported("%s: the meter did not agree to general-protection" % step)
        if wanted.proves:
            # The association is only pending: nothing but this one ACTION is allowed in it, in
            # whatever it has to be wrapped to fit.
            exchange.conformance = acse.ACTION | (
                conformance & (acse.GENERAL_PROTECTION | acse.GENERAL_BLOCK_TRANSFER)
            )
            if exchange.ciphering is not None:
                exchange.ciphering.pending = True
            await self._prove(challenge, answer, step)
        if exchange.ciphering is not None:
            exchange.ciphering.pending = False
        exchange.conformance = conformance

    def _begin_protection(self) -> None:
        """A fresh Ciphering; what the meter sent last is remembered from the one before."""
        wanted = self._association
        exchange = self._exchange
        before = exchange.ciphering
        self._dedicated = b""
        exchange.ciphering = None
        if wanted.keys is None or (wanted.context == acse.LN and not wanted.protection.signed):
            return
        exchange.ciphering = Ciphering(
            self._crypto,
            wanted.keys,
            self._next_counter,
            b"",
            -1 if before is None else before.received,
            wanted.protection,
        )
        if wanted.protection.dedicated:
            self._dedicated = self._crypto.random(wanted.keys.suite.key_size)
            exchange.ciphering.dedicate(self._dedicated)

    def use_keys(self, keys: Keys) -> None:
        """From the next request on, in this association and those to come: after a key change."""
        before = self._association.keys
        self._association.keys = keys
        ciphering = self._exchange.ciphering
        if ciphering is not None:
            same_key = before is not None and before.ek == keys.ek
            ciphering.use(keys, ciphering.received if same_key else -1)

    def _aarq(self, challenge: bytes) -> acse.Aarq:
        wanted = self._association
        return acse.Aarq(
            wanted.context,
            self._initiate_request(),
            b"" if wanted.keys is None else wanted.keys.system_title,
            wanted.authentication,
            challenge if wanted.proves else wanted.secret,
        )

    def _initiate_request(self) -> bytes:
        largest = min(self._association.max_pdu or 0xFFFF, self._link.max_apdu, 0xFFFF)
        plain = acse.InitiateRequest(PROPOSED, largest, self._dedicated).encode()
        ciphering = self._exchange.ciphering
        return plain if ciphering is None else ciphering.protect(plain)

    def _check_aare(self, answer: acse.Aare, step: str) -> acse.InitiateResponse:
        wanted = self._association
        if answer.result != acse.ACCEPTED:
            name = answer.diagnostic_name()
            raise AssociationRefused(
                name,
                "%s: %s, %s%s; %s"
                % (
                    step,
                    answer.result_name(),
                    name,
                    _initiate_error(answer.user_information),
                    _DIAGNOSTIC_HINTS.get(name, "check authentication, keys and client number"),
                ),
            )
        if answer.context != wanted.context:
            raise ProtocolError(
                "%s: application context %d came, %d was asked"
                % (step, answer.context, wanted.context)
            )
        information = answer.user_information
        ciphering = self._exchange.ciphering
        if ciphering is not None:
            ciphering.peer_title = answer.title
            if wanted.protection.form != PLAIN:
                information = ciphering.unprotect(information)
        agreed = acse.InitiateResponse.decode(information)
        if wanted.proves and answer.mechanism != wanted.authentication:
            raise SecurityFailed("%s: the meter skips its own authentication" % step)
        return agreed

    async def _prove(self, challenge: bytes, answer: acse.Aare, step: str) -> None:
        """Passes 3 and 4 of HLS: our f(StoC) for the meter's f(CtoS)."""
        wanted = self._association
        ciphering = self._exchange.ciphering
        if wanted.authentication == HIGH_GMAC and ciphering is None:
            assert wanted.keys is not None
            ciphering = Ciphering(self._crypto, wanted.keys, self._next_counter, answer.title)
        proving = hls.Hls(
            wanted.authentication,
            self._crypto,
            wanted.secret,
            wanted.keys,
            ciphering,
            wanted.algorithm,
        )
        try:
            hls.check_challenge(wanted.authentication, answer.value, challenge)
            own = proving.prove(answer.value, challenge, answer.title)
            reply = await self.action(
                15, _CURRENT_ASSOCIATION, _REPLY_TO_HLS, axdr.encode((axdr.OCTET_STRING, own))
            )
            typed = axdr.decode(reply or b"")
            if typed[0] != axdr.OCTET_STRING:
                raise ProtocolError("%s: the meter's HLS proof is not an octet-string" % step)
            proving.check(typed[1], challenge, answer.value, answer.title)
        except ActionRefused as refused:
            raise _ProofRefused(
                "authentication-failure",
                "%s: the meter refused our HLS proof (%s); check the keys" % (step, refused.result),
            )
        except SecurityFailed as failed:
            raise SecurityFailed("%s: %s" % (step, failed))

    async def release(self) -> str:
        """RLRQ, once; whatever the meter or the link does about it, the association is over. What
        the meter said, by its standard name ("normal"); "" when it said nothing."""
        if not self._open:
            return ""
        self._open = False
        request = acse.Rlrq(0, self._release_information())
        self._exchange.conformance = 0
        try:
            answer = await self._exchange.ask(request.encode(), (acse.Rlre,), "release", False)
        except (DlmsError, OSError, PortError):
            return ""
        said: str = answer.reason_name()
        return said

    # ------------------------------------------------------------ services

    async def get(
        self, class_id: int, name: bytes, attribute: int, selection: Selection | None = None
    ) -> bytes:
        """The attribute's value: A-XDR Data as it came, for axdr.decode."""
        return await self._closing(
            reading.get(self._exchange, class_id, name, attribute, selection)
        )

    async def get_list(self, items: list[Target]) -> list[DataResult]:
        """Several attributes (class_id, obis, attribute, selection), in as few exchanges as the
        meter's services and largest APDU allow: for each its data-access-result and value (None
        unless SUCCESS)."""
        return await self._closing(reading.get_list(self._exchange, items))

    def read_profile(
        self,
        name: bytes,
        start: bytes | None = None,
        end: bytes | None = None,
        first: int = 1,
        last: int = 0,
        columns: list[Typed] | None = None,
    ) -> Rows:
        """The rows of a profile generic's buffer: `async for row in client.read_profile(..)`, each
        a list of typed values. `start` and `end` (date-times of 12 bytes) choose a range of time;
        else `first` and `last` (from 1; last 0: the end) choose entries; none of them: all rows.
        `columns` (selection.column) chooses columns, of a range only."""
        selection: Selection | None = None
        if start is not None and end is not None:
            selection = by_range(start, end, columns)
        elif start is not None or end is not None or columns:
            raise ValueError("a range needs its start and its end")
        elif (first, last) != (1, 0):
            selection = by_entry(first, last)
        return reading.Rows(self._exchange, name, selection, self._abandon)

    async def set(
        self,
        class_id: int,
        name: bytes,
        attribute: int,
        data: bytes,
        selection: Selection | None = None,
        confirmed: bool = True,
    ) -> None:
        """Write `data` (A-XDR Data); returns when the meter has said success, or at once where it
        is not `confirmed`."""
        await self._closing(
            writing.set_(self._exchange, class_id, name, attribute, data, selection, confirmed)
        )

    async def set_list(self, items: list[tuple[Target, bytes]]) -> list[int]:
        """Write several attributes, each ((class_id, obis, attribute, selection), data), in as few
        exchanges as possible: the data-access-result of each."""
        return await self._closing(writing.set_list(self._exchange, items))

    async def action(
        self,
        class_id: int,
        name: bytes,
        method: int,
        data: bytes | None,
        confirmed: bool = True,
    ) -> bytes | None:
        """Invoke a method, never more than once; its return parameters as A-XDR Data, or None."""
        return await self._closing(
            invoking.action(self._exchange, class_id, name, method, data, confirmed)
        )

    async def action_list(self, items: list[tuple[Method, bytes | None]]) -> list[DataResult]:
        """Invoke several methods, each ((class_id, obis, method), data), in order, none more than
        once: for each its action-result and what it returned (None: nothing)."""
        return await self._closing(invoking.action_list(self._exchange, items))

    async def access(
        self, operations: list[Operation], break_on_error: bool = False
    ) -> list[DataResult]:
        """apdu.AccessGet, AccessSet and AccessAction mixed, in order, by ACCESS; by lists or one by
        one where the meter has it not. For each its result (of ACCESS_RESULTS or ACTION_RESULTS)
        and data or None; with `break_on_error` the results end with the first refusal."""
        return await self._closing(accessing.access(self._exchange, operations, break_on_error))

    async def listen(self, timeout_ms: int) -> Any:
        """The next notification (apdu.NOTIFICATIONS) while no request is under way, or None."""
        return await self._exchange.listen(timeout_ms)

    async def _closing(self, service: Awaitable[T]) -> T:
        """What the meter sends makes no sense: nothing more can be trusted in this association."""
        try:
            return await service
        except ProtocolError as error:
            await self._abandon()
            raise error

    async def _abandon(self) -> None:
        if not self._open:
            return
        self._open = False
        await self._exchange.abandon(self._release_information())

    def _release_information(self) -> bytes:
        """What proves to a ciphering meter that the RLRQ is ours."""
        if self._exchange.ciphering is None or not self.conformance:
            return b""
        try:
            return self._initiate_request()
        except SecurityFailed:
            return b""


_DIAGNOSTIC_HINTS = {
    "application-context-name-not-supported": "the meter wants ciphering, or wants none",
    "calling-AP-title-not-recognized": "check the system title",
    "authentication-mechanism-name-not-recognised": "choose another authentication",
    "authentication-mechanism-name-required": "choose an authentication",
    "authentication-failure": "check password and keys",
    "authentication-required": "this client must authenticate",
    "no-common-acse-version": "the meter speaks another version of ACSE",
}


def _initiate_error(information: bytes) -> str:
    """What a confirmed-service-error inside a refusing AARE adds."""
    try:
        error = apdu.decode(information)
    except ProtocolError:
        return ""
    if not isinstance(error, apdu.ConfirmedServiceError):
        return ""
    return " (%s)" % error.error_name()
