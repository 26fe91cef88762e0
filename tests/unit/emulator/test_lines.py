"""An emulator at the end of any line, in any time: pseudo-terminal, memory, simulated time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import serial

from hal.cpython.clock import SystemClock
from hal.cpython.serial import SerialPort
from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from hal.modem.wmbus.imst import Imst
from hal.ports import Joined, ModemReset, Rx, TxDone
from hal.sim.channel import Channel
from tests.unit.emulator.harness import EchoMeter, Traffic
from tools.emulator import ImstEmulator, PrimeEmulator
from tools.emulator.line import MemoryLine, PtyLine
from tools.simulation import SimulatedClock, run

ADDRESS = "0080e1000001"


def population(size: int) -> dict[str, EchoMeter]:
    return {"0080e1%06x" % index: EchoMeter("m%d" % index) for index in range(1, size + 1)}


async def joins(modem: Attached, count: int) -> None:
    while count:
        count -= isinstance(await modem.event(), Joined)


def test_prime_over_a_pseudo_terminal(tmp_path: Path) -> None:
    async def play() -> None:
        meters = population(20)
        line = PtyLine(tmp_path / "plc", baud=115200)
        emulator = PrimeEmulator(meters, speed=200)
        await emulator.serve(line)
        device = str(tmp_path / "plc")
        modem = Attached(Prime(), lambda: SerialPort.open(device, 115200), SystemClock())
        await joins(modem, 20)
        traffic = Traffic(modem, meters)
        await traffic.run(b"\x7e\x11\x13\x03" * 100)
        assert traffic.statuses == [0] * 20 and len(traffic.echoes) == 20
        emulator.drop_line()  # the adapter is pulled, and comes back as another device
        while not isinstance(await modem.event(), ModemReset):
            pass
        await joins(modem, 20)
        await modem.close()
        await emulator.stop()
        assert not (tmp_path / "plc").exists() and not (tmp_path / "plc").is_symlink()

    asyncio.run(play())


def test_a_pseudo_terminal_hears_only_its_own_speed_and_is_opened_again() -> None:
    async def play() -> None:
        came: list[bytes] = []
        opened: list[int] = []
        line = PtyLine(baud=57600)
        await line.start(came.append, lambda: opened.append(1))
        line.send(b"nobody is there")
        for baud, heard in ((9600, b""), (57600, b"ping"), (57600, b"ping")):
            came.clear()
            client = serial.Serial(line.path, baud, timeout=0)
            client.write(b"ping")
            for _ in range(40):
                await asyncio.sleep(0.01)
                if came:
                    line.send(b"pong")
                    await asyncio.sleep(0.05)
                    assert client.read(100) == b"pong"
                    break
            assert b"".join(came) == heard
            client.close()
            await asyncio.sleep(0.2)
        assert len(opened) == 3
        await line.stop()

    asyncio.run(play())


async def answered_ms(modem: Attached, clock: SimulatedClock, size: int) -> int:
    """How long an exchange takes in simulated time."""
    began = clock.ticks_ms()
    await modem.send(ADDRESS, bytes(size), 16, 1)
    while not isinstance(event := await modem.event(), Rx):
        assert isinstance(event, TxDone) and event.status == 0
    return clock.ticks_ms() - began


def test_prime_in_simulated_time_takes_what_its_figures_say() -> None:
    async def play() -> None:
        clock = SimulatedClock()
        line = MemoryLine(115200)
        channel = Channel(bit_rate=8000, overhead=20, latency_ms=5, hops=(0, 100))
        emulator = PrimeEmulator(population(1), channel, meter_ms=50, clock=clock)
        await emulator.serve(line)
        modem = Attached(Prime(), line.open, clock)
        await joins(modem, 1)
        # Two hops each: 100 bytes there and 104 back, and two acknowledgements of 8.
        on_air = 2 * (125 + 33 + 129 + 33) - 2 * 5 + 50
        on_line = 2 * 1000 * 115 * 10 // 115200
        assert on_air + on_line <= await answered_ms(modem, clock, 100) <= on_air + on_line + 20
        await modem.close()
        await emulator.stop()

    run(play())


def test_the_memory_line_is_as_a_wire() -> None:
    async def play() -> None:
        came: list[bytes] = []
        opened: list[int] = []
        line = MemoryLine(0)
        with pytest.raises(OSError, match="nobody serves"):
            await line.open()
        await line.start(came.append, lambda: opened.append(1))
        line.send(b"nobody is there")
        first = await line.open()
        await first.write(b"one")
        await asyncio.sleep(1)
        second = await line.open()  # who connects last has the line
        assert await first.read() == b""
        with pytest.raises(OSError, match="gone"):
            await first.write(b"x")
        line.send(b"two")
        assert await second.read() == b"two"
        line.drop()
        assert await second.read() == b""
        third = await line.open()
        line.damage.lost = 1.0
        await third.write(b"abc")
        await asyncio.sleep(1)
        assert came[0] == b"one" and len(came[1]) == 2 and len(opened) == 3
        await third.close()
        await asyncio.sleep(1)
        line.send(b"to nobody")
        await line.stop()

    run(play())


def test_a_broadcast_costs_its_airtime_once_for_each_level() -> None:
    async def play() -> None:
        clock = SimulatedClock()
        meters = population(300)
        channel = Channel(seed=2, loss=0.1, bit_rate=8000, overhead=20, hops=(50, 30, 20))
        emulator = PrimeEmulator(meters, channel, clock=clock)
        line = MemoryLine(115200)
        await emulator.serve(line)
        modem = Attached(Prime(), line.open, clock)
        await joins(modem, 300)
        before = emulator.air.busy_ms
        await modem.send("broadcast", bytes(80), 16, 1)
        done = await modem.event()
        assert isinstance(done, TxDone) and done.status == 0
        assert emulator.air.busy_ms - before == 3 * 105
        heard = [address for address, meter in meters.items() if meter.handled]
        by_hops = [[a for a in meters if channel.hops(a) == hops] for hops in (1, 2, 3)]
        for hops, nodes in enumerate(by_hops, 1):
            share = len([a for a in nodes if a in heard]) / len(nodes)
            assert abs(share - 0.9**hops) < 0.1
        await modem.close()
        await emulator.stop()

    run(play())


def test_imst_in_simulated_time() -> None:
    async def play() -> None:
        clock = SimulatedClock()
        meters = {"a93157%06x0102" % index: EchoMeter("m%d" % index) for index in range(1, 11)}
        emulator = ImstEmulator(meters, clock=clock)
        line = MemoryLine(57600)
        await emulator.serve(line)
        modem = Attached(Imst(duty_permille=1000), line.open, clock)
        for address, meter in meters.items():
            await _sent(modem, address)
            while not isinstance(event := await modem.event(), Rx):
                pass
            assert event.data == meter.echo(16, 1, b"hello")
        await modem.close()
        await emulator.stop()

    run(play())


async def _sent(modem: Attached, address: str) -> None:
    while True:
        try:
            await modem.send(address, b"hello", 16, 1)
            return
        except OSError:
            await asyncio.sleep(1)


def test_a_line_behind_a_link_is_new_for_who_opens_it_next(tmp_path: Path) -> None:
    async def play() -> None:
        came: list[bytes] = []
        opened: list[int] = []
        line = PtyLine(tmp_path / "line")
        await line.start(came.append, lambda: opened.append(1))
        for turn in range(3):
            client = serial.Serial(str(tmp_path / "line"), 115200, timeout=0)
            client.write(b"ping %d" % turn)
            while len(came) <= turn:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            client.close()
            await asyncio.sleep(0.2)
        assert came == [b"ping 0", b"ping 1", b"ping 2"] and len(opened) == 3
        await line.stop()

    asyncio.run(play())
