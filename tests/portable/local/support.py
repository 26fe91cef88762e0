"""What the tests of local access share: who sets the clock."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.kept_clock import KeptClock
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage

NONCE = bytes(range(16))


def kept(clock: ManualClock) -> KeptClock:
    return KeptClock(clock, MemoryStorage())


class Times:
    """Takes everything, or with `refuses` nothing."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.refuses = False

    def nonce(self) -> bytes:
        return NONCE

    def date(self, seconds: int) -> None:
        self._take(seconds)

    def signed(self, payload: bytes) -> None:
        self._take(payload)

    def _take(self, what: object) -> None:
        if self.refuses:
            raise Refused("unsigned-time", "for the test")
        self.taken.append(what)
