"""What takes a PRIME network minutes, in simulated time: alive messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from hal.ports import ModemReset, Rx
from hal.sim.channel import Channel
from tests.unit.emulator.test_prime_emulator import joins, population, until
from tools.emulator import PrimeEmulator
from tools.emulator.line import MemoryLine
from tools.simulation import SimulatedClock, run

NODES = 10


def play(
    scene: Callable[[PrimeEmulator, Prime, Attached], Awaitable[None]],
    channel: Channel | None = None,
    alive_ms: int = 0,
) -> PrimeEmulator:
    """Run a scene of a gateway's modem whose network has formed."""

    async def whole() -> PrimeEmulator:
        clock = SimulatedClock()
        emulator = PrimeEmulator(population(NODES), channel, clock=clock, alive_ms=alive_ms)
        line = MemoryLine(115200)
        await emulator.serve(line)
        driver = Prime()
        modem = Attached(driver, line.open, clock)
        await joins(modem, NODES)
        await scene(emulator, driver, modem)
        await modem.close()
        await emulator.stop()
        return emulator

    return run(whole())


def test_network_events_give_hops_and_quality() -> None:
    async def scene(emulator: PrimeEmulator, driver: Prime, modem: Attached) -> None:
        emulator.reboot()
        await until(modem, ModemReset)
        await joins(modem, NODES)
        await asyncio.sleep(150)
        assert modem.statistics()["alive"] == 2 * NODES
        assert modem.statistics()["registered"] == NODES
        for address in list(population(NODES)):
            await modem.send(address, b"x", 16, 1)
            rx = await until(modem, Rx)
            assert isinstance(rx, Rx) and rx.address == address
            assert (rx.quality.hops, rx.quality.lqi) == (emulator.air.hops(address), 100)
        assert {emulator.air.hops(address) for address in population(NODES)} == {1, 2, 3}

    play(scene, Channel(seed=5, hops=(40, 30, 30)), alive_ms=60000)
