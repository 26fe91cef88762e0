"""Attempts over the real modem drivers, TCP lines and emulators, many meters at once, with loss."""

from __future__ import annotations

import asyncio
import json

from gateway.activities.attempt import Attempts
from gateway.contract.kinds import CONFIGURE
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr, obis
from gateway.meters.counters import Counters
from gateway.meters.inventory import KEYS, METERS, Inventory
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.ports import open_port
from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from hal.modem.wmbus.imst import Imst
from hal.sim.channel import Channel
from hal.sim.storage import MemoryStorage
from tools.emulator import ImstEmulator, PrimeEmulator
from tools.meter.device import CALENDAR, build_meter, derive_test_keys
from tools.meter.server import MeterServer

SPEED = 40.0
PLC_METERS, RF_METERS, BOTH = 8, 3, 3
CAL = obis.parse(CALENDAR)
NAME = axdr.encode((axdr.OCTET_STRING, b"SUMMER"))
ACTIVE = Check(20, CAL, 2, NAME)
PACKAGE = Package(
    "calendar",
    "1",
    "",
    [("AMI-E450", [])],
    [Set(20, CAL, 6, NAME), Action(20, CAL, 1, axdr.encode((axdr.INTEGER, 0)), ACTIVE)],
    [ACTIVE],
)


class Delayed(MeterServer):
    delay_ms = 0


def test_a_population_on_plc_rf_and_both():
    asyncio.run(_population())


async def _population() -> None:
    clock = SystemClock()
    storage = MemoryStorage()
    servers: dict[str, MeterServer] = {}
    plc: dict[str, MeterServer] = {}
    rf: dict[str, MeterServer] = {}
    meters, keys = [], []
    for i in range(PLC_METERS + RF_METERS + BOTH):
        serial = "AMI%010d" % i
        secret = derive_test_keys(1, serial)
        server = servers[serial] = Delayed(build_meter(serial, keys=secret))
        paths = []
        if i < PLC_METERS or i >= PLC_METERS + RF_METERS:
            plc["0080e1%06x" % i] = server
            paths.append(["plc", "0080e1%06x" % i])
        if i >= PLC_METERS:
            rf["2c2d%08x3002" % i] = server
            paths.append(["rf", "2c2d%08x3002" % i])
        meters.append(json.dumps({"serial": serial, "paths": paths}))
        keys.append(json.dumps({"serial": serial, "ek": secret.ek.hex(), "ak": secret.ak.hex()}))
    storage.replace(METERS, "\n".join(meters).encode())
    storage.replace(KEYS, "\n".join(keys).encode())

    base = PrimeEmulator(plc, Channel(3, 0.1), speed=SPEED)
    module = ImstEmulator(rf, Channel(4, 0.05, 4800, 20), speed=SPEED)
    plc_url = "tcp://127.0.0.1:%d" % await base.start()
    rf_url = "tcp://127.0.0.1:%d" % await module.start()
    prime = Attached(Prime(), lambda: open_port(plc_url, clock), clock)
    imst = Attached(Imst(duty_permille=1000), lambda: open_port(rf_url, clock), clock)
    network = Network(clock)
    network.add(prime, 6)
    network.add(imst, 2)
    reading = asyncio.create_task(network.run())
    inventory = Inventory(storage)
    reach = Reach(
        network=network,
        inventory=inventory,
        counters=Counters(storage, bytes),
        clock=clock,
        crypto=SystemCrypto(),
        system_title=b"AMI\x00\x00\x00\x00\x01",
        patience={"plc": (400, 5), "rf": (400, 5)},
    )
    attempts = Attempts(reach)
    try:
        everybody = [inventory.meter(serial) for serial in inventory.serials()]
        for _ in range(500):
            if network.reachable([meter for meter in everybody if meter]) == len(everybody):
                break
            await asyncio.sleep(0.02)

        async def until_done(serial: str) -> list[str]:
            reasons: list[str] = []
            while len(reasons) < 6 and (
                not reasons or reasons[-1] not in ("applied", "already-as-wanted")
            ):
                result, _ = await attempts.run(serial, CONFIGURE, PACKAGE)
                reasons.append(result.reason)
            return reasons

        outcomes = await asyncio.gather(*[until_done(serial) for serial in servers])
        for serial, reasons in zip(servers, outcomes, strict=True):
            assert reasons[-1] in ("applied", "already-as-wanted"), (serial, reasons)
            log = servers[serial].meter.log
            assert log.count("action", 20, CALENDAR, 1) == 1, (serial, reasons)
            assert log.count("set", 20, CALENDAR, 6) == 1, (serial, reasons)
        for _, counts in network.statistics():
            assert counts["links"] == 0 and counts["alive"] == 1
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await prime.close()
        await imst.close()
        await base.stop()
        await module.stop()
