"""A wireless M-Bus module and the meters in its reach, whatever dialect its serial line speaks.

Radio as it is: no acknowledgement and no repetition; what is lost is lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem.wmbus import wmbus
from hal.modem.wmbus.module import MAX_FRAME, parse_address
from hal.sim.channel import Channel
from tools.emulator.air import Meter, Time
from tools.emulator.emulator import Emulator

_MAX_QUEUED = 64


class WmbusEmulator(Emulator):
    """population: address text (16 hex digits: M, ident, version, type) -> meter.

    meter_ms: how long a meter takes to answer. leave() and join() take meters off the air. A
    dialect gives overhear() and _taken(), and calls _send_request()."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
    ) -> None:
        super().__init__(channel or Channel(bit_rate=4800, overhead=20), speed, clock)
        self._meters = {parse_address(text): meter for text, meter in population.items()}
        self._away: set[bytes] = set()
        self._meter_ms = meter_ms

    def leave(self, address: str) -> None:
        """The meter falls silent."""
        self._away.add(parse_address(address))

    def join(self, address: str) -> None:
        self._away.discard(parse_address(address))

    def reboot(self) -> None:
        """Restart the module: what it was doing is lost."""
        for task in list(self._tasks):
            task.cancel()

    def overhear(self, frame: bytes) -> None:
        """Let the module receive this link frame (from the C-field on), whoever sent it."""
        raise NotImplementedError

    def _taken(self) -> None:
        """Tell the host that its frame is on the air."""
        raise NotImplementedError

    def _send_request(self, frame: bytes) -> None:
        if len(self._tasks) >= _MAX_QUEUED:
            return
        self.requests += 1
        self._begin(self._transmit(frame))

    async def _transmit(self, frame: bytes) -> None:
        try:
            telegram = wmbus.parse(frame, wmbus.CI_TO_METER_LONG, wmbus.CI_TO_METER_SHORT)
        except ValueError:
            telegram = None
        target = telegram.address if telegram else b""
        arrived = await self.air.transmit(target.hex(), len(frame))
        self._taken()
        meter = self._meters.get(target)
        if telegram is None or meter is None or not arrived or target in self._away:
            return
        client_sap, server_sap = telegram.source_sap, telegram.destination_sap
        response = meter.handle(client_sap, server_sap, telegram.apdu)
        if response is None:
            return
        answer, *unasked = [
            wmbus.from_meter(wmbus.Telegram(target, telegram.access, server_sap, client_sap, each))
            for each in [response, *meter.unasked()]
        ]
        await self.air.sleep_ms(self._meter_ms + meter.delay_ms)
        if len(answer) <= MAX_FRAME and await self.air.transmit(target.hex(), len(answer)):
            self.overhear(answer)
            for each in unasked:
                self.overhear(each)
