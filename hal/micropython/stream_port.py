"""Whatever asyncio can poll (a socket, a tty, a machine.UART) as BytePort."""

from __future__ import annotations

import asyncio
import errno

CHUNK = 4096


class StreamPort:
    """See hal.ports.BytePort."""

    def __init__(self, line) -> None:
        """`line`: a stream object in non-blocking mode."""
        self._line = line
        self._reader = asyncio.StreamReader(line)
        self._writer = asyncio.StreamWriter(line, {})
        self._closed = False

    async def read(self) -> bytes:
        if self._closed:
            return b""
        try:
            return await self._reader.read(CHUNK)
        except (OSError, ValueError):
            return b""  # reset, unplugged, the other end of a pty closed, or closed by us

    async def write(self, data: bytes | memoryview) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the port is closed")
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._line.close()
