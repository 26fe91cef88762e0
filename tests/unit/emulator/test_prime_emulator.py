"""The PRIME driver and the emulated base node over a real TCP line."""

from __future__ import annotations

import asyncio

import pytest

from hal.modem import usi
from hal.modem.attached import Attached
from hal.modem.prime import api as prime
from hal.modem.prime.prime import Prime
from hal.ports import Joined, Left, ModemReset, NoRoute, PortError
from hal.sim.channel import Bursts, Channel
from tests.unit.emulator.harness import EchoMeter, Traffic, attached
from tools.emulator import PrimeEmulator
from tools.simulation import run
from tools.simulation.clock import SimulatedClock


def population(size: int) -> dict[str, EchoMeter]:
    return {"0080e1%06x" % index: EchoMeter("m%d" % index) for index in range(1, size + 1)}


async def joins(modem: Attached, count: int) -> set[str]:
    found: set[str] = set()
    while len(found) < count:
        event = await modem.event()
        if isinstance(event, Joined):
            found.add(event.address)
    return found


async def until(modem: Attached, kind: type) -> object:
    while True:
        event = await modem.event()
        if isinstance(event, kind):
            return event


def test_every_meter_answers_over_a_clean_channel() -> None:
    async def play() -> None:
        meters = population(70)
        emulator = PrimeEmulator(meters, speed=200)
        modem = attached(Prime(), await emulator.start())
        assert await joins(modem, 70) == set(meters)
        traffic = Traffic(modem, meters)
        apdu = b"\x7e\x7d" * 200
        await traffic.run(apdu)
        assert traffic.statuses == [0] * 70
        for address, meter in meters.items():
            assert traffic.echoes[address] == meter.echo(16, 1, apdu)
            assert meter.handled == [apdu]
        assert modem.statistics()["malformed"] == modem.statistics()["bad-crc"] == 0
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_link_layer_repeats_over_a_lossy_channel_and_the_meter_sees_one() -> None:
    async def play() -> None:
        meters = population(40)
        channel = Channel(seed=4, loss=0.2)
        emulator = PrimeEmulator(meters, channel, speed=300)
        modem = attached(Prime(), await emulator.start())
        await joins(modem, 40)
        traffic = Traffic(modem, meters)
        await traffic.run(b"x" * 60)
        assert traffic.statuses.count(0) >= 38
        assert len(traffic.echoes) >= 38
        assert all(len(meter.handled) <= 1 for meter in meters.values())
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_only_the_hop_that_failed_is_repeated() -> None:
    async def play() -> tuple[int, int, int]:
        meters = population(30)
        channel = Channel(seed=4, loss=0.3, hops=(0, 0, 100))
        clock = SimulatedClock()
        emulator = PrimeEmulator(meters, channel, arq_tries=50, clock=clock, ack_bytes=None)
        for node in emulator.nodes:
            assert await emulator.arq(node, 100) == (True, True)
        return emulator.air.busy_ms, channel.hop_ms(100), clock.ticks_ms()

    busy, hop, took = run(play())
    frames, rest = divmod(busy, hop)
    assert rest == 0
    assert 90 / 0.7 * 0.75 < frames < 90 / 0.7 * 1.25  # all three anew: 90 / 0.7 ** 3
    assert took == busy + (frames - 90) * 1000


def test_a_node_out_of_reach_fails_with_timeout() -> None:
    async def play() -> None:
        meters = population(2)
        channel = Channel(bursts=Bursts(good_loss=1.0, bad_loss=1.0))
        emulator = PrimeEmulator(meters, channel, arq_tries=3, speed=300)
        modem = attached(Prime(), await emulator.start())
        await joins(modem, 2)
        traffic = Traffic(modem, meters)
        await traffic.run(b"x")
        assert traffic.statuses == [prime.STATUS_TIMEOUT] * 2 and not traffic.echoes
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_nodes_leave_join_and_the_base_node_restarts() -> None:
    async def play() -> None:
        meters = population(3)
        emulator = PrimeEmulator(meters, speed=200)
        modem = attached(Prime(), await emulator.start())
        await joins(modem, 3)
        gone = "0080e1000002"
        emulator.leave(gone)
        left = await until(modem, Left)
        assert isinstance(left, Left) and left.address == gone
        with pytest.raises(NoRoute):
            await modem.send(gone, b"x", 16, 1)
        emulator.join(gone)
        assert await joins(modem, 1) == {gone}
        emulator.reboot()
        await until(modem, ModemReset)
        assert await joins(modem, 3) == set(meters)
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_the_gateway_outlives_line_and_emulator() -> None:
    async def play() -> None:
        meters = population(3)
        emulator = PrimeEmulator(meters, speed=200)
        port = await emulator.start()
        modem = attached(Prime(), port)
        await joins(modem, 3)
        emulator.drop_line()
        await until(modem, ModemReset)
        await joins(modem, 3)
        await emulator.stop()
        await until(modem, ModemReset)
        with pytest.raises(OSError, match="not open"):
            await modem.send("0080e1000001", b"x", 16, 1)
        again = PrimeEmulator(meters, speed=200)
        await again.start(port)
        await joins(modem, 3)
        traffic = Traffic(modem, meters)
        await traffic.run(b"after")
        assert len(traffic.echoes) == 3
        await modem.close()
        await again.stop()

    asyncio.run(play())


def test_a_hanging_base_node_is_reset_then_reopened_and_found_again() -> None:
    async def play() -> None:
        meters = population(3)
        emulator = PrimeEmulator(meters, speed=200)
        modem = attached(Prime(silence_ms=200, answer_ms=50), await emulator.start())
        await joins(modem, 3)
        emulator.hanging = True
        await until(modem, ModemReset)
        assert modem.statistics()["resets"] >= 1
        emulator.hanging = False
        await joins(modem, 3)
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_parameters_and_a_kick_over_the_line() -> None:
    async def play() -> None:
        meters = population(3)
        emulator = PrimeEmulator(meters, speed=500)
        modem = attached(Prime(), await emulator.start())
        await joins(modem, 3)
        assert await modem.get("0024") == b"\x03"
        await modem.set("0010", b"\x20")
        assert await modem.get("0010") == b"\x20"
        for parameter, text in (("0024", "read only"), ("9999", "no such attribute")):
            with pytest.raises(PortError, match=text):
                await modem.set(parameter, b"\x00")
        with pytest.raises(PortError, match="no such attribute"):
            await modem.get("0053")
        kicked = "0080e1000002"
        await modem.kick(kicked)
        left = await until(modem, Left)
        assert isinstance(left, Left) and left.address == kicked
        assert await joins(modem, 1) == {kicked}
        await modem.set("006d", bytes.fromhex(kicked))  # as seen in newer firmware
        await until(modem, Left)
        assert await joins(modem, 1) == {kicked}
        traffic = Traffic(modem, meters)
        await traffic.run(b"after")
        assert len(traffic.echoes) == 3
        await modem.reset()
        await until(modem, ModemReset)
        assert await joins(modem, 3) == set(meters)
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_the_emulator_survives_noise() -> None:
    async def play() -> None:
        emulator = PrimeEmulator(population(3), speed=200)
        port = await emulator.start()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        bad = b"".join(
            usi.frame(usi.PRIME_API, bytes.fromhex(text))
            for text in ("37", "3701010005", "37010100050009aa00", "2d", "00")
        )
        writer.write(bytes(range(256)) * 20 + b"\x7e" + bad + usi.frame(0x06, b"\x0e"))
        await writer.drain()
        writer.close()
        modem = attached(Prime(), port)
        assert len(await joins(modem, 3)) == 3
        assert emulator.requests == 0
        await modem.close()
        await emulator.stop()

    asyncio.run(play())
