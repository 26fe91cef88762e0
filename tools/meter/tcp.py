"""A meter on TCP (port 4059 by convention): APDUs in the 8-byte DLMS wrapper."""

from __future__ import annotations

import asyncio

from hal.modem.wrapper import Unwrapper, wrap
from tools.meter.server import MeterServer


class MeterTcp:
    """Listens for one meter. Several clients may be connected; requests are answered in order."""

    def __init__(self, meter: MeterServer) -> None:
        self._meter = meter
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; returns the port, which is the system's choice for 0."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # the client is gone, or what it sends is no wrapper: nothing to answer
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter = Unwrapper()
        while data := await reader.read(4096):
            for client_sap, server_sap, apdu in cutter.feed(data):
                for answer in self._meter.answers(client_sap, server_sap, apdu):
                    await asyncio.sleep(self._meter.delay_ms / 1000)
                    writer.write(wrap(server_sap, client_sap, answer))
                    await writer.drain()
