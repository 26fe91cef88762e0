"""A serial line as a TCP server on loopback: it carries the serial bytes and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_MAX_UNSENT = 1 << 20


class Line:
    """One other end at a time, as on a wire: who connects last has the line."""

    def __init__(self, received: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        self._received = received
        self._connected = connected
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._readers: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is the system's choice for 0."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for reader in list(self._readers):
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def drop(self) -> None:
        """Unplug: the other end sees the line close."""
        if self._writer is not None:
            self._writer.close()

    def send(self, data: bytes) -> None:
        """As a UART does: bytes nobody takes are lost."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() < _MAX_UNSENT:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        self.drop()
        self._writer = writer
        self._connected()
        try:
            while data := await reader.read(4096):
                if self._writer is writer:
                    self._received(data)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._readers.discard(task)
            if self._writer is writer:
                self._writer = None
            writer.close()
