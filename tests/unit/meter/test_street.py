"""A whole street: the gateway's modems, links, client and configure activity on it, with loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.activities import configure
from gateway.contract.result import KO, OK
from gateway.dlms.client.client import Client
from gateway.dlms.errors import DlmsError
from gateway.meters.inventory import Meter
from gateway.meters.network import Network
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.ports import open_port
from hal.modem.attached import Attached
from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.ip import Ip
from hal.modem.mam.mam import MetersAndMore
from hal.modem.prime.prime import Prime
from hal.modem.wmbus.amber import Amber
from hal.modem.wmbus.imst import Imst
from tests.unit.meter.links import management
from tools.emulator.line import TcpLine
from tools.meter import device
from tools.meter.population import (
    DEAD,
    OTHER_FIRMWARE,
    PLC,
    REFUSES_WRITE,
    RF,
    Member,
    Mix,
    build_population,
)
from tools.meter.scenario import MAM_FIGURES, PLC_FIGURES, RF_FIGURES, Scenario
from tools.meter.street import PLC_MODEMS, RF_MODEMS, Street
from tools.package.compile import compile_file

if TYPE_CHECKING:
    from hal.modem.attached import Driver

EXAMPLES = Path(__file__).parents[3] / "tools" / "package" / "examples"
SEED = 3


PLC_DRIVERS: dict[str, Callable[[], Driver]] = {
    "prime": Prime,
    "dlms-o-tcp": lambda: DlmsOTcp(hold_ms=500),
    "meters-and-more": lambda: MetersAndMore(look_ms=20),
}


async def ordered(network: Network, member: Member, package: str) -> tuple[str, str]:
    """(outcome, reason) of one attempt over the meter's first path."""
    meter = Meter(member.serial, member.paths)
    counter = count(1 + 1000 * sum(member.server.meter.log.counts.values()))
    link = await network.open(meter, member.paths[0])
    client = Client(
        link,
        SystemClock(),
        SystemCrypto(),
        management(SEED, member.serial),
        lambda: next(counter),
        timeout_ms=1000,
        tries=4,
    )
    try:
        await client.associate()
        result = await configure.run(client, member.serial, compile_file(EXAMPLES / package))
        await client.release()
    except DlmsError as error:
        return "no answer", type(error).__name__
    finally:
        await link.close()
    return result.outcome, result.reason


@pytest.mark.parametrize("modems", ["prime+imst", "dlms-o-tcp+imst", "meters-and-more+amber"])
@pytest.mark.parametrize("package", ["measurement-interval.yaml", "tariff-calendar.yaml"])
def test_every_meter_ends_as_its_role_demands(package: str, modems: str) -> None:
    refused = (7, device.LOAD_PROFILE, 4)
    if package == "tariff-calendar.yaml":
        refused = (11, device.SPECIAL_DAYS, 2)
    mix = Mix(ip=1, refused=refused)
    members = build_population(8, SEED, mix)
    plc, rf = modems.split("+")
    figures = MAM_FIGURES if plc == "meters-and-more" else PLC_FIGURES
    scene = Scenario(8, mix, plc=replace(figures, loss=0.05), rf=replace(RF_FIGURES, loss=0.05))

    async def story() -> list[tuple[str, str]]:
        clock = SystemClock()
        street = Street(
            members, scene, SEED, 200, plc_modem=PLC_MODEMS[plc], rf_modem=RF_MODEMS[rf]
        )
        lines = {PLC: TcpLine(), RF: TcpLine()}
        await street.start_tcp()
        await street.start(lines)
        network = Network(clock)
        drivers: list[tuple[str, Driver]] = [
            (PLC, PLC_DRIVERS[plc]()),
            (RF, Imst() if rf == "imst" else Amber(duty_permille=1000)),
        ]
        for kind, driver in drivers:
            url = "tcp://127.0.0.1:%d" % lines[kind].port
            network.add(Attached(driver, partial(open_port, url, clock), clock), 8)
        network.add(Ip(lambda host, port: open_port("tcp://%s:%d" % (host, port), clock), clock), 8)
        reading = asyncio.create_task(network.run())
        meters = [Meter(m.serial, m.paths) for m in members]
        while network.reachable(meters) < len(members):  # noqa: ASYNC110 (they register one by one)
            await asyncio.sleep(0.02)
        results = await asyncio.gather(*(ordered(network, m, package) for m in members))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await street.stop()
        return results

    for member, (outcome, reason) in zip(members, asyncio.run(story()), strict=True):
        writes = Counter(member.server.meter.log.counts)
        if member.role == DEAD:
            assert outcome == "no answer"
            assert not writes
        elif member.role == REFUSES_WRITE:
            assert (outcome, reason) == (KO, "access-denied")
            assert writes["set", *refused] == 0
        elif member.role == OTHER_FIRMWARE:
            assert (outcome, reason) == (KO, "wrong-firmware")
            assert not writes
        else:
            assert (outcome, reason) == (OK, "applied"), member.serial
            assert set(writes.values()) == {1}
