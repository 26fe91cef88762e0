"""A TCP connection as BytePort."""

from __future__ import annotations

import asyncio
import re
import socket

CHUNK = 4096


class TcpPort:
    """See hal.ports.BytePort. Make one with `await TcpPort.open(host, port)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> TcpPort:
        """Connect; OSError with its errno when that fails. The caller limits the time."""
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            raise _one_of(error) from None
        line = writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        writer.transport.set_write_buffer_limits(0)  # drain() returns when all is handed over
        return cls(reader, writer)

    async def read(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except OSError:
            return b""

    async def write(self, data: bytes | memoryview) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the TCP connection is closed")
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()  # of a cancelled write: nobody waits for the rest
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass  # it broke before: closed either way


def _one_of(error: OSError) -> OSError:
    """asyncio tells of a host with several addresses in one text, without an errno: the last one's
    then."""
    numbers = re.findall(r"\[Errno (\d+)\]", str(error))
    if error.errno is not None or not numbers:
        return error
    return OSError(int(numbers[-1]), str(error))
