"""The Amber driver and the emulated module over a real TCP line."""

from __future__ import annotations

import asyncio

from hal.modem.wmbus.amber import Amber
from hal.ports import Busy, ModemReset, Rx, TxDone
from hal.sim.channel import Channel
from tests.unit.emulator.harness import EchoMeter, Traffic, attached
from tools.emulator import AmberEmulator


def population(size: int) -> dict[str, EchoMeter]:
    return {"a93157%06x0102" % index: EchoMeter("m%d" % index) for index in range(1, size + 1)}


def fast() -> Amber:
    return Amber(duty_permille=1000)


def test_every_meter_answers_with_its_strength() -> None:
    async def story() -> tuple[Traffic, list[str]]:
        meters = population(20)
        emulator = AmberEmulator(meters, Channel(bit_rate=4800), speed=300)
        modem = attached(fast(), await emulator.start())
        assert await modem.get("firmware") == bytes.fromhex("020704")
        traffic = Traffic(modem, meters)
        await traffic.run(bytes(range(200)))
        nodes = modem.nodes()
        await modem.close()
        await emulator.stop()
        return traffic, nodes

    traffic, nodes = asyncio.run(story())
    assert traffic.statuses == [0] * 20 and sorted(nodes) == sorted(traffic.meters)
    for address, meter in traffic.meters.items():
        assert traffic.echoes[address] == meter.echo(16, 1, bytes(range(200)))


def test_a_setting_takes_effect_with_the_reset() -> None:
    async def story() -> None:
        meters = population(1)
        (address,) = meters
        emulator = AmberEmulator(meters, speed=300)
        modem = attached(fast(), await emulator.start())
        strengths = []
        for value in (b"\x00", b"\x01"):
            await modem.set("45", value)
            await modem.reset()
            while not isinstance(await modem.event(), ModemReset):
                pass
            await asyncio.sleep(1.2)  # until the driver has asked what is true now
            while True:
                try:
                    await modem.send(address, b"x", 16, 1)
                    break
                except Busy:
                    await asyncio.sleep(0.01)
            assert isinstance(await modem.event(), TxDone)
            heard = await modem.event()
            assert isinstance(heard, Rx) and heard.data == meters[address].echo(16, 1, b"x")
            strengths.append(heard.quality.rssi)
        assert strengths == [None, -80]
        await modem.close()
        await emulator.stop()

    asyncio.run(story())
