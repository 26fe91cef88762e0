"""The HES's half of a protected line, as far as one enrolled concentrator needs it."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import SIGN_KEY, error_message, unframed
from gateway.contract.edhoc.responder import Responder
from gateway.contract.refused import Refused
from gateway.contract.sealed import kid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.sealed import Session
    from hal.ports import Crypto

LINE_KID = b"line-1"


class Guard:
    """`handshakes` counts those that were agreed on, `unknown` sealed messages of sessions that are
    not known. `forget()` is a HES that was started anew. `private`: its key for the line."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self.private, self.public = crypto.ec_generate("P-256")
        self.peers = [(LINE_KID, self.public)]
        self.sign = b""  # the concentrator's key for signatures
        self.kid = b""
        self.handshakes = 0
        self.unknown = 0
        self.away = False
        self.forget()

    def forget(self) -> None:
        self._pending: dict[bytes, Responder] = {}
        self.session: Session | None = None
        self._next: Session | None = None

    def handshake(self, payload: bytes) -> bytes | None:
        """The answer on the topic of the handshake."""
        if self.away:
            return None
        connection, message = unframed(payload)
        if connection is None:
            c_r = self._crypto.random(4)
            credential = Credential("hes", LINE_KID, self.public)
            self._pending[c_r] = Responder(self._crypto, credential, self.private, c_r)
            return self._pending[c_r].message_2(message)
        if connection not in self._pending:
            return error_message()
        try:
            who, ead, self._next = self._pending[connection].finished(message)
        except Refused:
            return None
        self.sign, self.kid = dict(ead)[SIGN_KEY], who.kid
        self.handshakes += 1
        return None

    def state(self, payload: bytes) -> bytes:
        """Proven, once the key is known."""
        if not self.sign:
            return envelope.split(payload)[1]
        return envelope.verify(payload, [(self.kid, self.sign)], self._crypto)[0]

    def opened(self, topic: str, payload: bytes) -> bytes | None:
        """None: of no session that is known."""
        kid = kid_of(payload)
        assert kid is not None, "%s: not sealed" % topic
        for session in (self._next, self.session):
            if session is not None and session.opener.kid == kid:
                try:
                    plain = session.opener.open(topic, payload)
                except Refused as refused:
                    assert refused.reason in ("repeated", "replayed"), refused
                    return None
                if session is self._next:
                    self.session, self._next = session, None
                return plain
        self.unknown += 1
        return None

    def sealed(self, topic: str, plain: bytes) -> bytes | None:
        """None: no session stands."""
        return None if self.session is None else self.session.sealer.seal(topic, plain)
