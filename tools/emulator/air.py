"""The shared medium between a modem and its meters: one frame at a time, at the channel's rate, in
real or in simulated time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from hal.sim.channel import Channel


class Meter(Protocol):
    """What answers at a node; tools.meter's MeterServer, or anything alike."""

    @property
    def delay_ms(self) -> int:
        """How much later than others it answers."""
        ...

    def handle(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes | None: ...

    def unasked(self) -> list[bytes]:
        """What it sends after an answer, though nobody asked for it."""
        ...


class Time(Protocol):
    """What an emulator needs of hal.ports.Clock; tools.simulation.SimulatedClock fits."""

    def ticks_ms(self) -> int: ...

    async def sleep_ms(self, duration: int) -> None: ...


class RealTime:
    """The machine's own time, passing `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("speed is above 0")
        self._speed = speed
        self._zero = time.monotonic()

    def ticks_ms(self) -> int:
        return int((time.monotonic() - self._zero) * 1000 * self._speed)

    async def sleep_ms(self, duration: int) -> None:
        await asyncio.sleep(duration / 1000 / self._speed)


class Air:
    """A channel in use, its time that of `clock`. `busy_ms`: how long it has been occupied."""

    def __init__(self, channel: Channel, clock: Time) -> None:
        self.channel = channel
        self.clock = clock
        self.busy_ms = 0
        self._medium = asyncio.Lock()

    def now_ms(self) -> int:
        return self.clock.ticks_ms()

    async def sleep_ms(self, duration: int) -> None:
        await self.clock.sleep_ms(duration)

    async def transmit(self, node: str, size: int, route: Sequence[str] | None = None) -> bool:
        """Occupy the medium for `size` bytes to or from the node, once for each hop; whether they
        arrived. `route`: the repeaters, where the host names them."""
        async with self._medium:
            await self._occupy(self.channel.airtime_ms(node, size, route))
            return self.channel.delivered(node, self.now_ms(), route)

    async def hop(self, node: str, size: int) -> bool:
        """Occupy the medium for `size` bytes on one of the hops to or from the node; whether they
        got over it."""
        async with self._medium:
            await self._occupy(self.channel.hop_ms(size))
            return self.channel.over_a_hop(node, self.now_ms())

    async def broadcast(self, nodes: Sequence[str], size: int) -> list[str]:
        """Occupy the medium once for each level of the network that the nodes make up; the nodes
        that heard it."""
        async with self._medium:
            await self._occupy(self.channel.broadcast_ms(nodes, size))
            return self.channel.heard(nodes, self.now_ms())

    def hops(self, node: str) -> int:
        return self.channel.hops(node)

    async def _occupy(self, duration: int) -> None:
        self.busy_ms += duration
        await self.clock.sleep_ms(duration)
