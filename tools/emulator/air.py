"""The shared medium between a modem and its meters: one frame at a time, at the channel's rate."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from hal.sim.channel import Channel


class Meter(Protocol):
    """What answers at a node; tools.meter's MeterServer, or anything alike."""

    @property
    def delay_ms(self) -> int:
        """How much later than others it answers."""
        ...

    def handle(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes | None: ...


class Air:
    """Runs the channel in real time, `speed` times faster than its figures say."""

    def __init__(self, channel: Channel, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("speed is above 0")
        self._channel = channel
        self._speed = speed
        self._medium = asyncio.Lock()
        self._zero = time.monotonic()

    def now_ms(self) -> int:
        """Milliseconds of the channel's own time."""
        return int((time.monotonic() - self._zero) * 1000 * self._speed)

    async def sleep_ms(self, duration: int) -> None:
        await asyncio.sleep(duration / 1000 / self._speed)

    async def transmit(self, node: str, size: int) -> bool:
        """Occupy the medium for `size` bytes to or from the node; whether they arrived."""
        async with self._medium:
            await self.sleep_ms(self._channel.airtime_ms(node, size))
            return self._channel.delivered(node, self.now_ms())

    def hops(self, node: str) -> int:
        return self._channel.hops(node)
