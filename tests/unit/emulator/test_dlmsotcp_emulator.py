"""The DLMSoTCP driver and the emulated base node, over TCP and in simulated time."""

from __future__ import annotations

import asyncio

from hal.modem.attached import Attached
from hal.modem.dlmsotcp import DlmsOTcp
from hal.ports import BROADCAST, Left, ModemReset, Rx, TxDone
from hal.sim.channel import Channel
from tests.unit.emulator.harness import Traffic, attached
from tests.unit.emulator.test_prime_emulator import joins, population, until
from tools.emulator import DlmsOTcpEmulator
from tools.emulator.line import MemoryLine
from tools.simulation import SimulatedClock, run


def test_every_meter_answers_over_tcp() -> None:
    async def play() -> None:
        meters = population(40)
        emulator = DlmsOTcpEmulator(meters, speed=300)
        modem = attached(DlmsOTcp(), await emulator.start())
        assert await joins(modem, 40) == set(meters)
        traffic = Traffic(modem, meters)
        await traffic.run(b"\x00\x01" * 400)
        assert traffic.statuses == [0] * 40 and emulator.dropped == 0
        for address, meter in meters.items():
            assert traffic.echoes[address] == meter.echo(16, 1, b"\x00\x01" * 400)
        emulator.reboot()
        await until(modem, ModemReset)
        assert await joins(modem, 40) == set(meters)
        await modem.close()
        await emulator.stop()

    asyncio.run(play())


def test_nodes_leave_are_kicked_and_come_back() -> None:
    async def play() -> None:
        clock = SimulatedClock()
        meters = population(3)
        emulator = DlmsOTcpEmulator(meters, clock=clock)
        line = MemoryLine(0)
        await emulator.serve(line)
        emulator.leave("0080e1000001")  # before anybody listens
        emulator.join("0080e1000001")
        modem = Attached(DlmsOTcp(), line.open, clock)
        await joins(modem, 3)
        emulator.leave("0080e1000002")
        left = await until(modem, Left)
        assert isinstance(left, Left) and left.address == "0080e1000002"
        emulator.join("0080e1000002")
        assert await joins(modem, 1) == {"0080e1000002"}
        await modem.kick("0080e1000003")
        await until(modem, Left)
        assert await joins(modem, 1) == {"0080e1000003"}
        await modem.send("0080e1000003", b"hello", 2, 1)
        rx = await until(modem, Rx)
        assert isinstance(rx, Rx) and rx.data == meters["0080e1000003"].echo(2, 1, b"hello")
        await modem.reset()
        await until(modem, ModemReset)
        assert await joins(modem, 3) == set(meters)
        await modem.close()
        await emulator.stop()

    run(play())


def test_lost_frames_free_their_place_in_time() -> None:
    async def play() -> None:
        clock = SimulatedClock()
        meters = population(20)
        emulator = DlmsOTcpEmulator(meters, Channel(seed=6, loss=0.45), arq_tries=2, clock=clock)
        line = MemoryLine(0)
        await emulator.serve(line)
        modem = Attached(DlmsOTcp(), line.open, clock)
        await joins(modem, 20)
        traffic = Traffic(modem, meters)
        await traffic.run(b"x" * 60)
        assert traffic.statuses == [0] * 20 and emulator.dropped == 0
        assert 5 < len(traffic.echoes) < 20
        await modem.close()
        await emulator.stop()

    run(play())


def test_a_broadcast_and_a_base_node_that_hangs() -> None:
    async def play() -> None:
        clock = SimulatedClock()
        meters = population(5)
        emulator = DlmsOTcpEmulator(meters, clock=clock)
        line = MemoryLine(0)
        await emulator.serve(line)
        modem = Attached(DlmsOTcp(silence_ms=60000), line.open, clock)
        await joins(modem, 5)
        await modem.send(BROADCAST, b"all of you", 16, 1)
        done = await modem.event()
        assert isinstance(done, TxDone) and done.status == 0
        assert [meter.handled for meter in meters.values()] == [[b"all of you"]] * 5
        emulator.broadcasts = False  # as Microchip's host: to a node 7F, which there is not
        await modem.send(BROADCAST, b"nobody", 16, 1)
        await modem.event()
        assert [meter.handled for meter in meters.values()] == [[b"all of you"]] * 5
        await modem.send("0080e1000001", b"first", 16, 1)
        await modem.send(BROADCAST, b"then all", 16, 1)  # it has to wait
        while not all(meter.handled[-1] == b"then all" for meter in meters.values()):
            await modem.event()
        emulator.hanging = True
        await until(modem, ModemReset)
        emulator.hanging = False
        await emulator.stop()
        await emulator.serve(line)
        assert await joins(modem, 5) == set(meters)
        await modem.close()
        await emulator.stop()

    run(play())


def test_the_emulator_survives_what_is_no_wrapper() -> None:
    async def play() -> None:
        emulator = DlmsOTcpEmulator(population(2), speed=200)
        port = await emulator.start()
        for noise in (b"GET / HTTP/1.1\r\n\r\n", bytes(300), bytes.fromhex("000100010000000404")):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(noise)
            await writer.drain()
            writer.close()
        modem = attached(DlmsOTcp(), port)
        assert len(await joins(modem, 2)) == 2 and emulator.requests == 0
        await modem.close()
        await emulator.stop()

    asyncio.run(play())
