"""A whole street: the gateway's modems, links, client and configure activity on it, with loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from gateway.activities import configure
from gateway.dlms.client import Client
from gateway.dlms.errors import DlmsError
from gateway.jobs.result import KO, OK
from gateway.meters.inventory import Meter
from gateway.meters.links import Network
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.ports import open_port
from hal.modem.attached import Attached
from hal.modem.imst import Imst
from hal.modem.ip import Ip
from hal.modem.prime import Prime
from tests.unit.meter.links import management
from tools.meter import device
from tools.meter.population import (
    DEAD,
    OTHER_FIRMWARE,
    REFUSES_WRITE,
    Member,
    Mix,
    build_population,
)
from tools.meter.street import Street, Weather
from tools.package.compile import compile_file

EXAMPLES = Path(__file__).parents[3] / "tools" / "package" / "examples"
SEED = 3


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


@pytest.mark.parametrize("package", ["measurement-interval.yaml", "tariff-calendar.yaml"])
def test_every_meter_ends_as_its_role_demands(package: str) -> None:
    refused = (7, device.LOAD_PROFILE, 4)
    if package == "tariff-calendar.yaml":
        refused = (11, device.SPECIAL_DAYS, 2)
    members = build_population(8, SEED, Mix(ip=1, refused=refused))

    async def story() -> list[tuple[str, str]]:
        clock = SystemClock()
        street = Street(members, Weather(SEED, loss=0.05, speed=200))
        await street.start()
        network = Network(clock)
        for driver, port in ((Prime(), street.plc_port), (Imst(), street.rf_port)):
            url = "tcp://127.0.0.1:%d" % port
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
            assert (outcome, reason) == (KO, "write-refused")
            assert writes["set", *refused] == 0
        elif member.role == OTHER_FIRMWARE:
            assert (outcome, reason) == (KO, "wrong-firmware")
            assert not writes
        else:
            assert (outcome, reason) == (OK, "applied"), member.serial
            assert set(writes.values()) == {1}
