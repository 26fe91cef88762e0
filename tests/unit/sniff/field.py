"""A field in small: a gateway that configures meters over an emulated modem, and ami-sniff in the
middle of the line.

`python -m tests.unit.sniff.field prime-usi trace.jsonl 2` makes a trace; so were the recordings in
tests/data/recordings made, and then `ami-replay --update`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

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
from hal.sim.channel import Channel
from hal.sim.storage import MemoryStorage
from tools.emulator import (
    AmberEmulator,
    DlmsOTcpEmulator,
    ImstEmulator,
    MamEmulator,
    PrimeEmulator,
)
from tools.emulator.line import TcpLine
from tools.meter.device import CALENDAR, build_meter, derive_test_keys
from tools.meter.server import MeterServer
from tools.replay.player import make_driver
from tools.sniff.middle import Middle

SPEED = 20.0
SECONDS = 30
TITLE = b"AMI\x00\x00\x00\x00\x01"
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
Emulators = (
    type[PrimeEmulator]
    | type[MamEmulator]
    | type[ImstEmulator]
    | type[AmberEmulator]
    | type[DlmsOTcpEmulator]
)
# driver: emulator, kind of path, addresses, and the channel's rate and overhead
FIELDS: dict[str, tuple[Emulators, str, list[str], tuple[int, int]]] = {
    "prime-usi": (PrimeEmulator, "plc", ["0080e1000001", "0080e1000002"], (21400, 30)),
    "dlms-o-tcp": (DlmsOTcpEmulator, "plc", ["0080e1000001", "0080e1000002"], (21400, 30)),
    "meters-and-more": (MamEmulator, "plc", ["02000000000a", "02000000000b"], (4800, 24)),
    "imst": (ImstEmulator, "rf", ["2d2c576866323002"], (4800, 20)),
    "amber": (AmberEmulator, "rf", ["2d2c576866323002"], (16384, 20)),
}


class Delayed(MeterServer):
    delay_ms = 0


def inventory(addresses: list[str], kind: str) -> tuple[str, str]:
    """meters.jsonl and keys.jsonl."""
    meters, keys = [], []
    for number, address in enumerate(addresses):
        serial = "AMI%010d" % (number + 1)
        secret = derive_test_keys(1, serial)
        meters.append(json.dumps({"serial": serial, "paths": [[kind, address]]}))
        keys.append(json.dumps({"serial": serial, "ek": secret.ek.hex(), "ak": secret.ak.hex()}))
    return "\n".join(meters) + "\n", "\n".join(keys) + "\n"


def trace(name: str, path: Path, meters: int = 2) -> tuple[Mapping[str, str], list[str]]:
    """Record how the gateway configures `meters` of a field. ({serial: outcome}, what the driver
    was told, as ami-replay should find out)."""
    return asyncio.run(_trace(name, path, meters))


async def _trace(name: str, path: Path, count: int) -> tuple[dict[str, str], list[str]]:
    emulated, kind, addresses, (rate, overhead) = FIELDS[name]
    addresses = addresses[:count]
    servers = {}
    for number, address in enumerate(addresses):
        serial = "AMI%010d" % (number + 1)
        servers[address] = Delayed(build_meter(serial, keys=derive_test_keys(1, serial)))
    modem = emulated(servers, Channel(3, 0.0, rate, overhead), speed=SPEED)
    port = await modem.start()
    offered = TcpLine()
    clock = SystemClock()
    storage = MemoryStorage()
    meters, keys = inventory(addresses, kind)
    storage.replace(METERS, meters.encode())
    storage.replace(KEYS, keys.encode())
    told: list[str] = []
    outcomes: dict[str, str] = {}
    with path.open("w") as file:
        middle = Middle("tcp://127.0.0.1:%d" % port, offered, file)

        async def watch() -> None:
            async for _ in middle.run(SECONDS):
                pass

        watching = asyncio.create_task(watch())
        for _ in range(500):
            if offered.port:
                break
            await asyncio.sleep(0.01)
        driver = make_driver({"driver": name})
        send = driver.send

        def noted(address, data, source_sap, destination_sap, now_ms, route=None):  # type: ignore[no-untyped-def]
            handle = send(address, data, source_sap, destination_sap, now_ms, route)
            told.append("%s %d %d %s" % (address, source_sap, destination_sap, bytes(data).hex()))
            return handle

        driver.send = noted  # type: ignore[method-assign]
        url = "tcp://127.0.0.1:%d" % offered.port
        attached = Attached(driver, lambda: open_port(url, clock), clock)
        network = Network(clock)
        network.add(attached, 2)
        reading = asyncio.create_task(network.run())
        reach = Reach(
            network=network,
            inventory=Inventory(storage),
            counters=Counters(storage, bytes),
            clock=clock,
            crypto=SystemCrypto(),
            system_title=TITLE,
            patience={kind: (2000, 4)},
        )
        attempts = Attempts(reach)
        try:
            known = Inventory(storage)
            everybody = [known.meter(serial) for serial in known.serials()]
            for _ in range(1000):
                if network.reachable([meter for meter in everybody if meter]) == len(everybody):
                    break
                await asyncio.sleep(0.02)
            for serial in known.serials():
                result, _ = await attempts.run(serial, CONFIGURE, PACKAGE)
                outcomes[serial] = result.reason
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await attached.close()
            await asyncio.sleep(0.05)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await modem.stop()
    return outcomes, told


if __name__ == "__main__":
    print(trace(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))[0])
