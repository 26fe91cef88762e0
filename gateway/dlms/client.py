"""The DLMS/COSEM client over one Link: associate, get, set, action, release.

Requests go out one at a time. Answers that are late or double are known by their invoke-id, block
number or invocation counter, and dropped. A request is sent again when no answer came, `tries`
times in all; a method is never invoked twice, so an ACTION (or the last block of one) is sent once.
Values that do not fit the meter's or the path's largest APDU travel in blocks.

Errors are those of errors.py; OSError and ModemError of the link pass through. Cancelling a call
leaves the link usable: what still comes for it is dropped later.
"""

from __future__ import annotations

import asyncio

from gateway.dlms import acse, apdu, axdr, cosem, obis
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    DlmsError,
    NoAnswer,
    NotSupported,
    ProtocolError,
    Replayed,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.security import PLAIN_OF, Ciphering
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.dlms.apdu_parts import Selection, Target
    from gateway.dlms.security import Keys
    from hal.ports import Clock, Crypto, Link

NONE = acse.NONE
LOW = acse.LOW
HIGH_GMAC = acse.HIGH_GMAC

PROPOSED = (
    acse.GET
    | acse.SET
    | acse.ACTION
    | acse.SELECTIVE_ACCESS
    | acse.MULTIPLE_REFERENCES
    | acse.BLOCK_GET
    | acse.BLOCK_SET
    | acse.BLOCK_ACTION
)

_CURRENT_ASSOCIATION = b"\x00\x00\x28\x00\x00\xff"
_REPLY_TO_HLS = 1
_CHALLENGE_SIZE = 16
_CONFIRMED = 0x40  # invoke-id-and-priority: confirmed service, normal priority

# results of GET and SET that say a block transfer has come apart, not that access is denied
_BROKEN_TRANSFER = (14, 15, 16, 17, 18, 19)

_HINTS = {
    "read-write-denied": "the client may not do this at this association's level",
    "object-undefined": "the meter has no such object; check model and firmware",
    "object-unavailable": "the meter cannot give it now; try later",
    "temporary-failure": "try later",
    "type-unmatched": "the value's type is not what this object takes",
    "scope-of-access-violated": "only part of the object is open to this client",
    "other-reason": "the meter does not say why; check the value's range",
}


class Association:
    """Who speaks, and how it proves itself.

    `client_sap`, `server_sap` are for the link; `authentication` NONE, LOW (with `secret`, the
    password) or HIGH_GMAC (with `keys`). With `keys` the application context is ciphered: every
    service goes as glo. `max_pdu` is the largest APDU to accept in bytes (0: what the path takes).
    """

    __slots__ = ("authentication", "client_sap", "keys", "max_pdu", "secret", "server_sap")

    def __init__(
        self,
        client_sap: int,
        server_sap: int = 1,
        authentication: int = NONE,
        secret: bytes = b"",
        keys: Keys | None = None,
        max_pdu: int = 0,
    ) -> None:
        if authentication not in (NONE, LOW, HIGH_GMAC):
            raise ValueError("authentication %d is not NONE, LOW or HIGH_GMAC" % authentication)
        if authentication == HIGH_GMAC and keys is None:
            raise ValueError("HIGH_GMAC needs keys")
        self.client_sap = client_sap
        self.server_sap = server_sap
        self.authentication = authentication
        self.secret = secret
        self.keys = keys
        self.max_pdu = max_pdu

    def __repr__(self) -> str:
        return "Association(%d, %d, %d, ...)" % (
            self.client_sap,
            self.server_sap,
            self.authentication,
        )


class Client:
    """`timeout_ms` is how long one answer may take, `tries` how often a repeatable request is sent,
    `max_value` the largest value in bytes put together from blocks. `next_counter` gives invocation
    counters never used before with these keys. One caller at a time."""

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
    ) -> None:
        self._link = link
        self._clock = clock
        self._crypto = crypto
        self._association = association
        self._next_counter = next_counter
        self._timeout_ms = timeout_ms
        self._tries = tries
        self._max_value = max_value
        self._ciphering: Ciphering | None = None
        self._invoke = 0
        self._max_send = link.max_apdu
        self.conformance = 0  # negotiated; 0 while there is no association

    # ------------------------------------------------------------ association

    async def associate(self) -> None:
        """AARQ, AARE, and both passes of HLS. Starts anew each time it is called."""
        for attempt in range(1, self._tries + 1):
            self.conformance = 0
            try:
                await self._associate_once()
                return
            except NoAnswer:
                if attempt == self._tries:
                    raise NoAnswer(
                        "association of client %d: no answer within %d ms, tried %d times;"
                        " check the path"
                        % (self._association.client_sap, self._timeout_ms, attempt)
                    )
            except (SecurityFailed, AssociationRefused):
                # After an AARQ without answer, an AARE may belong to that one; its challenge is
                # void by now and authentication fails though the keys are right.
                if attempt == 1 or attempt == self._tries:
                    raise

    async def _associate_once(self) -> None:
        wanted = self._association
        step = "association of client %d" % wanted.client_sap
        if wanted.keys is not None:
            received = -1 if self._ciphering is None else self._ciphering.received
            self._ciphering = Ciphering(
                self._crypto, wanted.keys, self._next_counter, b"", received
            )
        challenge = b""
        if wanted.authentication == HIGH_GMAC:
            challenge = self._crypto.random(_CHALLENGE_SIZE)
        answer = await self._ask(self._aarq(challenge).encode(), (acse.Aare,), step, False)
        agreed = self._check_aare(answer, step)
        self._max_send = self._link.max_apdu
        if agreed.max_pdu:
            self._max_send = min(agreed.max_pdu, self._max_send)
        conformance = agreed.conformance & PROPOSED
        if wanted.authentication == HIGH_GMAC:
            # The association is only pending: nothing but this one ACTION is allowed in it.
            self.conformance = acse.ACTION
            await self._prove(challenge, answer.value, step)
        self.conformance = conformance

    def _aarq(self, challenge: bytes) -> acse.Aarq:
        wanted = self._association
        initiate = self._initiate_request()
        if wanted.keys is None:
            return acse.Aarq(
                acse.LN, initiate, b"", wanted.authentication, challenge or wanted.secret
            )
        return acse.Aarq(
            acse.LN_CIPHERED,
            initiate,
            wanted.keys.system_title,
            wanted.authentication,
            challenge or wanted.secret,
        )

    def _initiate_request(self) -> bytes:
        largest = min(self._association.max_pdu or 0xFFFF, self._link.max_apdu, 0xFFFF)
        plain = acse.InitiateRequest(PROPOSED, largest).encode()
        return plain if self._ciphering is None else self._ciphering.protect(plain)

    def _check_aare(self, answer: acse.Aare, step: str) -> acse.InitiateResponse:
        wanted = self._association
        if answer.result != acse.ACCEPTED:
            name = answer.diagnostic_name()
            raise AssociationRefused(
                name,
                "%s: refused, %s%s; check authentication, keys and client number"
                % (step, name, _initiate_error(answer.user_information)),
            )
        context = acse.LN if wanted.keys is None else acse.LN_CIPHERED
        if answer.context != context:
            raise ProtocolError(
                "%s: application context %d came, %d was asked" % (step, answer.context, context)
            )
        information = answer.user_information
        if self._ciphering is not None:
            self._ciphering.peer_title = answer.title
            information = self._ciphering.unprotect(information)
        agreed = acse.InitiateResponse.decode(information)
        if wanted.authentication == HIGH_GMAC and answer.mechanism != HIGH_GMAC:
            raise SecurityFailed("%s: the meter skips its own authentication" % step)
        return agreed

    async def _prove(self, challenge: bytes, server_challenge: bytes, step: str) -> None:
        """Passes 3 and 4 of HLS: our f(StoC) for the meter's f(CtoS)."""
        assert self._ciphering is not None
        if not 8 <= len(server_challenge) <= 64 or server_challenge == challenge:
            raise SecurityFailed("%s: the meter's challenge is not 8..64 bytes of its own" % step)
        proof = axdr.encode((axdr.OCTET_STRING, self._ciphering.proof(server_challenge)))
        try:
            reply = await self.action(15, _CURRENT_ASSOCIATION, _REPLY_TO_HLS, proof)
        except ActionRefused as refused:
            raise AssociationRefused(
                "authentication-failure",
                "%s: the meter refused our HLS proof (%s); check the keys" % (step, refused.result),
            )
        typed = axdr.decode(reply or b"")
        if typed[0] != axdr.OCTET_STRING:
            raise ProtocolError("%s: the meter's HLS proof is not an octet-string" % step)
        self._ciphering.check_proof(challenge, typed[1])

    async def release(self) -> None:
        """RLRQ, once; whatever the meter or the link does about it, the association is over."""
        information = b""
        try:
            if self._ciphering is not None and self.conformance:
                information = self._initiate_request()
            self.conformance = 0
            await self._ask(acse.Rlrq(0, information).encode(), (acse.Rlre,), "release", False)
        except (DlmsError, OSError, PortError):
            pass

    # ------------------------------------------------------------ GET

    async def get(
        self, class_id: int, name: bytes, attribute: int, selection: Selection | None = None
    ) -> bytes:
        """The attribute's value: A-XDR Data as it came, for axdr.decode."""
        step = "GET %s of %s" % (cosem.attribute_name(class_id, attribute), obis.text(name))
        self._need(acse.GET, "GET", step)
        if selection is not None:
            self._need(acse.SELECTIVE_ACCESS, "selective access", step)
        for attempt in range(1, self._tries + 1):
            request = apdu.GetRequest(self._next_invoke(), class_id, name, attribute, selection)
            try:
                answer = await self._get(request, step)
            except _Broken as broken:
                if attempt == self._tries:
                    raise _access_refused(broken.result, step)
                continue
            if isinstance(answer, apdu.GetResponse):
                if answer.data is None:
                    raise _access_refused(answer.result, step)
                return answer.data
            if isinstance(answer, bytes):
                return answer
            raise ProtocolError("%s: answered as a list" % step)
        raise NoAnswer("%s: no try is allowed" % step)

    async def get_list(self, items: list[Target]) -> list[tuple[int, bytes | None]]:
        """Several attributes (class_id, obis, attribute, selection) in one exchange: for each its
        data-access-result and value (None unless SUCCESS)."""
        step = "GET of %d attributes" % len(items)
        self._need(acse.GET | acse.MULTIPLE_REFERENCES, "GET with list", step)
        for attempt in range(1, self._tries + 1):
            request = apdu.GetListRequest(self._next_invoke(), items)
            try:
                answer = await self._get(request, step)
            except _Broken as broken:
                if attempt == self._tries:
                    raise _access_refused(broken.result, step)
                continue
            if isinstance(answer, apdu.GetResponse):
                raise _access_refused(answer.result, step)
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

    async def _get(self, request: apdu.GetRequest | apdu.GetListRequest, step: str) -> Any:
        """GetResponse or GetListResponse when one APDU was enough, else the blocks joined."""
        invoke = request.invoke
        plain = request.encode()
        if len(plain) > self._capacity():
            raise NotSupported("%s: the request is longer than the meter takes" % step)
        kinds: tuple[type, ...] = (apdu.GetResponse, apdu.GetListResponse, apdu.GetBlock)
        answer = await self._ask(plain, kinds, step, True, invoke, 1)
        if not isinstance(answer, apdu.GetBlock):
            return answer
        value = bytearray()
        while True:
            if answer.result != apdu.SUCCESS:
                raise _broken(answer.result, step)
            self._collect(value, answer, step)
            if answer.last:
                return bytes(value)
            block = answer.block
            following = apdu.GetNext(invoke, block).encode()
            kinds = (apdu.GetBlock, apdu.GetResponse)
            answer = await self._ask(following, kinds, step, True, invoke, block + 1)
            if isinstance(answer, apdu.GetResponse):
                if answer.data is not None:
                    raise ProtocolError("%s: a whole value came amid its blocks" % step)
                raise _broken(answer.result, step)

    # ------------------------------------------------------------ SET

    async def set(
        self,
        class_id: int,
        name: bytes,
        attribute: int,
        data: bytes,
        selection: Selection | None = None,
    ) -> None:
        """Write `data` (A-XDR Data); returns when the meter has said success."""
        step = "SET %s of %s" % (cosem.attribute_name(class_id, attribute), obis.text(name))
        self._need(acse.SET, "SET", step)
        if selection is not None:
            self._need(acse.SELECTIVE_ACCESS, "selective access", step)
        for attempt in range(1, self._tries + 1):
            request = apdu.SetRequest(
                self._next_invoke(), class_id, name, attribute, selection, data
            )
            try:
                result = await self._set(request, step)
            except _Broken as broken:
                if attempt < self._tries:
                    continue
                result = broken.result
            if result != apdu.SUCCESS:
                raise _access_refused(result, step)
            return
        raise NoAnswer("%s: no try is allowed" % step)

    async def _set(self, request: apdu.SetRequest, step: str) -> int:
        """The data-access-result."""
        invoke = request.invoke
        plain = request.encode()
        if len(plain) <= self._capacity():
            whole: apdu.SetResponse = await self._ask(
                plain, (apdu.SetResponse,), step, True, invoke
            )
            return whole.result
        self._need(acse.BLOCK_SET, "block transfer with SET", step)
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
        sent = self._room(len(head.encode()), step)
        head.data = data[:sent]
        plain = head.encode()
        block = 1
        last = False
        while True:
            ends: tuple[type, ...] = (apdu.SetLastAck, apdu.SetResponse)
            kinds = ends if last else ends + (apdu.SetBlockAck,)
            answer = await self._ask(plain, kinds, step, True, invoke, block)
            if not isinstance(answer, apdu.SetBlockAck):
                if answer.result == apdu.SUCCESS and not last:
                    raise ProtocolError("%s: success amid the blocks" % step)
                if answer.result in _BROKEN_TRANSFER:
                    raise _Broken(answer.result)
                result: int = answer.result
                return result
            block += 1
            room = self._room(len(apdu.SetBlock(invoke, False, block, b"").encode()), step)
            last = sent + room >= len(data)
            plain = apdu.SetBlock(invoke, last, block, data[sent : sent + room]).encode()
            sent += room

    # ------------------------------------------------------------ ACTION

    async def action(
        self, class_id: int, name: bytes, method: int, data: bytes | None
    ) -> bytes | None:
        """Invoke a method, never more than once; its return parameters as A-XDR Data, or None."""
        step = "ACTION %s of %s" % (cosem.method_name(class_id, method), obis.text(name))
        self._need(acse.ACTION, "ACTION", step)
        invoke = self._next_invoke()
        answer = await self._invoke_method(invoke, class_id, name, method, data, step)
        if isinstance(answer, apdu.ActionResponseBlock):
            return await self._returned(answer, invoke, step)
        if answer.result != apdu.SUCCESS:
            result = apdu.action_result_name(answer.result)
            raise ActionRefused(result, step, "%s: %s%s" % (step, result, _hint(result)))
        if answer.data_result != apdu.SUCCESS:
            result = apdu.access_result_name(answer.data_result)
            raise ActionRefused(result, step, "%s: done, but its answer: %s" % (step, result))
        found: bytes | None = answer.data
        return found

    async def _invoke_method(
        self, invoke: int, class_id: int, name: bytes, method: int, data: bytes | None, step: str
    ) -> Any:
        plain = apdu.ActionRequest(invoke, class_id, name, method, data).encode()
        finals = (apdu.ActionResponse, apdu.ActionResponseBlock)
        if len(plain) <= self._capacity() or data is None:
            return await self._ask(plain, finals, step, False, invoke, 1)
        self._need(acse.BLOCK_ACTION, "block transfer with ACTION", step)
        head = apdu.ActionFirstBlock(invoke, class_id, name, method, False, 1, b"")
        sent = self._room(len(head.encode()), step)
        head.data = data[:sent]
        plain = head.encode()
        block = 1
        while True:
            kinds = (apdu.ActionBlockAck, apdu.ActionResponse)
            answer = await self._ask(plain, kinds, step, True, invoke, block)
            if isinstance(answer, apdu.ActionResponse):
                if answer.result == apdu.SUCCESS:
                    raise ProtocolError("%s: success amid the blocks" % step)
                return answer
            block += 1
            room = self._room(len(apdu.ActionBlock(invoke, False, block, b"").encode()), step)
            last = sent + room >= len(data)
            plain = apdu.ActionBlock(invoke, last, block, data[sent : sent + room]).encode()
            sent += room
            if last:
                return await self._ask(plain, finals, step, False, invoke, 1)

    async def _returned(
        self, answer: apdu.ActionResponseBlock, invoke: int, step: str
    ) -> bytes | None:
        value = bytearray()
        while True:
            self._collect(value, answer, step)
            if answer.last:
                break
            following = apdu.ActionNext(invoke, answer.block).encode()
            kinds = (apdu.ActionResponseBlock, apdu.ActionResponse)
            block = answer.block + 1
            found = await self._ask(following, kinds, step, True, invoke, block)
            if isinstance(found, apdu.ActionResponse):
                result = apdu.action_result_name(found.result)
                text = "%s: done, but its answer broke off: %s" % (step, result)
                raise ActionRefused(result, step, text)
            answer = found
        # The blocks hold a Get-Data-Result; some meters send its Data alone. A Data of more than
        # one byte cannot begin with 0 (null-data), so the two are told apart.
        if len(value) > 1 and value[0] == 0:
            return bytes(value[1:])
        return bytes(value)

    # ------------------------------------------------------------ one exchange

    async def _ask(
        self,
        plain: bytes,
        kinds: tuple[type, ...],
        step: str,
        repeat: bool,
        invoke: int = -1,
        block: int = 0,
    ) -> Any:
        """Send, and wait for the answer of one of `kinds` with this `invoke` and `block` (where it
        has one)."""
        complaint: DlmsError | None = None  # what else came, should no true answer ever come
        for _ in range(self._tries if repeat else 1):
            await self._link.send(self._protected(plain))
            deadline = self._clock.ticks_ms() + self._timeout_ms
            while True:
                left = deadline - self._clock.ticks_ms()
                if left <= 0:
                    break
                try:
                    raw = await self._link.receive(left)
                except asyncio.TimeoutError:
                    break
                try:
                    answer = self._read(raw, step)
                except Replayed:
                    continue  # a duplicate
                except SecurityFailed as failed:
                    # Anybody may put a forged frame on the air: the true answer may still come.
                    complaint = SecurityFailed("%s: %s" % (step, failed))
                    continue
                except ServiceRefused as refused:
                    # It has no invoke-id and is never ciphered: in the midst of an association a
                    # complaint about counter or tag may be due to an old frame on its way twice.
                    if invoke < 0 or refused.service not in _FRAME_ERRORS:
                        raise
                    complaint = refused
                    continue
                if self._is_for(answer, kinds, step, invoke, block):
                    return answer
        if complaint is not None:
            raise complaint
        raise NoAnswer(
            "%s: no answer within %d ms, sent %d times; check the path"
            % (step, self._timeout_ms, self._tries if repeat else 1)
        )

    def _protected(self, plain: bytes) -> bytes:
        # AARQ and RLRQ are BER: what is secret in them is ciphered inside. A request sent again is
        # ciphered again, for a counter may be used only once.
        if self._ciphering is None or plain[0] in (acse.AARQ, acse.RLRQ):
            return plain
        return self._ciphering.protect(plain)

    def _read(self, raw: bytes, step: str) -> Any:
        """The APDU in `raw`, deciphered; refusals of the whole service raise."""
        if len(raw) == 0:
            raise ProtocolError("%s: an empty APDU came" % step)
        tag = raw[0]
        if (tag in PLAIN_OF or tag in _SERVICES) and self.conformance == 0:
            return None  # of an association that is over
        if tag in PLAIN_OF:
            if self._ciphering is None:
                raise SecurityFailed("a ciphered answer came to a plain request")
            raw = self._ciphering.unprotect(raw)
        elif self._ciphering is not None and tag in _SERVICES:
            raise SecurityFailed("a plain answer came to a ciphered request")
        try:
            answer = apdu.decode(raw)
        except ProtocolError as error:
            raise ProtocolError("%s: %s" % (step, error))
        if isinstance(answer, apdu.ExceptionResponse):
            state, service = answer.state_name(), answer.service_name()
            text = "%s: exception-response, %s, %s%s" % (step, state, service, _counter(answer))
            raise ServiceRefused(state, service, answer.counter, text)
        if isinstance(answer, apdu.ConfirmedServiceError):
            service, error_name = answer.service_name(), answer.error_name()
            text = "%s: confirmed-service-error, %s, %s" % (step, service, error_name)
            raise ServiceRefused(service, error_name, None, text)
        return answer

    def _is_for(
        self, answer: Any, kinds: tuple[type, ...], step: str, invoke: int, block: int
    ) -> bool:
        """False for what is late or double; ProtocolError for what can be neither."""
        if invoke < 0:
            return isinstance(answer, kinds)
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

    # ------------------------------------------------------------ small parts

    def _next_invoke(self) -> int:
        self._invoke = self._invoke + 1 & 0x0F
        return _CONFIRMED | self._invoke

    def _need(self, bits: int, service: str, step: str) -> None:
        if self.conformance & bits == bits:
            return
        if self.conformance == 0:
            raise NotSupported("%s: there is no association; associate first" % step)
        raise NotSupported("%s: the meter did not agree to %s" % (step, service))

    def _capacity(self) -> int:
        """The longest plain APDU that still fits once it is protected."""
        if self._ciphering is None:
            return self._max_send
        return self._max_send - self._ciphering.overhead(self._max_send)

    def _room(self, head: int, step: str) -> int:
        """Bytes of data for a block APDU whose other parts, with a one-byte length, are `head`."""
        room = self._capacity() - head
        if room > 0x7F:
            room -= 1 if room <= 0x100 else 2  # the length field itself grows
        if room < 1:
            raise NotSupported("%s: %d bytes are too few for a block" % (step, self._max_send))
        return room

    def _collect(self, value: bytearray, answer: Any, step: str) -> None:
        if not answer.data and not answer.last:
            raise ProtocolError("%s: block %d is empty and not the last" % (step, answer.block))
        if len(value) + len(answer.data) > self._max_value:
            raise ProtocolError("%s: longer than the %d bytes allowed" % (step, self._max_value))
        value.extend(answer.data)


class _Broken(Exception):
    """A block transfer of GET or SET came apart (a repeated block confused the meter); both may
    start again from the first block."""

    def __init__(self, result: int) -> None:
        super().__init__(result)
        self.result = result


_FRAME_ERRORS = (apdu.SERVICE_ERRORS[5], apdu.SERVICE_ERRORS[6])
_SERVICES = (apdu.GET_RESPONSE, apdu.SET_RESPONSE, apdu.ACTION_RESPONSE)


def _hint(result: str) -> str:
    return "; " + _HINTS[result] if result in _HINTS else ""


def _access_refused(result: int, step: str) -> AccessRefused:
    name = apdu.access_result_name(result)
    return AccessRefused(name, step, "%s: %s%s" % (step, name, _hint(name)))


def _broken(result: int, step: str) -> Exception:
    return _Broken(result) if result in _BROKEN_TRANSFER else _access_refused(result, step)


def _counter(answer: apdu.ExceptionResponse) -> str:
    return "" if answer.counter is None else "; the meter expects %d" % answer.counter


def _initiate_error(information: bytes) -> str:
    """What a confirmed-service-error inside a refusing AARE adds."""
    try:
        error = apdu.decode(information)
    except ProtocolError:
        return ""
    if not isinstance(error, apdu.ConfirmedServiceError):
        return ""
    return " (%s)" % error.error_name()
