"""The Meters and More driver and the emulated modem with its network: found, spoken to, lost."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from hal.modem.attached import Attached
from hal.modem.mam.frames import MTU
from hal.modem.mam.mam import MetersAndMore
from hal.ports import BROADCAST, Busy, Joined, Left, ModemReset, Rx, TxDone
from hal.sim.channel import Channel
from tests.unit.emulator.harness import EchoMeter, Traffic, attached
from tools.emulator import MamEmulator
from tools.emulator.line import MemoryLine
from tools.simulation import SimulatedClock
from tools.simulation import run as simulated

T = TypeVar("T")


def population(size: int) -> dict[str, EchoMeter]:
    return {"0a00%08x" % (7919 * index): EchoMeter("m%d" % index) for index in range(1, size + 1)}


class Scene:
    """A network in simulated time; events are collected as they come."""

    def __init__(self, size: int, channel: Channel) -> None:
        self.clock = SimulatedClock(0)
        self.meters = population(size)
        self.channel = channel
        self.emulator = MamEmulator(self.meters, channel, clock=self.clock)
        self.driver = MetersAndMore(refresh_ms=3600000)
        self.line = MemoryLine(57600)
        self.modem = Attached(self.driver, self.line.open, self.clock)
        self.events: list[object] = []

    async def begin(self) -> None:
        await self.emulator.serve(self.line)
        self._collecting = asyncio.create_task(self._collect())

    async def end(self) -> None:
        self._collecting.cancel()
        await asyncio.gather(self._collecting, return_exceptions=True)
        await self.modem.close()
        await self.emulator.stop()

    async def _collect(self) -> None:
        while True:
            self.events.append(await self.modem.event())

    async def send(self, address: str, data: bytes) -> None:
        while True:
            try:
                await self.modem.send(address, data, 16, 1)
                return
            except Busy:
                await self.clock.sleep_ms(50)

    def taken(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]


def test_three_levels_are_found_and_spoken_to() -> None:
    async def story() -> None:
        scene = Scene(60, Channel(3, 0.02, 4800, 24, hops=(50, 30, 20)))
        await scene.begin()
        await scene.clock.sleep_ms(1200000)
        assert sorted(scene.modem.nodes()) == sorted(scene.meters)
        levels = {scene.channel.hops(address) for address in scene.meters}
        assert levels == {1, 2, 3}
        for address in scene.meters:
            route = scene.driver.route(address)
            assert route is not None and len(route) + 1 == scene.channel.hops(address)
            await scene.send(address, bytes(MTU - 5))
        await scene.clock.sleep_ms(60000)
        done = [event.status for event in scene.taken(TxDone)]
        assert len(done) == 60 and done.count(0) >= 45
        assert len(scene.taken(Rx)) == done.count(0)
        await scene.end()

    simulated(story())


def test_a_broadcast_reaches_every_level() -> None:
    async def story() -> None:
        scene = Scene(20, Channel(5, 0.0, 4800, 24, hops=(50, 30, 20)))
        await scene.begin()
        await scene.clock.sleep_ms(600000)
        await scene.send(BROADCAST, b"at noon")
        await scene.clock.sleep_ms(60000)
        assert all(b"at noon" in meter.handled for meter in scene.meters.values())
        assert len(scene.taken(TxDone)) == 1 and scene.taken(Rx) == []
        await scene.end()

    simulated(story())


def test_nodes_that_leave_are_missed_and_return() -> None:
    async def story() -> None:
        scene = Scene(20, Channel(5, 0.0, 4800, 24, hops=(50, 30, 20)))
        await scene.begin()
        await scene.clock.sleep_ms(600000)
        gone = sorted(scene.meters)[::7]
        for address in gone:
            scene.emulator.leave(address)
        scene.events.clear()
        await scene.clock.sleep_ms(3 * 3600000)
        left = {event.address for event in scene.taken(Left)}
        assert set(gone) <= left
        assert not set(gone) & set(scene.modem.nodes())
        for address in gone:
            scene.emulator.join(address)
        await scene.modem.discover()
        await scene.clock.sleep_ms(1200000)
        assert sorted(scene.modem.nodes()) == sorted(scene.meters)
        assert len(scene.taken(Joined)) >= len(gone)
        await scene.end()

    simulated(story())


def test_a_modem_that_reboots_or_hangs() -> None:
    async def story() -> None:
        scene = Scene(5, Channel(5, 0.0, 4800, 24))
        await scene.begin()
        await scene.clock.sleep_ms(120000)
        assert len(scene.modem.nodes()) == 5
        address = next(iter(scene.meters))
        await scene.send(address, b"lost")
        await scene.clock.sleep_ms(100)
        scene.emulator.reboot()
        await scene.clock.sleep_ms(60000)
        assert [event.status != 0 for event in scene.taken(TxDone)] == [True]
        await scene.send(address, b"heard")
        await scene.clock.sleep_ms(10000)
        assert len(scene.taken(Rx)) == 1
        scene.emulator.hanging = True
        await scene.clock.sleep_ms(300000)
        assert scene.taken(ModemReset)
        scene.emulator.hanging = False
        await scene.clock.sleep_ms(300000)
        assert len(scene.modem.nodes()) == 5
        await scene.end()

    simulated(story())


def test_over_tcp_in_real_time() -> None:
    async def story() -> Traffic:
        meters = population(6)
        emulator = MamEmulator(meters, Channel(bit_rate=4800), speed=300)
        modem = attached(MetersAndMore(look_ms=50), await emulator.start())
        while len(modem.nodes()) < 6:
            await modem.event()
        traffic = Traffic(modem, meters)
        await traffic.run(b"x" * 100)
        await modem.close()
        await emulator.stop()
        return traffic

    traffic = asyncio.run(story())
    assert traffic.statuses == [0] * 6
    for address, meter in traffic.meters.items():
        assert traffic.echoes[address] == meter.echo(16, 1, b"x" * 100)


def test_parameters() -> None:
    async def story() -> None:
        emulator = MamEmulator({}, speed=300)
        modem = attached(MetersAndMore(), await emulator.start())
        assert await modem.get("201") == bytes.fromhex("0200000000f1")
        await modem.set("6", b"\x05")
        assert await modem.get("6") == b"\x05"
        await modem.close()
        await emulator.stop()

    asyncio.run(story())
