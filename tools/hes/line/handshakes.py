"""The HES's half of the handshakes that begin a protected line (EDHOC, gateway/contract/edhoc).

A concentrator begins: message_1. Nothing proves it, so an answer costs us a little time and a place
in a ring, and nothing else. With message_3 it has proven that it holds the keys of a fingerprint;
whether that one is enrolled is not judged here.

With several line keys each message_1 is answered by as many message_2, the first key's first: the
concentrator takes the one whose key it trusts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import SIGN_KEY
from gateway.contract.edhoc.responder import Responder
from gateway.contract.identity import fingerprint_of
from gateway.contract.refused import Refused
from gateway.contract.sealed import CONNECTION_SIZE, Session
from hal.ports import Crypto
from tools.hes.line.budget import Budget

HES = "hes"  # the subject of our credentials
PENDING = 8  # handshakes of one concentrator that wait for message_3, for each line key
PENDING_S = 120.0  # after which one counts no more: longer than any cellular round trip
WAITED_OUT_S = 60.0  # a concentrator that is not broken off waits so long for our answer
STRANGERS = 64  # that have handshakes pending
MOST_LINE_KEYS = 2

# Handshakes that are answered, a second and at once: of one concentrator, of all, of all those that
# are not enrolled. One takes about 1 ms of one processor.
OF_ONE = 4.0, 16.0
OF_ALL = 200.0, 2000.0
OF_STRANGERS = 2.0, 16.0


@dataclass(frozen=True)
class LineKey:
    """`public` x||y."""

    kid: bytes
    private: bytes
    public: bytes


@dataclass(frozen=True)
class Agreed:
    """Who has proven himself, and the session with him; `sign` is his key for signatures, x||y."""

    concentrator: str
    fingerprint: bytes
    sign: bytes
    line_key: bytes
    session: Session


@dataclass(frozen=True)
class _Pending:
    responder: Responder
    line_key: bytes
    since: float


class Handshakes:
    """`now` in seconds. Connection ids of ours differ among those of one concentrator."""

    def __init__(self, keys: Sequence[LineKey], crypto: Crypto, now: Callable[[], float]) -> None:
        self._keys = keys
        self._crypto = crypto
        self._now = now
        self._pending: dict[str, dict[bytes, _Pending]] = {}  # oldest first
        self._strangers: dict[str, None] = {}  # those of them that were not enrolled
        self._begun: dict[str, float] = {}  # by who is enrolled, and not finished: when
        self._in_vain: Counter[str] = (
            Counter()
        )  # those that were waited out, since one was finished
        self._of_each: dict[str, Budget] = {}
        self._of_all = Budget(*OF_ALL, now)
        self._of_strangers = Budget(*OF_STRANGERS, now)

    def begin(self, concentrator: str, message_1: bytes, enrolled: bool) -> list[bytes]:
        """The message_2 to answer with; none if too many begin. Refused."""
        if not self._within_budget(concentrator, enrolled):
            return []
        pending = self._pending.setdefault(concentrator, {})
        answers = []
        for key in self._keys:
            connection = self._new_connection(pending)
            credential = Credential(HES, key.kid, key.public)
            responder = Responder(self._crypto, credential, key.private, connection)
            answers.append(responder.message_2(message_1))
            pending[connection] = _Pending(responder, key.kid, self._now())
        while len(pending) > PENDING * len(self._keys):
            del pending[next(iter(pending))]
        self._bound_strangers(concentrator, enrolled)
        if enrolled:
            begun, self._begun[concentrator] = self._begun.get(concentrator), self._now()
            if begun is not None and self._now() - begun >= WAITED_OUT_S:
                self._in_vain[concentrator] += 1
        return answers

    def finish(self, concentrator: str, connection: bytes, message_3: bytes) -> Agreed:
        """Of a handshake that knows() it. Refused; another message_3 may still end it then."""
        found = self._pending[concentrator][connection]
        credential, ead, session = found.responder.finished(message_3)
        sign = dict(ead).get(SIGN_KEY, b"")
        if credential.subject != concentrator or len(sign) != 64:
            raise Refused(
                "malformed",
                "message_3: expected the credential of %s and its key for signatures"
                % concentrator,
            )
        del self._pending[concentrator][connection]
        self._begun.pop(concentrator, None)
        self._in_vain.pop(concentrator, None)
        fingerprint = fingerprint_of(self._crypto, credential.public, sign)
        return Agreed(concentrator, fingerprint, sign, found.line_key, session)

    def knows(self, concentrator: str, connection: bytes) -> bool:
        """Whether a handshake waits for its message_3."""
        found = self._pending.get(concentrator, {}).get(connection)
        return found is not None and 0 <= self._now() - found.since <= PENDING_S

    def in_vain(self, concentrator: str) -> int:
        """How many it has begun since it finished one, and had time to finish."""
        return self._in_vain[concentrator]

    def waits(self, concentrator: str) -> bool:
        """Whether it has begun lately, and has not ended."""
        pending = self._pending.get(concentrator, {}).values()
        return any(0 <= self._now() - each.since <= PENDING_S / 10 for each in pending)

    def _within_budget(self, concentrator: str, enrolled: bool) -> bool:
        if not enrolled:
            return self._of_strangers.take() and self._of_all.take()
        if concentrator not in self._of_each:
            self._of_each[concentrator] = Budget(*OF_ONE, self._now)
        return self._of_each[concentrator].take() and self._of_all.take()

    def _bound_strangers(self, concentrator: str, enrolled: bool) -> None:
        if enrolled:
            self._strangers.pop(concentrator, None)
            return
        self._strangers[concentrator] = None
        if len(self._strangers) > STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            self._pending.pop(oldest, None)

    def _new_connection(self, pending: dict[bytes, _Pending]) -> bytes:
        while True:
            connection = self._crypto.random(CONNECTION_SIZE)
            if connection not in pending:
                return connection
