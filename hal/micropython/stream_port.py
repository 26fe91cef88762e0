"""Whatever asyncio can poll (a socket, a tty, a machine.UART) as BytePort."""

from __future__ import annotations

import asyncio

CHUNK = 4096


class StreamPort:
    """See hal.ports.BytePort."""

    def __init__(self, line) -> None:
        """`line`: a stream object in non-blocking mode."""
        self._line = line
        self._reader = asyncio.StreamReader(line)
        self._writer = asyncio.StreamWriter(line, {})

    async def read(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except OSError:
            return b""  # reset, unplugged, or the other end of a pty closed

    async def write(self, data: bytes | memoryview) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._line.close()
