"""The lines of a simulated concentrator, by the URLs that its settings name."""

from __future__ import annotations

import asyncio

from hal.modem.wrapper import Unwrapper, wrap
from hal.ports import BytePort, Clock
from tools.emulator.line import MemoryLine
from tools.emulator.wire import Direction, Port
from tools.meter.server import MeterServer


class Lines:
    """open() is what board/wiring.py takes as `open_port`."""

    def __init__(self) -> None:
        self._lines: dict[str, MemoryLine] = {}
        self._meters: dict[str, IpMeter] = {}

    def add_line(self, url: str, line: MemoryLine) -> None:
        self._lines[url] = line

    def add_meter(self, url: str, meter: IpMeter) -> None:
        self._meters[url] = meter

    async def open(self, url: str, clock: Clock) -> BytePort:
        """OSError when nobody is there."""
        if url in self._lines:
            return await self._lines[url].open()
        if url in self._meters:
            return self._meters[url].open()
        raise OSError("connection refused: %s" % url)


class IpMeter:
    """One meter behind TCP, APDUs in the DLMS wrapper. latency_ms: to the meter, and back."""

    def __init__(self, meter: MeterServer, baud: int = 100_000, latency_ms: int = 60) -> None:
        self._meter = meter
        self._baud = baud
        self._latency_s = latency_ms / 1000

    def open(self) -> Port:
        port = Port()
        unwrapper = Unwrapper()
        back = Direction(port.deliver, self._baud)
        loop = asyncio.get_running_loop()

        def received(data: bytes) -> None:
            for client_sap, server_sap, apdu in unwrapper.feed(data):
                wait = 2 * self._latency_s + self._meter.delay_ms / 1000
                for answer in self._meter.answers(client_sap, server_sap, apdu):
                    loop.call_later(wait, back.send, wrap(server_sap, client_sap, answer))

        port.out = Direction(received, self._baud)
        return port
