"""The IMST driver and the emulated module over a real TCP line."""

from __future__ import annotations

import asyncio

from hal.modem.attached import Attached
from hal.modem.wmbus.imst import Imst
from hal.ports import ModemReset, Rx, TxDone
from hal.sim.channel import Channel
from tests.unit.emulator.harness import EchoMeter, Traffic, attached
from tools.emulator import ImstEmulator


def population(size: int) -> dict[str, EchoMeter]:
    return {"a93157%06x0102" % index: EchoMeter("m%d" % index) for index in range(1, size + 1)}


def fast() -> Imst:
    return Imst(duty_permille=1000)


async def play(channel: Channel, size: int, apdu: bytes) -> tuple[Traffic, dict[str, EchoMeter]]:
    meters = population(size)
    emulator = ImstEmulator(meters, channel, speed=300)
    modem = attached(fast(), await emulator.start())
    traffic = Traffic(modem, meters)
    await line_open(modem)
    await traffic.run(apdu)
    assert sorted(modem.nodes()) == sorted(traffic.echoes)
    await modem.close()
    await emulator.stop()
    return traffic, meters


async def line_open(modem: Attached) -> None:
    """The line opens with the first call; a driver without registration says nothing then."""
    while True:
        try:
            await modem.send("0" * 16, b"", 0, 0)
            break
        except OSError:
            await asyncio.sleep(0.005)
    done = await modem.event()
    assert isinstance(done, TxDone)


def test_every_meter_answers_over_a_clean_channel() -> None:
    apdu = bytes(range(200))
    traffic, meters = asyncio.run(play(Channel(bit_rate=4800), 30, apdu))
    assert traffic.statuses == [0] * 30
    for address, meter in meters.items():
        assert traffic.echoes[address] == meter.echo(16, 1, apdu)


def test_radio_repeats_nothing() -> None:
    traffic, meters = asyncio.run(play(Channel(seed=2, loss=0.2, bit_rate=4800), 60, b"x" * 30))
    assert traffic.statuses == [0] * 60  # sent is all that the module knows
    heard = sum(len(meter.handled) for meter in meters.values())
    assert 38 <= heard <= 58
    assert len(traffic.echoes) < heard


def test_other_meters_are_overheard() -> None:
    async def overhear() -> None:
        emulator = ImstEmulator({}, speed=100)
        modem = attached(fast(), await emulator.start())
        await line_open(modem)
        emulator.overhear(bytes.fromhex("442d2c5768663230028d20cb1034"))
        emulator.overhear(bytes.fromhex("082d2c5768663230027d070000000110c401"))
        event = await modem.event()
        assert isinstance(event, Rx)
        assert (event.address, event.data) == ("2d2c576866323002", b"\xc4\x01")
        assert event.quality.rssi == -80
        assert modem.statistics()["other-telegram"] == 1
        await modem.close()
        await emulator.stop()

    asyncio.run(overhear())


def test_a_hanging_module_is_reopened_and_found_again() -> None:
    async def hang() -> None:
        emulator = ImstEmulator({}, speed=100)
        driver = Imst(duty_permille=1000, silence_ms=200, answer_ms=50)
        modem = attached(driver, await emulator.start())
        await line_open(modem)
        emulator.hanging = True
        while not isinstance(await modem.event(), ModemReset):
            pass
        assert modem.statistics()["resets"] >= 1
        emulator.hanging = False
        while not isinstance(await modem.event(), ModemReset):
            pass
        await modem.send("0" * 16, b"", 0, 0)
        assert isinstance(await modem.event(), TxDone)
        await modem.close()
        await emulator.stop()

    asyncio.run(hang())
