"""A meter on TCP (port 4059 by convention): APDUs in the 8-byte DLMS wrapper."""

from __future__ import annotations

import asyncio

from hal.modem.wrapper import Unwrapper, wrap
from tools.listener import Listener
from tools.meter.server import MeterServer


class MeterTcp:
    """Listens for one meter. Several clients may be connected; requests are answered in order."""

    def __init__(self, meter: MeterServer) -> None:
        self._meter = meter
        self._listener = Listener(self._converse)

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; returns the port, which is the system's choice for 0."""
        return await self._listener.start(port, host)

    async def stop(self) -> None:
        await self._listener.stop()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter = Unwrapper()
        while data := await reader.read(4096):
            for client_sap, server_sap, apdu in cutter.feed(data):
                for answer in self._meter.answers(client_sap, server_sap, apdu):
                    await asyncio.sleep(self._meter.delay_ms / 1000)
                    writer.write(wrap(server_sap, client_sap, answer))
                    await writer.drain()
