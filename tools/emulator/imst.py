"""An IMST wireless M-Bus module and the meters in its reach; hal/modem/imst.py faces it.

Radio as it is: no acknowledgement and no repetition; what is lost is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from hal.modem import hci, imst, wmbus
from hal.sim.channel import Channel
from tools.emulator.air import Air, Meter
from tools.emulator.line import Line

PING_RESPONSE = 0x02
_MAX_QUEUED = 64
_RSSI = 85  # -80 dBm


class ImstEmulator:
    """population: address text (16 hex digits: M, ident, version, type) -> meter.

    meter_ms: how long a meter takes to answer. speed: how much faster than real time all this
    runs."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        meter_ms: int = 50,
        speed: float = 1.0,
    ) -> None:
        self._meters = {imst.parse_address(text): meter for text, meter in population.items()}
        self._air = Air(channel or Channel(bit_rate=4800, overhead=20), speed)
        self._meter_ms = meter_ms
        self._parser = hci.Parser()
        self._line = Line(self._receive, self._parser.reset)
        self._tasks: set[asyncio.Task[None]] = set()
        self.hanging = False  # True: the module neither hears nor answers
        self.requests = 0  # frames taken from the host

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> int:
        return await self._line.start(host, port)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.stop()

    def drop_line(self) -> None:
        """Close the connection, as if the cable were pulled for a moment."""
        self._line.drop()

    def overhear(self, frame: bytes) -> None:
        """Let the module receive this link frame (from the C-field on), whoever sent it."""
        if not self.hanging:
            indication = hci.frame(hci.RADIO, hci.INDICATION, frame, self._air.now_ms(), _RSSI)
            self._line.send(indication)

    def _receive(self, data: bytes) -> None:
        frames = self._parser.feed(data, int(time.monotonic() * 1000))
        if self.hanging:
            return
        for frame in frames:
            if frame.endpoint == hci.DEVICE and frame.message == hci.PING_REQUEST:
                self._line.send(hci.frame(hci.DEVICE, PING_RESPONSE))
            elif frame.endpoint == hci.DEVICE and frame.message == hci.RESET_REQUEST:
                self._line.send(hci.frame(hci.DEVICE, hci.RESET_RESPONSE))
            elif frame.endpoint == hci.RADIO and frame.message == hci.SEND_REQUEST:
                self._send_request(frame.payload)

    def _send_request(self, frame: bytes) -> None:
        if len(self._tasks) >= _MAX_QUEUED:
            return
        self.requests += 1
        task = asyncio.get_running_loop().create_task(self._transmit(frame))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # a fault of the emulator or a meter is not kept silent

    async def _transmit(self, frame: bytes) -> None:
        try:
            telegram = wmbus.parse(frame, wmbus.CI_TO_METER_LONG, wmbus.CI_TO_METER_SHORT)
        except ValueError:
            telegram = None
        target = telegram.address if telegram else b""
        arrived = await self._air.transmit(target.hex(), len(frame))
        if not self.hanging:
            self._line.send(hci.frame(hci.RADIO, hci.SEND_RESPONSE))
        meter = self._meters.get(target)
        if telegram is None or meter is None or not arrived:
            return
        client_sap, server_sap = telegram.source_sap, telegram.destination_sap
        response = meter.handle(client_sap, server_sap, telegram.apdu)
        if response is None:
            return
        answer = wmbus.from_meter(
            wmbus.Telegram(target, telegram.access, server_sap, client_sap, response)
        )
        await self._air.sleep_ms(self._meter_ms + meter.delay_ms)
        if len(answer) <= hci.MAX_PAYLOAD and await self._air.transmit(target.hex(), len(answer)):
            self.overhear(answer)
