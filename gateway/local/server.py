"""The concentrator as a DLMS server, sans-IO: one APDU in, one out.

Nobody does anything here without an association by HLS with GMAC (mechanism 5) and the local key;
all after it is ciphered by service. It offers GET, SET of the clock, and the ACTION that ends the
authentication; answers are short enough for one APDU.

Whoever guesses keys is slowed down: after a few refusals in a row AARQs are refused unread for a
second, then two, up to a quarter of an hour. A right key takes that back.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.association import HIGH_GMAC
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError, Replayed, SecurityFailed
from gateway.dlms.protection.hls import Hls, challenge_size, check_challenge
from gateway.dlms.protection.keyring import TITLE_SIZE, Keys
from gateway.dlms.protection.security import Ciphering
from gateway.local.objects import ASSOCIATION, ASSOCIATION_NAME, Objects
from hal.rt.hexed import hexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hal.ports import Clock, Crypto

MAX_PDU = 1024
CONFORMANCE = acse.GET | acse.SET | acse.ACTION
REPLY_TO_HLS = 1  # method of the association
FREE_REFUSALS = 3
FIRST_LOCK_MS = 1000
LONGEST_LOCK_MS = 900_000
MAX_TITLES = 16  # whose counters are remembered

# state and service errors of an exception-response
NOT_ALLOWED, UNKNOWN = 1, 2
NOT_POSSIBLE, NOT_SUPPORTED, OTHER_REASON, DECIPHERING_ERROR = 1, 2, 3, 5

_REQUIRED = (1, acse.AUTHENTICATION_REQUIRED)
_FAILED = (1, acse.AUTHENTICATION_FAILURE)
_CONTEXT = (1, 2)
_NO_REASON = (1, 1)


def exception(state: int, service: int) -> bytes:
    return apdu.ExceptionResponse(state, service).encode()


class _Session:
    def __init__(self, ciphering: Ciphering, theirs: bytes, ours: bytes) -> None:
        self.ciphering = ciphering
        self.theirs = theirs  # challenges
        self.ours = ours
        self.proven = False


class LocalServer:
    """`keys`: the local ones, with the concentrator's system title. next_counter() gives an own
    invocation counter never given before for them. note(kind, details) puts on record who came, and
    who was refused."""

    def __init__(
        self,
        objects: Objects,
        keys: Keys,
        crypto: Crypto,
        clock: Clock,
        next_counter: Callable[[], int],
        note: Callable[[str, list[Any]], None],
    ) -> None:
        self._objects = objects
        self._keys = keys
        self._crypto = crypto
        self._clock = clock
        self._next_counter = next_counter
        self._note = note
        self._sessions: dict[int, _Session] = {}
        self._received: dict[bytes, int] = {}  # highest counter by title
        self._refusals = 0
        self._locked_until = 0

    def proven(self, client_sap: int) -> bool:
        """Whether this client has an association, and has proven itself."""
        session = self._sessions.get(client_sap)
        return session is not None and session.proven

    def title(self, client_sap: int) -> bytes:
        """Of a client that has an association."""
        return self._sessions[client_sap].ciphering.peer_title

    def forget(self, client_sap: int) -> None:
        """The connection under the association has ended."""
        session = self._sessions.pop(client_sap, None)
        if session is not None:
            self._remember(session)

    def answer(self, client_sap: int, request: bytes) -> bytes:
        """To any bytes at all."""
        try:
            if request[:1] == bytes((acse.AARQ,)):
                return self._associate(client_sap, request)
            session = self._sessions.get(client_sap)
            if session is None:
                return exception(NOT_ALLOWED, NOT_POSSIBLE)
            if request[:1] == bytes((acse.RLRQ,)):
                return self._release(client_sap, session, request)
            plain = session.ciphering.unprotect(request)
            return session.ciphering.protect(self._served(client_sap, session, plain))
        except (SecurityFailed, Replayed):
            return exception(NOT_ALLOWED, DECIPHERING_ERROR)
        except ProtocolError:
            return exception(UNKNOWN, OTHER_REASON)

    # ------------------------------------------------------------ association

    def _associate(self, client_sap: int, raw: bytes) -> bytes:
        self.forget(client_sap)
        if self._clock.ticks_ms() < self._locked_until:
            return _refusal(_FAILED)
        request = acse.Aarq.decode(raw)
        if request.mechanism != HIGH_GMAC:
            return _refusal(_REQUIRED)
        if request.context != acse.LN_CIPHERED:
            return _refusal(_CONTEXT)
        ours = self._crypto.random(challenge_size(HIGH_GMAC))
        try:
            if len(request.title) != TITLE_SIZE or request.title == self._keys.system_title:
                raise SecurityFailed("no title, or our own")
            check_challenge(HIGH_GMAC, request.value, ours)
            ciphering = Ciphering(
                self._crypto,
                self._keys,
                self._next_counter,
                request.title,
                self._received.get(request.title, -1),
                responder=True,
            )
            initiate = acse.InitiateRequest.decode(ciphering.unprotect(request.user_information))
        except Replayed:  # by somebody who has the key, or has recorded one who has
            least = self._received[request.title] + 1
            error = apdu.INVOCATION_COUNTER_ERROR
            return apdu.ExceptionResponse(NOT_ALLOWED, error, least).encode()
        except SecurityFailed:
            self._refused(request.title)
            return _refusal(_FAILED)
        if not initiate.conformance & acse.GET:
            return _refusal(_NO_REASON)
        self._sessions[client_sap] = _Session(ciphering, request.value, ours)
        response = acse.InitiateResponse(initiate.conformance & CONFORMANCE, MAX_PDU)
        return acse.Aare(
            acse.LN_CIPHERED,
            acse.ACCEPTED,
            _REQUIRED,
            ciphering.protect(response.encode()),
            self._keys.system_title,
            HIGH_GMAC,
            ours,
        ).encode()

    def _prove(self, client_sap: int, session: _Session, request: apdu.ActionRequest) -> bytes:
        """Passes 3 and 4 of HLS."""
        ciphering = session.ciphering
        hls = Hls(HIGH_GMAC, self._crypto, keys=self._keys, ciphering=ciphering)
        try:
            typed = axdr.decode(request.data or b"")
            if typed[0] != axdr.OCTET_STRING:
                raise SecurityFailed("the proof is no octet-string")
            hls.check(typed[1], session.ours, session.theirs, ciphering.peer_title)
        except (SecurityFailed, ProtocolError):
            self.forget(client_sap)
            self._refused(ciphering.peer_title)
            return apdu.ActionResponse(request.invoke, 250).encode()
        session.proven = True
        self._refusals = 0
        self._note("local", ["in", ciphering.peer_title.hex()])
        proof = hls.prove(session.theirs, session.ours, ciphering.peer_title)
        data = axdr.encode((axdr.OCTET_STRING, proof))
        return apdu.ActionResponse(request.invoke, 0, data).encode()

    def _release(self, client_sap: int, session: _Session, raw: bytes) -> bytes:
        request = acse.Rlrq.decode(raw)
        information = b""
        if request.user_information:
            session.ciphering.unprotect(request.user_information)
            response = acse.InitiateResponse(CONFORMANCE, MAX_PDU)
            information = session.ciphering.protect(response.encode())
        self.forget(client_sap)
        return acse.Rlre(0, information).encode()

    def _refused(self, title: bytes) -> None:
        self._refusals += 1
        if self._refusals >= FREE_REFUSALS:
            doublings = min(self._refusals - FREE_REFUSALS, 10)
            lock = min(FIRST_LOCK_MS << doublings, LONGEST_LOCK_MS)
            self._locked_until = self._clock.ticks_ms() + lock
        self._note("local", ["refused", hexed(title)])

    def _remember(self, session: _Session) -> None:
        """A recorded conversation must not count as new: its counters are old."""
        if not session.proven:
            return
        title = session.ciphering.peer_title
        if len(self._received) >= MAX_TITLES and title not in self._received:
            self._received = {}
        self._received[title] = session.ciphering.received

    # ------------------------------------------------------------ services

    def _served(self, client_sap: int, session: _Session, plain: bytes) -> bytes:
        request = apdu.decode(plain)
        if isinstance(request, apdu.ActionRequest):
            target = (request.class_id, request.obis, request.method)
            if target == (ASSOCIATION, ASSOCIATION_NAME, REPLY_TO_HLS) and not session.proven:
                return self._prove(client_sap, session, request)
            if session.proven:
                return apdu.ActionResponse(request.invoke, 3).encode()  # read-write-denied
        if not session.proven:
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        if isinstance(request, apdu.GetRequest) and request.selection is None:
            result, value = self._objects.get(request.class_id, request.obis, request.attribute)
            return apdu.GetResponse(request.invoke, result, value).encode()
        if isinstance(request, apdu.SetRequest) and request.selection is None:
            result = self._objects.set(
                request.class_id, request.obis, request.attribute, request.data
            )
            what = [hexed(request.obis), result]
            self._note("local", ["set", session.ciphering.peer_title.hex()] + what)
            return apdu.SetResponse(request.invoke, result).encode()
        return exception(UNKNOWN, NOT_SUPPORTED)


def _refusal(diagnostic: tuple[int, int]) -> bytes:
    return acse.Aare(acse.LN_CIPHERED, 1, diagnostic, b"").encode()
