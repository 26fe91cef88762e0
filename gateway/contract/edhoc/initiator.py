"""The side of the handshake that begins: the concentrator (RFC 9528, method 3, suite 2)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.contract.edhoc.credential import Credential
    from gateway.contract.edhoc.sequence import Ead
    from gateway.contract.sealed import Session
    from hal.ports import Crypto


class Initiator:
    """One handshake. `credential` travels by value; `private` is its key, `connection` our
    connection id, `ead` what message_3 brings besides."""

    def __init__(
        self,
        crypto: Crypto,
        credential: Credential,
        private: bytes,
        connection: bytes,
        ead: Sequence[Ead] = (),
    ) -> None:
        raise NotImplementedError

    def message_1(self) -> bytes:
        """The same octets each time it is asked for."""
        raise NotImplementedError

    def message_3(
        self, message_2: bytes, peers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[bytes, Session]:
        """The answer to a message_2 that one of `peers`, (kid, public key x||y), has made, and the
        session with him.

        Refused: `malformed`, `unknown-signer`, `unsealed`. Another message_2 can be tried then.
        """
        raise NotImplementedError
