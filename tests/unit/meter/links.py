"""Ways from the gateway's client to a virtual meter, for tests."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count

from gateway.dlms.client.client import HIGH_GMAC, NONE, Association, Client
from gateway.dlms.protection.keyring import Keys
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tools.meter.device import derive_test_keys
from tools.meter.model import MANAGEMENT, PUBLIC
from tools.meter.server import MeterServer

TITLE = b"CONC0001"


class MemoryLink:
    """The meter at the other end of a function call. A silent meter costs no waiting.

    `repeat` sends every request twice, as a path that duplicates frames would.
    """

    def __init__(
        self, meter: MeterServer, client_sap: int, max_apdu: int = 1024, repeat: bool = False
    ) -> None:
        self.max_apdu = max_apdu
        self.repeat = repeat
        self.sent: list[bytes] = []
        self._meter = meter
        self._client_sap = client_sap
        self._answers: deque[bytes] = deque()

    async def send(self, apdu: bytes | memoryview) -> None:
        assert len(apdu) <= self.max_apdu
        self.sent.append(bytes(apdu))
        for _ in range(2 if self.repeat else 1):
            answer = self._meter.handle(self._client_sap, 1, bytes(apdu))
            if answer is not None:
                self._answers.append(answer)

    async def receive(self, timeout_ms: int) -> bytes:
        if not self._answers:
            raise asyncio.TimeoutError
        answer = self._answers.popleft()
        assert len(answer) <= self.max_apdu
        return answer

    async def close(self) -> None: ...


def management(seed: int, serial: str, title: bytes = TITLE) -> Association:
    own = derive_test_keys(seed, serial)
    return Association(MANAGEMENT, authentication=HIGH_GMAC, keys=Keys(title, own.ek, own.ak))


def public() -> Association:
    return Association(PUBLIC, authentication=NONE)


def client(link: MemoryLink, association: Association, first_counter: int = 1) -> Client:
    counter = count(first_counter)
    return Client(
        link, ManualClock(), SystemCrypto(), association, lambda: next(counter), timeout_ms=1000
    )
