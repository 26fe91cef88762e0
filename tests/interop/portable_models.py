"""Meters of other makes, configured and read by the gateway's meter side as their models say; on
either runtime: `PYTHON tests/interop/portable_models.py FOLDER SIGNER` from the project's root.

FOLDER holds meters.jsonl, keys.jsonl and, in NAME.signed, models as a HES sends them; and an image
file, firmware.img, if the meters are to have one. SIGNER: key id and public key of who signed all
of these, in hexadecimal, with a comma between. One line of JSON for each meter: its serial, the
reasons of configuring it, of doing so again, of reading it (and of bringing it the image, twice),
and what was read."""

from __future__ import annotations

import json
import os
import sys

if "" not in sys.path and "." not in sys.path:
    sys.path.insert(0, "")

from gateway.activities.attempt import Attempts
from gateway.activities.image.transfer import Order
from gateway.contract.image_file import ImageFile
from gateway.contract.kinds import CONFIGURE, IMAGE, READ
from gateway.contract.package import Check, Package, Set
from gateway.contract.signed_model import proven
from gateway.dlms.data import axdr, obis
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from hal.modem.ip import Ip
from hal.rt.group import Group
from tests.contract.here import FolderStorage, SystemClock, SystemCrypto, open_port
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLOCK = SystemClock()
LIMIT = (1, obis.parse("0.0.96.50.1.255"), 2)
ENERGY = (3, obis.parse("1.0.1.8.0.255"), 2)
WANTED = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 9))
IMAGE_FILE = "firmware.img"
TIMEOUT_MS = 60_000


async def connect(host: str, port: int) -> Any:
    return await open_port("tcp://%s:%d" % (host, port), CLOCK)


def take_models(inventory: Inventory, folder: str, trust: list[tuple[bytes, bytes]]) -> None:
    for name in sorted(os.listdir(folder)):
        if name.endswith(".signed"):
            with open(folder + "/" + name, "rb") as file:
                inventory.models().take(proven(file.read(), trust, SystemCrypto()))


async def work(folder: str, signer: str) -> None:
    storage = FolderStorage(folder)
    inventory = Inventory(storage)
    kid, public = [bytes.fromhex(part) for part in signer.split(",")]
    trust = [(kid, public)]
    take_models(inventory, folder, trust)
    modem = Ip(connect, CLOCK)
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
        patience={"ip": (TIMEOUT_MS, 2)},
    )
    attempts = Attempts(reach)
    for serial in inventory.serials():
        reasons = []
        values: list[str] = []
        # A model that tells nothing of the make: any will do.
        package = Package(
            "p", "1", "", [("any", [])], [Set(*LIMIT, WANTED)], [Check(*LIMIT, WANTED)]
        )
        orders: list[Any] = [(CONFIGURE, package), (CONFIGURE, package), (READ, [ENERGY, LIMIT])]
        if storage.size(IMAGE_FILE) >= 0:
            image = ImageFile.open(storage, IMAGE_FILE, trust, SystemCrypto())
            orders += [
                (IMAGE, Order(image, 0, False, CLOCK)),
                (IMAGE, Order(image, 0, True, CLOCK)),
            ]
        for kind, order in orders:
            result, _ = await attempts.run(serial, kind, order)
            reasons.append(result.reason)
            if result.outcome == "KO":
                reasons[-1] += ": " + result.detail
            values = [value.hex() for value in result.value or []] or values
        print(json.dumps([serial, reasons, values]))
    await tasks.cancel()
    await modem.close()


if __name__ == "__main__":
    run(work(sys.argv[1], sys.argv[2]))
