"""The side of the handshake that answers: the HES (RFC 9528, method 3, suite 2). No firmware
imports this."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.edhoc.credential import Credential
    from gateway.contract.edhoc.sequence import Ead
    from gateway.contract.sealed import Session
    from hal.ports import Crypto


class Responder:
    """One handshake. `credential` travels by reference; `private` is its key, `connection` our
    connection id."""

    def __init__(
        self, crypto: Crypto, credential: Credential, private: bytes, connection: bytes
    ) -> None:
        raise NotImplementedError

    def message_2(self, message_1: bytes) -> bytes:
        """Refused `malformed`; frames.WrongSuite where the peer has to be told our suite."""
        raise NotImplementedError

    def finished(self, message_3: bytes) -> tuple[Credential, list[Ead], Session]:
        """Who the peer is, what he brings besides, and the session with him. That he has the
        credential's key is proven, not that we know him: the caller decides whether he is enrolled.

        Refused: `malformed`, `unsealed`. Another message_3 can be tried then.
        """
        raise NotImplementedError
