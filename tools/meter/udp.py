"""A meter on UDP (port 4059 by convention): each APDU is one datagram, in the 8-byte DLMS
wrapper."""

from __future__ import annotations

import asyncio
from typing import Any

from hal.modem.wrapper import unwrap, wrap
from tools.meter.server import MeterServer


class MeterUdp(asyncio.DatagramProtocol):
    """Listens for one meter. What is not a wrapper PDU is dropped."""

    def __init__(self, meter: MeterServer) -> None:
        self._meter = meter
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; returns the port, which is the system's choice for 0."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(host, port)
        )
        bound: int = self._transport.get_extra_info("sockname")[1]
        return bound

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, address: Any) -> None:
        try:
            client_sap, server_sap, apdu = unwrap(data)
        except ValueError:
            return
        loop = asyncio.get_running_loop()
        for answer in self._meter.answers(client_sap, server_sap, apdu):
            frame = wrap(server_sap, client_sap, answer)
            loop.call_later(self._meter.delay_ms / 1000, self._send, frame, address)

    def _send(self, frame: bytes, address: Any) -> None:
        if self._transport is not None:
            self._transport.sendto(frame, address)
