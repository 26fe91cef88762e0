"""What takes a PRIME network hours, in simulated time: alive messages, and new firmware for the
nodes' own modems."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from hal.modem.prime.upgrade import PAGE_192, Firmware, Options, Upgrade
from hal.ports import ModemReset, Rx
from hal.sim.channel import Channel
from tests.unit.emulator.test_prime_emulator import joins, population, until
from tools.emulator import PrimeEmulator
from tools.emulator.line import MemoryLine
from tools.simulation import SimulatedClock, run

NODES = 10
MINUTE = 60


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


def firmware(model: bytes = b"PRIME-SN") -> Firmware:
    image = bytes(range(256)) * 40
    return Firmware(
        lambda offset, size: image[offset : offset + size], len(image), b"AMI", model, b"1.4.0"
    )


async def ended(upgrade: Upgrade) -> None:
    for _ in range(24 * 60):
        if upgrade.ended:
            return
        await asyncio.sleep(MINUTE)
    raise AssertionError("still %s: %s" % (upgrade.state, upgrade.progress()))


def versions(emulator: PrimeEmulator) -> list[bytes]:
    return [node.firmware[2] for node in emulator.nodes]


@pytest.mark.parametrize(("multicast", "most_on_air_s"), [(True, 14), (False, 60)])
def test_nodes_get_their_new_firmware(multicast: bool, most_on_air_s: int) -> None:
    stranger = "0080e1999999"

    async def scene(emulator: PrimeEmulator, driver: Prime, modem: Attached) -> None:
        targets = [*list(population(NODES))[:7], stranger]
        upgrade = Upgrade(firmware(), targets, Options(multicast, page=PAGE_192))
        await modem.tell(lambda now: driver.upgrade(upgrade, now))
        await ended(upgrade)
        assert upgrade.state == "done" and upgrade.frame == upgrade.frames == 21
        assert upgrade.progress() == {"confirmed": 7, "refused": 1}
        told = [(target.version, target.pages) for target in upgrade.targets.values()]
        assert told == [("AMI PRIME-SN 1.4.0", 54)] * 7 + [("", 0)]
        assert modem.statistics()["malformed"] == modem.statistics()["unasked"] == 0

    emulator = play(scene, Channel(seed=8, loss=0.1))
    assert versions(emulator) == [b"1.4.0"] * 7 + [b"1.3.0"] * 3
    assert most_on_air_s / 4 < emulator.air.busy_ms / 1000 < most_on_air_s


def test_meters_are_read_while_modems_are_upgraded() -> None:
    async def scene(emulator: PrimeEmulator, driver: Prime, modem: Attached) -> None:
        upgrade = Upgrade(firmware(), list(population(NODES)), Options(restart_delay=600))
        await modem.tell(lambda now: driver.upgrade(upgrade, now))
        read = 0
        while not upgrade.progress().get("countdown"):
            await modem.send("0080e1000001", b"x", 16, 1)
            await until(modem, Rx)
            read += 1
        assert read > 10
        await ended(upgrade)
        assert upgrade.progress() == {"confirmed": NODES}

    play(scene)


def test_firmware_for_another_model_touches_nothing() -> None:
    async def scene(emulator: PrimeEmulator, driver: Prime, modem: Attached) -> None:
        upgrade = Upgrade(firmware(b"PRIME-BN"), list(population(NODES)))
        await modem.tell(lambda now: driver.upgrade(upgrade, now))
        await ended(upgrade)
        assert upgrade.state == "done" and upgrade.progress() == {"idle": NODES}
        assert {target.text for target in upgrade.targets.values()} == {"error 17"}

    assert versions(play(scene)) == [b"1.3.0"] * NODES


def test_an_upgrade_is_aborted_by_one_and_by_all() -> None:
    async def scene(emulator: PrimeEmulator, driver: Prime, modem: Attached) -> None:
        targets = list(population(NODES))
        upgrade = Upgrade(firmware(), targets)
        await modem.tell(lambda now: driver.upgrade(upgrade, now))
        await asyncio.sleep(2)
        assert upgrade.state == "running"
        await modem.tell(lambda now: upgrade.abort(targets[3]))
        await asyncio.sleep(0.5)
        assert upgrade.targets[targets[3]].state == "given up" and upgrade.state == "running"
        await modem.tell(lambda now: upgrade.abort())
        await asyncio.sleep(1)
        assert upgrade.state == "aborted" and upgrade.progress() == {"given up": NODES}

    assert versions(play(scene)) == [b"1.3.0"] * NODES


def test_a_base_node_that_restarts_ends_it() -> None:
    async def scene(emulator: PrimeEmulator, driver: Prime, modem: Attached) -> None:
        upgrade = Upgrade(firmware(), list(population(NODES)))
        await modem.tell(lambda now: driver.upgrade(upgrade, now))
        await asyncio.sleep(1)
        emulator.reboot()
        await until(modem, ModemReset)
        assert (upgrade.state, upgrade.text) == ("failed", "the base node restarted")
        await asyncio.sleep(3600)

    assert versions(play(scene)) == [b"1.3.0"] * NODES
