"""Whole configure attempts on this runtime: attempt, DLMS client, path, driver, serial line; behind
it an emulated modem and virtual meters.

Environment: MODEM_URL, the modem's line; MODEM_DATA, the folder with the inventory of its meters;
MODEM_DRIVER, "meters-and-more" or "amber".
"""

from __future__ import annotations

import os

from gateway.activities.attempt import Attempts
from gateway.contract.kinds import CONFIGURE
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr, obis
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from hal.modem.attached import Attached
from hal.modem.mam.frames import MTU
from hal.modem.mam.mam import MetersAndMore
from hal.modem.wmbus.amber import Amber
from hal.rt.group import Group
from tests.contract.here import FolderStorage, SystemClock, SystemCrypto, open_port
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.attached import Driver

CLOCK = SystemClock()
CALENDAR = obis.parse("0.0.13.0.0.255")
SPECIAL_DAYS = obis.parse("0.0.11.0.0.255")
NAME = axdr.encode((axdr.OCTET_STRING, b"SUMMER"))
ACTIVE = Check(20, CALENDAR, 2, NAME)
PATIENCE = {"plc": (3000, 6), "rf": (1000, 6)}


def day(number: int) -> axdr.Typed:
    date = bytes((0x07, 0xE9, 1 + number // 28, 1 + number % 28, 0xFF))
    fields = [(axdr.LONG_UNSIGNED, number), (axdr.OCTET_STRING, date), (axdr.UNSIGNED, 1)]
    return (axdr.STRUCTURE, fields)


DAYS = axdr.encode((axdr.ARRAY, [day(number) for number in range(60)]))
PACKAGE = Package(
    "calendar",
    "1",
    "",
    [("AMI-E450", [])],
    [
        Set(11, SPECIAL_DAYS, 2, DAYS),
        Set(20, CALENDAR, 6, NAME),
        Action(20, CALENDAR, 1, axdr.encode((axdr.INTEGER, 0)), ACTIVE),
    ],
    [ACTIVE, Check(11, SPECIAL_DAYS, 2, DAYS)],
)


def environment(name: str) -> str:
    value = os.getenv(name)
    assert value, name + " is not in the environment"
    return value


def driver() -> Driver:
    if environment("MODEM_DRIVER") == "amber":
        return Amber(duty_permille=1000)
    return MetersAndMore(look_ms=100)


async def configure() -> None:
    url = environment("MODEM_URL")
    storage = FolderStorage(environment("MODEM_DATA"))
    inventory = Inventory(storage)
    modem = Attached(driver(), lambda: open_port(url, CLOCK), CLOCK)
    network = Network(CLOCK)
    network.add(modem, 4)
    tasks = Group()
    tasks.start(network.run())
    reach = Reach(
        network=network,
        inventory=inventory,
        counters=Counters(storage, bytes),
        clock=CLOCK,
        crypto=SystemCrypto(),
        system_title=b"AMI\x00\x00\x00\x00\x01",
        patience=PATIENCE,
    )
    attempts = Attempts(reach)
    meters = [inventory.meter(serial) for serial in inventory.serials()]
    assert len(meters) == 3
    for _ in range(600):
        if network.reachable([meter for meter in meters if meter]) == len(meters):
            break
        await CLOCK.sleep_ms(50)
    for serial in inventory.serials():
        reasons: list[str] = []
        while not reasons or (reasons[-1] in ("link-lost", "no-answer") and len(reasons) < 5):
            result, _ = await attempts.run(serial, CONFIGURE, PACKAGE)
            reasons.append(result.reason)
        # A second one finds everything as wanted: it was written once.
        again, _ = await attempts.run(serial, CONFIGURE, PACKAGE)
        assert reasons[-1] == "applied" and again.reason == "already-as-wanted", (serial, reasons)
    counts = modem.statistics()
    assert len(DAYS) > 6 * MTU and counts["sent"] > 3 * 14
    await tasks.cancel()
    await modem.close()


def test_a_configure_attempt() -> None:
    run(configure())
