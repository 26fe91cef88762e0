"""The meter as a DLMS server: associations, ciphering, and the services inside. Sans-IO: one
APDU in, one APDU out, whatever carries them.

What it does with a request that comes twice (the client lost the answer): the very same bytes, or
the same plain request under a higher invocation counter, are answered again; a SET or ACTION is not
carried out again (services.py). After a new AARQ nothing is remembered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.meter import device, protection
from tools.meter.association import (
    ASSOCIATED,
    NON_ASSOCIATED,
    PENDING,
    AssociationLN,
    SecuritySetup,
)
from tools.meter.block import BlockTransfer
from tools.meter.fleet import Fleet, FleetClient
from tools.meter.makes import SESSION_BEGAN, SESSION_ENDED
from tools.meter.model import FLEET, MANAGEMENT, Meter, Refused
from tools.meter.protection import FORMS, Damaged, Guard, Stale
from tools.meter.schedule import PushSetup
from tools.meter.services import (
    NOT_POSSIBLE,
    NOT_SUPPORTED,
    OTHER_REASON,
    PDU_TOO_LONG,
    SERVICE_NOT_ALLOWED,
    SERVICE_UNKNOWN,
    Services,
    exception,
)
from tools.meter.short_names import AssociationSN
from tools.meter.short_services import ShortServices

DECIPHERING_ERROR = 5  # service-error
PROTECTED_REQUESTS = (*FORMS, protection.GENERAL_SIGNING)
ECDSA_CHALLENGE = 32  # bytes, at least
SERVER_SAP = 1  # the management logical device, the only one here
LEAST_PDU = 64
WINDOW = 5  # general blocks it takes at once
ANY_LENGTH = 1 << 20
CONFORMANCE = AssociationLN.services | AssociationSN.services
# association diagnostics (acse.DIAGNOSTICS)
ACCEPTED = (1, 0)
NO_REASON = (1, 1)
CONTEXT_NOT_SUPPORTED = (1, 2)
MECHANISM_NOT_RECOGNISED = (1, 11)
AUTHENTICATION_FAILURE = (1, 13)
AUTHENTICATION_REQUIRED = (1, 14)


class _NotAccepted(Exception):
    def __init__(self, diagnostic: tuple[int, int], error: bytes = b"") -> None:
        super().__init__(acse.DIAGNOSTICS[diagnostic])
        self.diagnostic = diagnostic
        self.error = error  # a ConfirmedServiceError, where the InitiateRequest is at fault


class _Session:
    """One client's association, from its AARQ on."""

    def __init__(
        self, guard: Guard | None, services: Services | ShortServices, limit: int, conformance: int
    ) -> None:
        self.guard = guard  # None: nothing is protected
        self.services = services
        self.limit = limit  # the longest APDU the client takes
        self.general = bool(conformance & acse.GENERAL_BLOCK_TRANSFER)
        self.notified = bool(conformance & acse.DATA_NOTIFICATION)
        self.blocks = BlockTransfer(limit, WINDOW)
        self.last: tuple[bytes, bytes] = (b"", b"")  # protected request and response, as sent


# data-notification, 00000000, no time, null-data: as short as can be
FLOOD = b"\x0f\x00\x00\x00\x00\x00\x00"


class MeterServer:
    """Answers for one meter. `max_pdu`: the longest APDU it takes, and makes, in bytes.
    `conformance`: the services it agrees to where a client asks for them. `random`: gives so many
    bytes for its challenges. `fleet`: what it knows of its fleet's pre-established client."""

    def __init__(
        self,
        meter: Meter,
        max_pdu: int = 640,
        conformance: int = CONFORMANCE,
        random: Callable[[int], bytes] = secrets.token_bytes,
        fleet: Fleet | None = None,
    ) -> None:
        if not LEAST_PDU <= max_pdu <= 0xFFFF:
            raise ValueError("max_pdu is %d..65535, not %d" % (LEAST_PDU, max_pdu))
        self.meter = meter
        self.max_pdu = max_pdu
        self.conformance = conformance
        self._random = random
        self._sessions: dict[int, _Session] = {}
        self._wanted = 0  # see _wants()
        self._fleet: FleetClient | None = None
        if fleet is not None:
            self._fleet = FleetClient(meter, self._security, fleet, max_pdu)

    @property
    def delay_ms(self) -> int:
        """How much later than others this meter answers; the carrier waits."""
        return self.meter.faults.slow_ms

    @property
    def _security(self) -> SecuritySetup:
        found = self.meter.find(64, device.SECURITY)
        assert isinstance(found, SecuritySetup)
        return found

    def pushed(self, plain: bytes) -> bytes:
        """A notification as it goes out by itself, outside of any association: ciphered under the
        global key, where the meter has one."""
        guard = Guard(self._security, b"")
        return guard.seal_unasked(plain) if self._security.ek else plain

    def handle(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes | None:
        """The answer to one APDU, for carriers that take one at a time; None where the meter stays
        silent."""
        answers = self._answers(client_sap, server_sap, bytes(apdu), streaming=False)
        return answers[0] if answers else None

    def answers(self, client_sap: int, server_sap: int, apdu: bytes) -> list[bytes]:
        """The answers to one APDU, for carriers that take any number: general blocks, and
        notifications after them."""
        answers = self._answers(client_sap, server_sap, bytes(apdu), streaming=True)
        return answers + self._notifications(client_sap) + self.unasked()

    def unasked(self) -> list[bytes]:
        """What goes out after an answer by fault flood."""
        return [FLOOD] * self.meter.faults.flood

    def _answers(
        self, client_sap: int, server_sap: int, raw: bytes, streaming: bool
    ) -> list[bytes]:
        faults = self.meter.faults
        if faults.dead or not self.meter.powered or server_sap != SERVER_SAP or not raw:
            return []
        self.meter.tick()
        if client_sap == FLEET and self._fleet is not None:
            answers = self._of_fleet(self._fleet, raw)
            if answers and faults.lose_answers:
                faults.lose_answers -= 1
                return []
            return answers
        session = self._sessions.get(client_sap)
        if raw[0] == apdu.GENERAL_BLOCK_TRANSFER and session is not None:
            if faults.lose_received_blocks:
                faults.lose_received_blocks -= 1
                return []
            answers = self._general_block(client_sap, session, raw, streaming)
        else:
            answers = self._whole(client_sap, raw)
        if faults.lose_answers:
            faults.lose_answers -= 1
            return []
        return self._without_lost_blocks(answers)

    def _of_fleet(self, client: FleetClient, raw: bytes) -> list[bytes]:
        if client.broadcast(raw):
            return []
        try:
            answer = client.answer(raw)
        except Stale as stale:
            answer = exception(SERVICE_NOT_ALLOWED, apdu.INVOCATION_COUNTER_ERROR, stale.expected)
        except Damaged:
            answer = exception(SERVICE_NOT_ALLOWED, DECIPHERING_ERROR)
        return [answer] if answer else []

    def _notifications(self, client_sap: int) -> list[bytes]:
        """What the push setups have for a client that agreed to it."""
        session = self._sessions.get(client_sap)
        if session is None or not session.notified:
            return []
        found = []
        for each in self.meter.objects.values():
            while isinstance(each, PushSetup) and each.waiting:
                plain = each.waiting.popleft()
                sealed = plain if session.guard is None else session.guard.seal_unasked(plain)
                if len(sealed) <= session.limit:
                    found.append(sealed)
        return found

    def _whole(self, client_sap: int, raw: bytes) -> list[bytes]:
        """The answer to an APDU that came as it is, in general blocks where it is too long."""
        session = self._sessions.get(client_sap)
        if session is not None:
            session.blocks.forget()
        answer = self._answer(client_sap, raw)
        session = self._sessions.get(client_sap)
        if not answer:
            return []
        if session is None or not session.general or len(answer) <= session.limit:
            return [answer]
        if answer[0] == acse.AARE:  # from it the client learns what is agreed
            return [answer]
        return [block.encode() for block in session.blocks.start(answer)]

    def _general_block(
        self, client_sap: int, session: _Session, raw: bytes, streaming: bool
    ) -> list[bytes]:
        if not session.general:
            return [exception(SERVICE_NOT_ALLOWED, NOT_SUPPORTED)]
        try:
            blocks = session.blocks.take(
                apdu.decode(raw),
                streaming,
                lambda whole: self._answer(client_sap, whole, ANY_LENGTH),
            )
        except ProtocolError:
            session.blocks.forget()
            return [exception(SERVICE_UNKNOWN, OTHER_REASON)]
        return [block.encode() for block in blocks]

    def _without_lost_blocks(self, answers: list[bytes]) -> list[bytes]:
        """Fault lose_blocks: of so many blocks of long answers every second is lost."""
        faults = self.meter.faults
        kept = []
        for answer in answers:
            if faults.lose_blocks and answer[0] == apdu.GENERAL_BLOCK_TRANSFER and answer[6]:
                faults.lose_blocks -= 1
                if faults.lose_blocks % 2 == 0:
                    continue
            kept.append(answer)
        return kept

    def forget(self, client_sap: int) -> None:
        """The data link under the client's association has ended, and the association with it."""
        if self._sessions.pop(client_sap, None) is not None:
            self.meter.associations[client_sap].status = NON_ASSOCIATED

    def lose_state(self) -> None:
        """As after a battery failure: everything but keys and counters is as the factory made
        it."""
        self._sessions.clear()
        self.meter.lose_state()

    def _answer(self, client_sap: int, raw: bytes, limit: int | None = None) -> bytes:
        """`limit` is the longest plain answer, None what the association has."""
        if limit is None and len(raw) > self.max_pdu:
            return exception(SERVICE_NOT_ALLOWED, PDU_TOO_LONG)
        association = self.meter.associations.get(client_sap)
        if raw[0] == acse.AARQ:
            return self._associate(client_sap, association, raw)
        session = self._sessions.get(client_sap)
        if association is None or session is None:
            return exception(SERVICE_NOT_ALLOWED, NOT_POSSIBLE)
        if raw[0] == acse.RLRQ:
            return self._release(client_sap, association, session, raw)
        try:
            if session.guard is not None:
                return self._guarded(association, session, session.guard, raw, limit)
            return self._carried_out(association, session, raw, limit)
        except Stale as stale:
            return exception(SERVICE_NOT_ALLOWED, apdu.INVOCATION_COUNTER_ERROR, stale.expected)
        except Damaged:
            return exception(SERVICE_NOT_ALLOWED, DECIPHERING_ERROR)

    # ------------------------------------------------------------ association

    def _associate(self, client_sap: int, association: AssociationLN | None, raw: bytes) -> bytes:
        self._sessions.pop(client_sap, None)
        context = acse.LN
        try:
            if association is None:
                raise _NotAccepted(NO_REASON)
            association.status = NON_ASSOCIATED
            context = association.context
            if association.ciphered and self.meter.faults.wants_counter:
                return self._wants(self.meter.faults.wants_counter)
            request = acse.Aarq.decode(raw)
            if self.meter.faults.busy:
                self.meter.faults.busy -= 1
                return acse.Aare(context, acse.REJECTED_TRANSIENT, NO_REASON, b"").encode()
            return self._accept(client_sap, association, request)
        except ProtocolError:
            return exception(SERVICE_UNKNOWN, OTHER_REASON)
        except Damaged:
            _failed(self.meter)
            refusal = _NotAccepted(AUTHENTICATION_FAILURE)
        except _NotAccepted as error:
            if error.diagnostic == AUTHENTICATION_FAILURE:
                _failed(self.meter)
            refusal = error
        except Stale as stale:
            return exception(SERVICE_NOT_ALLOWED, apdu.INVOCATION_COUNTER_ERROR, stale.expected)
        return acse.Aare(context, 1, refusal.diagnostic, refusal.error).encode()

    def _accept(self, client_sap: int, association: AssociationLN, request: acse.Aarq) -> bytes:
        context = association.context
        if request.context != context:
            raise _NotAccepted(CONTEXT_NOT_SUPPORTED)
        _check_mechanism(association, request)
        guard = None
        if association.ciphered or association.signed:
            guard = Guard(self._security, request.title)
        initiate = self._initiate_request(association, guard, request)
        conformance = initiate.conformance & self.conformance & association.services
        if not conformance & association.least:
            raise _NotAccepted(NO_REASON, apdu.ConfirmedServiceError(1, 6, 2).encode())
        if 0 < initiate.max_pdu < LEAST_PDU:
            raise _NotAccepted(NO_REASON, apdu.ConfirmedServiceError(1, 6, 3).encode())
        limit = min(initiate.max_pdu or self.max_pdu, self.max_pdu)
        if request.title:
            self._security.put(4, (axdr.OCTET_STRING, request.title))
        association.conformance = conformance
        association.max_receive = self.max_pdu
        association.max_send = limit
        services: Services | ShortServices
        if isinstance(association, AssociationSN):
            services = ShortServices(self.meter, association, limit, conformance)
        else:
            services = Services(self.meter, association, limit, conformance)
        self._sessions[client_sap] = _Session(guard, services, limit, conformance)
        response = acse.InitiateResponse(conformance, self.max_pdu, association.vaa_name).encode()
        if guard is not None and association.ciphered:
            response = guard.seal_initiate(response, self._false_counter())
        title = self._security.title if request.title else b""
        if association.mechanism < acse.HIGH:
            association.status = ASSOCIATED
            _session(self.meter, association, SESSION_BEGAN)
            return acse.Aare(context, acse.ACCEPTED, ACCEPTED, response, title).encode()
        association.status = PENDING
        challenge = self._random(32 if association.mechanism == acse.HIGH_ECDSA else 16)
        association.reply = HlsReply(
            self._security, association, request.title, request.value, challenge
        )
        return acse.Aare(
            context,
            acse.ACCEPTED,
            AUTHENTICATION_REQUIRED,
            response,
            title,
            association.mechanism,
            challenge,
        ).encode()

    def _initiate_request(
        self, association: AssociationLN, guard: Guard | None, request: acse.Aarq
    ) -> acse.InitiateRequest:
        raw = request.user_information
        if not raw:
            raise _NotAccepted(NO_REASON)
        if not association.ciphered or guard is None:
            return acse.InitiateRequest.decode(raw)
        initiate = acse.InitiateRequest.decode(guard.open_initiate(raw))
        guard.dedicate(initiate.dedicated_key)
        return initiate

    def _release(
        self, client_sap: int, association: AssociationLN, session: _Session, raw: bytes
    ) -> bytes:
        try:
            request = acse.Rlrq.decode(raw)
            information = b""
            if association.ciphered and session.guard and request.user_information:
                session.guard.open_initiate(request.user_information)
                response = acse.InitiateResponse(
                    association.conformance, self.max_pdu, association.vaa_name
                )
                information = session.guard.seal_initiate(response.encode(), self._false_counter())
        except ProtocolError:
            return exception(SERVICE_UNKNOWN, OTHER_REASON)
        except (Damaged, Stale):
            # nobody else may end this client's association
            return exception(SERVICE_NOT_ALLOWED, DECIPHERING_ERROR)
        del self._sessions[client_sap]
        _session(self.meter, association, SESSION_ENDED)
        association.status = NON_ASSOCIATED
        return acse.Rlre(0, information).encode()

    # ------------------------------------------------------------ requests

    def _guarded(
        self,
        association: AssociationLN,
        session: _Session,
        guard: Guard,
        raw: bytes,
        limit: int | None,
    ) -> bytes:
        if raw[0] not in PROTECTED_REQUESTS:
            return exception(SERVICE_NOT_ALLOWED, NOT_POSSIBLE)
        request, response = session.last
        if raw == request:
            return response
        plain = guard.open(raw, association.status == PENDING)
        if limit is None:
            limit = session.limit - guard.room()
            if limit < LEAST_PDU and session.general:
                limit = ANY_LENGTH  # nothing would be left of an APDU but its protection
        answer = self._carried_out(association, session, plain, limit)
        if answer and answer[0] != apdu.EXCEPTION_RESPONSE:
            answer = guard.seal(answer, self._false_counter())
        self._security.apply_new_keys()
        session.last = (raw, answer)
        return answer

    def _carried_out(
        self, association: AssociationLN, session: _Session, plain: bytes, limit: int | None
    ) -> bytes:
        if association.status == PENDING and not session.services.is_hls_reply(plain):
            return exception(SERVICE_NOT_ALLOWED, NOT_POSSIBLE)
        if association.status == NON_ASSOCIATED:
            return exception(SERVICE_NOT_ALLOWED, NOT_POSSIBLE)
        return session.services.handle(plain, limit)

    def _wants(self, more: int) -> bytes:
        """As if the client's counter were too low, each time by so much more."""
        self._wanted = max(self._wanted, self._security.last_counter) + more
        wanted = min(self._wanted, 0xFFFFFFFF)
        return exception(SERVICE_NOT_ALLOWED, apdu.INVOCATION_COUNTER_ERROR, wanted)

    def _false_counter(self) -> int | None:
        """What fault wrong_counter puts in the place of the right one."""
        return 0 if self.meter.faults.wrong_counter else None


class HlsReply:
    """Method reply_to_HLS_authentication of one pending association."""

    def __init__(
        self,
        security: SecuritySetup,
        association: AssociationLN,
        title: bytes,
        client_challenge: bytes,
        server_challenge: bytes,
    ) -> None:
        self._security = security
        self._association = association
        self._title = title
        self._client_challenge = client_challenge
        self._server_challenge = server_challenge

    def __call__(self, reply: bytes) -> bytes:
        """f(CtoS) for a right f(StoC); Refused "other-reason" otherwise, and the association
        ends."""
        association = self._association
        association.reply = None
        what = (self._security, association.mechanism, association.secret(), self._title)
        challenges = (self._client_challenge, self._server_challenge)
        if not protection.proof_of_client(*what, *challenges, reply):
            association.status = NON_ASSOCIATED
            _failed(self._security.meter)
            raise Refused("other-reason")
        association.status = ASSOCIATED
        _session(self._security.meter, association, SESSION_BEGAN)
        return protection.proof_of_meter(*what, *challenges)


def _session(meter: Meter, association: AssociationLN, what: str) -> None:
    """A conversation with the client for the work, which meters log."""
    if association.client_sap == MANAGEMENT:
        meter.happen(what)


def _failed(meter: Meter) -> None:
    if meter.events is not None:
        meter.events.refused()


def _check_mechanism(association: AssociationLN, request: acse.Aarq) -> None:
    if request.mechanism != association.mechanism:
        wanted = AUTHENTICATION_REQUIRED if request.mechanism == 0 else MECHANISM_NOT_RECOGNISED
        raise _NotAccepted(wanted)
    if association.mechanism == acse.LOW and not secrets.compare_digest(
        request.value, association.secret()
    ):
        raise _NotAccepted(AUTHENTICATION_FAILURE)
    if association.mechanism >= acse.HIGH:
        least = ECDSA_CHALLENGE if association.mechanism == acse.HIGH_ECDSA else 8
        if not least <= len(request.value) <= 64:
            raise _NotAccepted(AUTHENTICATION_FAILURE)
