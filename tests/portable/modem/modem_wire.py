"""A byte port whose other end is the test."""

from __future__ import annotations

import asyncio


class Wire:
    """See hal.ports.BytePort. The test gives bytes with say(), takes what was written from
    `written`.
    """

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.deaf = False  # True: a read does not notice that the port was closed
        self.stuck = False  # True: writes never end
        self._incoming: list[bytes] = []
        self._ended = False
        self._more = asyncio.Event()

    def say(self, data: bytes) -> None:
        self._incoming.append(data)
        self._more.set()

    def hang_up(self) -> None:
        """The other end closes: what was said is still read, then b""; writing fails."""
        self._ended = True
        self._more.set()

    def take(self) -> bytes:
        data = bytes(self.written)
        self.written = bytearray()
        return data

    async def read(self) -> bytes:
        while not self._incoming:
            if self._ended or (self.closed and not self.deaf):
                return b""
            self._more.clear()
            await self._more.wait()
        return self._incoming.pop(0)

    async def write(self, data: bytes | memoryview) -> None:
        if self._ended or self.closed:
            raise OSError("the wire is gone")
        while self.stuck:
            await asyncio.Event().wait()
        self.written += data

    async def close(self) -> None:
        self.closed = True
        self._more.set()
