"""A population on the air: meters behind the emulated PLC and RF modems, and on TCP ports."""

from __future__ import annotations

from dataclasses import dataclass

from hal.sim.channel import Channel
from tools.emulator import ImstEmulator, PrimeEmulator
from tools.meter.population import IP, PLC, RF, Member
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp

HOST = "127.0.0.1"


@dataclass
class Weather:
    """How bad the channel is: loss 0..1 a frame and hop; speed: times faster than real time."""

    seed: int = 1
    loss: float = 0.0
    speed: float = 1.0


class Street:
    """Runs everything on loopback. Ports are 0 where there is no meter on that medium."""

    def __init__(self, members: list[Member], weather: Weather) -> None:
        self.members = members
        plc = _on(members, PLC)
        rf = _on(members, RF)
        self.plc = PrimeEmulator(plc, self._channel(weather), speed=weather.speed) if plc else None
        self.rf = (
            ImstEmulator(rf, self._channel(weather, 4800, 20), speed=weather.speed) if rf else None
        )
        self._tcp: list[MeterTcp] = []
        self.plc_port = 0
        self.rf_port = 0

    @staticmethod
    def _channel(weather: Weather, bit_rate: int = 21400, overhead: int = 30) -> Channel:
        return Channel(weather.seed, weather.loss, bit_rate, overhead)

    async def start(self, plc_port: int = 0, rf_port: int = 0) -> None:
        """Listen everywhere; IP meters learn their path here."""
        if self.plc is not None:
            self.plc_port = await self.plc.start(plc_port, HOST)
        if self.rf is not None:
            self.rf_port = await self.rf.start(rf_port, HOST)
        for member in self.members:
            if member.on_ip:
                tcp = MeterTcp(member.server)
                self._tcp.append(tcp)
                member.paths = [(IP, "%s:%d" % (HOST, await tcp.start(0, HOST)))]

    async def stop(self) -> None:
        if self.plc is not None:
            await self.plc.stop()
        if self.rf is not None:
            await self.rf.stop()
        for tcp in self._tcp:
            await tcp.stop()


def _on(members: list[Member], kind: str) -> dict[str, MeterServer]:
    return {
        address: member.server
        for member in members
        for path_kind, address in member.paths
        if path_kind == kind
    }
