"""A serial line in memory: two ends, each a hal.ports.BytePort.

Bytes written at once arrive together, at the moment the last of them has passed at the line's
speed: one timer for each write, however long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tools.emulator.damage import Damage

BITS = 10  # a byte on a line 8N1
MOST_READ = 4096
MOST_UNSENT = 4096  # bytes that a write does not wait for


class Direction:
    """One way of a line at `baud` bit/s (0: no time passes). What comes out goes to `deliver`; b""
    says that no more will come."""

    def __init__(
        self, deliver: Callable[[bytes], None], baud: int = 0, damage: Damage | None = None
    ) -> None:
        self._deliver = deliver
        self._byte_s = BITS / baud if baud else 0.0
        self._damage = damage
        self._free_at = 0.0  # when all that was written will have passed
        self._loop = asyncio.get_running_loop()

    def send(self, data: bytes) -> None:
        self._free_at = max(self._free_at, self._loop.time()) + len(data) * self._byte_s
        if self._damage is not None:
            data = self._damage.passed(data)
        if data:
            self._loop.call_at(self._free_at, self._deliver, data)

    def end(self) -> None:
        """After what is still on its way."""
        self._loop.call_at(max(self._free_at, self._loop.time()), self._deliver, b"")

    async def drain(self) -> None:
        """Until what has not passed yet fits a UART's buffer."""
        excess = self._free_at - self._loop.time() - MOST_UNSENT * self._byte_s
        if excess > 0:
            await asyncio.sleep(excess)


class Port:
    """An end of a line, the BytePort. `deliver` is what the line gives to it."""

    def __init__(self) -> None:
        self.out: Direction | None = None  # None: not connected
        self._came: deque[bytes] = deque()
        self._ended = False
        self._something = asyncio.Event()

    def deliver(self, data: bytes) -> None:
        if self._ended:
            return
        if data:
            self._came.append(data)
        else:
            self._ended = True
            self.out = None
        self._something.set()

    async def read(self) -> bytes:
        while not self._came:
            if self._ended:
                return b""
            self._something.clear()
            await self._something.wait()
        data = self._came.popleft()
        if len(data) > MOST_READ:
            self._came.appendleft(data[MOST_READ:])
        return data[:MOST_READ]

    async def write(self, data: bytes | memoryview) -> None:
        if self.out is None:
            raise OSError("the line is gone")
        self.out.send(bytes(data))
        await self.out.drain()

    async def close(self) -> None:
        out = self.out
        self.deliver(b"")
        if out is not None:
            out.end()


class Wire:
    """The two ends, `near` and `far`, of a line that does `damage` to what goes either way."""

    def __init__(self, baud: int = 115200, damage: Damage | None = None) -> None:
        self.near = Port()
        self.far = Port()
        self.near.out = Direction(self.far.deliver, baud, damage)
        self.far.out = Direction(self.near.deliver, baud, damage)
