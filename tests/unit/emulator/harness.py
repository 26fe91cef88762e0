"""What the emulator tests share: an echoing meter, and the gateway's end of a real TCP line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hal.cpython.clock import SystemClock
from hal.cpython.tcp import TcpPort
from hal.modem.attached import Attached
from hal.ports import Busy, Rx, TxDone

if TYPE_CHECKING:
    from hal.modem.attached import Driver


class EchoMeter:
    """Answers at once with its own name and what it was sent."""

    delay_ms = 0

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.handled: list[bytes] = []

    def handle(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes | None:
        self.handled.append(apdu)
        return self.echo(client_sap, server_sap, apdu)

    def unasked(self) -> list[bytes]:
        return []

    def echo(self, client_sap: int, server_sap: int, apdu: bytes) -> bytes:
        return self.name + bytes([client_sap, server_sap]) + apdu


def opener(port: int) -> Callable[[], Awaitable[TcpPort]]:
    return lambda: TcpPort.open("127.0.0.1", port)


def attached(driver: Driver, port: int) -> Attached:
    return Attached(driver, opener(port), SystemClock())


class Traffic:
    """Sends one request to each meter and collects what comes of it."""

    def __init__(self, modem: Attached, meters: dict[str, EchoMeter]) -> None:
        self.modem = modem
        self.meters = meters
        self.echoes: dict[str, bytes] = {}
        self.statuses: list[int] = []

    async def run(self, apdu: bytes) -> None:
        """Returns when every request is settled and every delivered one had time for its echo."""
        sender = asyncio.create_task(self._send(apdu))
        try:
            while len(self.statuses) < len(self.meters):
                await self._take(await self.modem.event())
            while len(self.echoes) < self.statuses.count(0):
                await self._take(await asyncio.wait_for(self.modem.event(), 3))
        except asyncio.TimeoutError:
            pass  # lost on the way back
        finally:
            sender.cancel()

    async def _send(self, apdu: bytes) -> None:
        for address in self.meters:
            while True:
                try:
                    await self.modem.send(address, apdu, 16, 1)
                    break
                except Busy:
                    await asyncio.sleep(0.001)

    async def _take(self, event: object) -> None:
        if isinstance(event, TxDone):
            self.statuses.append(event.status)
        elif isinstance(event, Rx):
            assert (event.source_sap, event.destination_sap) == (1, 16)
            self.echoes[event.address] = event.data
