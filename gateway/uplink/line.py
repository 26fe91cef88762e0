"""The session with the HES that protects the line, and the handshake that makes the next one
(EDHOC, RFC 9528; gateway/contract/edhoc). The concentrator begins:

    due()  true || message_1    ->
                                <-  message_2                 take()
    due()  C_R || message_3     ->
    seal() hello, and the rest  ->
                                <-  the first sealed one      open(): now the session is confirmed

Anybody on the broker can answer a message_1, and send an error. So an answer that proves nothing
does not end a handshake: the first few are looked at, and what was agreed on stays until a later
session is confirmed. An error only has a new handshake begin, with growing pauses.
"""

from __future__ import annotations

from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import (
    HEADS_UP,
    NOT_KNOWN,
    SIGN_KEY,
    error_in,
    framed_1,
    framed_3,
)
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.identity import shown
from gateway.contract.refused import Refused
from gateway.contract.sealed import CONNECTION_SIZE, MAX_NUMBER
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.contract.sealed import Session
    from gateway.uplink.identity import Identity
    from hal.ports import Crypto

ANSWER_MS = 60_000  # for a message_2
CONFIRM_MS = 120_000  # for the HES's first sealed message
FIRST_PAUSE_MS = 30_000  # between two handshakes; doubles while none succeeds, or errors come
LAST_PAUSE_MS = 960_000
ERROR_MS = 2_000  # after an error: a sealed message in this time shows that it is not the HES's
ERRORS = 4  # have a handshake begin at once; then FIRST_PAUSE_MS after the last one, doubling
CALM_MS = 3_600_000  # without an error, after which they are counted anew
SESSION_MS = 86_400_000  # how long a session is used
CANDIDATES = 3  # answers to one message_1 that are looked at
_WHERE = "line"


class Line:
    """Sans-IO; times in ticks. `peers`: (kid, public key) of the HES's keys for the line; others
    may change them meanwhile.

    `ready`: a session stands, seal() can be called. `confirmed`: the HES has used it too; until
    then there is no use in sending much. `agreed`: how many there were.
    """

    def __init__(
        self,
        concentrator: str,
        identity: Identity,
        peers: Sequence[tuple[bytes, bytes]],
        crypto: Crypto,
    ) -> None:
        self._credential = Credential(concentrator, identity.kid, identity.agree_public)
        self._identity = identity
        self._peers = peers
        self._crypto = crypto
        self.agreed = 0
        self._retry_ms = FIRST_PAUSE_MS
        self._errors = 0
        self._began = self._errored = -CALM_MS
        self.connected(0, 0)

    @property
    def ready(self) -> bool:
        return bool(self._sessions)

    def connected(self, session: int, now_ms: int) -> None:
        """A new connection, which State.session names: nothing of the one before counts."""
        self._connection = session.to_bytes(CONNECTION_SIZE, "big")
        self._sessions: list[Session] = []  # the newest first, which seals; two at most
        self.confirmed = False  # the newest one
        self._since = now_ms
        self._handshake: Initiator | None = None
        self._answer: tuple[bytes, Session] | None = None
        self._trusted: list[tuple[bytes, bytes]] = []
        self._tried = 0
        self._due_ms = now_ms  # when the next handshake begins

    def due(self, now_ms: int) -> bytes | None:
        """What to send now on the topic of the handshake. After a message_3 the new session
        seals."""
        if self._answer is not None:
            message_3, session = self._answer
            self._stand(session, now_ms)
            return framed_3(session.sealer.kid, message_3)
        if self._sessions and self._trusted != list(self._peers):
            self._due_ms = min(self._due_ms, now_ms)  # who was removed has no session for long
        if now_ms < self._due_ms or not self._peers:
            return None
        if self._handshake is not None:
            log.warning(
                _WHERE,
                "no good answer of the HES to the handshake; does it run with a line key that we"
                " trust?",
            )
        return self._begin(now_ms)

    def take(self, payload: bytes, now_ms: int) -> None:
        """What came on the topic of the handshake. Nothing raises but faults of ours."""
        if payload[:1] in HEADS_UP:
            return  # our own: the broker gives it to us as well
        error = error_in(payload)
        if error is not None:
            self._take_error(error, now_ms)
        elif self._handshake is None or self._answer is not None:
            return  # too late, or twice
        elif _is_one_string(payload) and self._tried < CANDIDATES:
            self._tried += 1
            try:
                self._answer = self._handshake.message_3(payload, self._peers)
            except Refused as refused:
                log.warning(_WHERE, "an answer to the handshake proves nothing: %s" % refused)

    def seal(self, topic: str, plain: bytes) -> bytes:
        sealer = self._sessions[0].sealer
        if MAX_NUMBER - sealer.number < 1000:
            self._due_ms = 0
        return sealer.seal(topic, plain)

    def open(self, topic: str, sealed: bytes) -> bytes:
        """What the HES has sent. Refused as Opener.open()."""
        refused = Refused("unsealed", "no session stands")
        for session in self._sessions:
            try:
                plain = session.opener.open(topic, sealed)
            except Refused as found:
                if refused.reason == "unsealed":
                    refused = found
                continue
            if session is self._sessions[0]:
                self._confirm()
            return plain
        raise refused

    def _begin(self, now_ms: int) -> bytes:
        self._began = now_ms
        self._due_ms = now_ms + ANSWER_MS + self._retry_ms
        self._retry_ms = min(2 * self._retry_ms, LAST_PAUSE_MS)
        self._tried = 0
        self._trusted = list(self._peers)
        self._handshake = Initiator(
            self._crypto,
            self._credential,
            self._identity.agree,
            self._connection,
            [(SIGN_KEY, self._identity.sign_public)],
        )
        return framed_1(self._handshake.message_1())

    def _stand(self, session: Session, now_ms: int) -> None:
        """The HES has proven himself; the session before stays until this one is confirmed."""
        self._sessions = [session] + self._sessions[:1]
        self._handshake = self._answer = None
        self.confirmed = False
        self._since = now_ms
        self._due_ms = now_ms + CONFIRM_MS + self._retry_ms
        self.agreed += 1

    def _confirm(self) -> None:
        if not self.confirmed:
            log.info(_WHERE, "the session with the HES stands")
        self.confirmed = True
        self._sessions = self._sessions[:1]
        self._retry_ms = FIRST_PAUSE_MS
        if self._handshake is None:
            self._due_ms = self._since + SESSION_MS

    def _take_error(self, error: str, now_ms: int) -> None:
        """Not proven, so it costs a handshake at most, and that seldom."""
        if now_ms - self._errored >= CALM_MS:
            self._errors = 0
        pause = 0
        if self._errors >= ERRORS:
            pause = min(FIRST_PAUSE_MS << (self._errors - ERRORS), LAST_PAUSE_MS)
        when = max(now_ms + ERROR_MS, self._began + pause)
        if when >= self._due_ms:
            return
        log.warning(_WHERE, "the HES, or whoever says so, has an error: %s" % error)
        if error == NOT_KNOWN:
            log.warning(
                _WHERE,
                "is it enrolled there? ami-hes concentrator add %s %s"
                % (self._credential.subject, shown(self._identity.fingerprint)),
            )
        self._due_ms, self._errored = when, now_ms
        self._errors = min(self._errors + 1, 16)


def _is_one_string(payload: bytes) -> bool:
    """Whether it has the shape of a message_2: a byte string of 24 to 255 octets."""
    return len(payload) > 2 and payload[0] == 0x58 and payload[1] == len(payload) - 2
