"""A technician's meter is reached at the server that its model names."""

from __future__ import annotations

from gateway.contract.model import Model
from gateway.local import header
from gateway.local.meters import Meters
from gateway.meters.counters import Counters
from gateway.meters.inventory import METERS, Inventory
from gateway.meters.reach import Reach
from hal.ports import NoRoute
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.local.test_server import OURS
from tests.portable.support import run
from tests.portable.uplink.support import crypto

LINES = (
    '{"serial": "A", "paths": [["ip", "a:1"]]}\n'
    '{"serial": "B", "model": "x", "paths": [["ip", "b:1"]]}\n'
    '{"serial": "C", "model": "x", "server": 9, "paths": [["ip", "c:1"]]}\n'
    '{"serial": "D", "model": "unheard-of", "paths": [["ip", "d:1"]]}\n'
)


class Roads:
    """A network that leads nowhere; `asked` is where it was to lead."""

    def __init__(self):
        self.asked = []

    def usable(self, meter):
        return meter.paths

    async def open(self, meter, path, *more):
        self.asked.append((meter.serial, meter.client_sap, meter.server_sap))
        raise NoRoute("nowhere")


def test_where_the_link_leads():
    storage = MemoryStorage()
    storage.replace(METERS, LINES.encode())
    inventory, roads = Inventory(storage), Roads()
    inventory.models().take(Model("x", 1, "", client_sap=2, server_sap=7).to_payload())
    reach = Reach(
        network=roads,
        inventory=inventory,
        counters=Counters(storage, bytes),
        clock=ManualClock(),
        crypto=crypto(),
        system_title=OURS,
        patience={"ip": (1000, 1)},
    )
    meters = Meters(reach, lambda kind, details: None)
    for serial in ("A", "B", "C", "D"):
        request = header.encode(header.TO_DEVICE, serial, b"\xc0")
        answers = run(meters.answers(5, OURS, request))
        assert len(answers) == 1 and answers[0][0] == header.FROM_DEVICE
    assert roads.asked == [("A", 5, 1), ("B", 5, 7), ("C", 5, 9)]
