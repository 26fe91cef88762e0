"""A concentrator with an identity, that speaks over the protected line as a test tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.contract import envelope
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import HEADS_UP, SIGN_KEY, error_in, framed_1, framed_3
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.identity import fingerprint_of
from gateway.contract.messages import Hello
from gateway.contract.refused import Refused
from gateway.contract.sealed import Session
from hal.cpython.crypto import SystemCrypto
from tests.unit.hes.concentrator import EPOCH, Concentrator
from tests.unit.hes.orders import CONCENTRATOR
from tools.hes.line.handshakes import LineKey
from tools.hes.line.sessions import Sessions
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

CRYPTO = SystemCrypto()


class Identity:
    def __init__(self) -> None:
        self._agree, self.agree = CRYPTO.ec_generate("P-256")
        self._sign, self.sign = CRYPTO.ec_generate("P-256")
        self.fingerprint = fingerprint_of(CRYPTO, self.agree, self.sign)

    @property
    def kid(self) -> bytes:
        return self.fingerprint[:8]

    def signed(self, payload: bytes) -> bytes:
        sign = lambda message: CRYPTO.ecdsa_sign("P-256", self._sign, message)  # noqa: E731
        return envelope.sign(payload, self.kid, sign)

    def initiator(self, name: str, connection: bytes) -> Initiator:
        credential = Credential(name, self.kid, self.agree)
        ead = [(SIGN_KEY, self.sign)]
        return Initiator(CRYPTO, credential, self._agree, connection, ead)


def line_key() -> LineKey:
    key = SigningKey.generate()
    return LineKey(key.kid, key.scalar, key.public)


def sessions(store: Store, *keys: LineKey, plain: bool = False, **more: Any) -> Sessions:
    return Sessions(store.enrolment, keys, plain, **more)


class Secured(Concentrator):
    """What comes down sealed is in `inbox`, opened; the handshake's answers and what nothing
    protects are there as they came.
    """

    def __init__(
        self,
        port: int,
        identity: Identity,
        trusted: Sequence[LineKey],
        session: int = 1,
        name: str = CONCENTRATOR,
    ) -> None:
        self.identity = identity
        self._trusted = [(key.kid, key.public) for key in trusted]
        self._session: Session | None = None
        super().__init__(port, session, name)

    async def begin(self) -> Initiator:
        """message_1."""
        initiator = self.identity.initiator(self.name, self.session.to_bytes(4, "big"))
        await super().send("edhoc", framed_1(initiator.message_1()))
        return initiator

    async def agree(self) -> None:
        """A whole handshake; what is no message_2 by a key that is trusted is passed over."""
        initiator = await self.begin()
        while True:
            try:
                message_3, session = initiator.message_3(await self.next("edhoc"), self._trusted)
                break
            except Refused:
                continue
        self._session = session
        await super().send("edhoc", framed_3(session.sealer.kid, message_3))

    async def refused(self) -> str:
        """What the next error of EDHOC says."""
        while True:
            said = error_in(await self.next("edhoc"))
            if said is not None:
                return said

    async def hello(self, jobs: list[bytes] | None = None, first: int = 1, next: int = 1) -> None:
        hello = Hello(self.session, 0, jobs or [], epoch=EPOCH, first=first, next=next)
        await self.send("hello", hello.encode())

    async def send(self, name: str, payload: bytes, retain: bool = False) -> None:
        if name != "state":
            assert self._session is not None
            payload = self._session.sealer.seal(self._topic(name), payload)
        await super().send(name, payload, retain)

    async def send_as_it_is(self, name: str, payload: bytes, retain: bool = False) -> None:
        await super().send(name, payload, retain)

    def sealed(self, name: str, payload: bytes) -> bytes:
        assert self._session is not None
        return self._session.sealer.seal(self._topic(name), payload)

    def _state(self, online: bool, first: int) -> bytes:
        return self.identity.signed(super()._state(online, first))

    def _take(self, name: str, payload: bytes) -> None:
        if name == "edhoc" and payload[:1] in HEADS_UP:
            return  # our own
        if name != "edhoc" and self._session is not None:
            payload = self._session.opener.open(self._topic(name), payload)
        super()._take(name, payload)
