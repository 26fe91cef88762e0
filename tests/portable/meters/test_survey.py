"""Who is registered, who is a stranger, and how often the HES hears of it."""

from __future__ import annotations

from gateway.meters.inventory import METERS, Inventory
from gateway.meters.modem_port import SETTLE_MS
from gateway.meters.network import Network
from gateway.meters.reachability import REACHABLE, UNKNOWN, UNREACHABLE
from gateway.meters.strangers import FILE, MOST_A_DAY, Strangers
from gateway.meters.survey import Survey
from hal.ports import Joined, Left
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.meters.test_network import ScriptedModem
from tests.portable.support import run

NOON = 1800014400
DAY_MS = 86400000


class World:
    """Two meters on PLC, the second on RF as well, and what was told."""

    def __init__(self, *modems):
        self.clock = ManualClock(NOON)
        self.storage = MemoryStorage()
        self.storage.replace(
            METERS,
            b'{"serial": "A", "paths": [["plc", "0080e1000001"]]}\n'
            b'{"serial": "B", "paths": [["plc", "0080e1000002"], ["rf", "2c2d576866323002"]]}\n',
        )
        self.told = []
        self.network = Network(self.clock)
        for modem in modems:
            self.network.add(modem, 4)
        self.start()

    def start(self):
        self.inventory = Inventory(self.storage)
        strangers = Strangers(self.clock, self.storage, lambda *what: self.told.append(what))
        self.survey = Survey(self.network, self.inventory, strangers, self.clock)

    def joined(self, *addresses):
        for address in addresses:
            self.network.ports()[0]._handle(Joined(address))

    def look(self, later=SETTLE_MS):
        async def whole():
            self.clock.advance(later)
            await self.survey.look()

        run(whole())

    def state(self, serial, place):
        meter = self.inventory.meter(serial)
        return self.network.reachability.state(meter, meter.paths[place]).state


def test_registered_and_not():
    world = World(ScriptedModem(nodes=()), ScriptedModem("rf", ()))
    world.joined("0080e1000001")
    world.look(SETTLE_MS - 1)
    assert world.state("A", 0) == UNKNOWN  # the network is still forming
    world.look()
    assert (world.state("A", 0), world.state("B", 0)) == (REACHABLE, UNREACHABLE)
    assert world.state("B", 1) == UNKNOWN  # nobody registers with RF
    world.network.ports()[0]._handle(Left("0080e1000001"))
    world.joined("0080e1000002")
    world.look()
    assert (world.state("A", 0), world.state("B", 0)) == (UNREACHABLE, REACHABLE)
    assert world.told == []


def test_a_second_modem_of_the_kind_may_have_it():
    first, second = ScriptedModem(nodes=("0080e1000001",)), ScriptedModem(nodes=("0080e1000002",))
    world = World(first, second)
    world.look()
    assert (world.state("A", 0), world.state("B", 0)) == (REACHABLE, REACHABLE)
    second.counters = {"up": 0}
    world.network.ports()[1].look()
    world.look()
    assert world.state("B", 0) == REACHABLE  # not known to have left
    assert world.told == []


def test_a_stranger_is_told_once_a_day():
    world = World(ScriptedModem(nodes=()), ScriptedModem("rf", ()))
    world.joined("0080e1000001", "0080e1000009")
    world.look()
    assert world.told == [("stranger", "plc 0080e1000009")]
    for _ in range(5):
        world.network.ports()[0]._handle(Left("0080e1000009"))
        world.look()
        world.joined("0080e1000009")
        world.look()
    world.start()  # a restart does not tell it again either
    world.look()
    assert len(world.told) == 1
    world.look(DAY_MS)
    assert len(world.told) == 2
    assert world.network.obstacle(("plc", "0080e1000009")) == ""  # there, but nobody's path


def test_strangers_on_rf_and_none_on_ip():
    rf, ip = (
        ScriptedModem("rf", ("2c2d576866323002", "2c2d000000000707")),
        ScriptedModem("ip", ("x:1",)),
    )
    ip.capabilities.addresses = "host:port"
    world = World(rf, ip)
    world.look()
    assert world.told == [("stranger", "rf 2c2d000000000707")]


def test_a_flood_of_strangers_is_told_within_bounds():
    world = World(ScriptedModem(nodes=()), ScriptedModem("rf", ()))
    for _ in range(10):
        world.joined(*["%012x" % number for number in range(500)])
        world.look()
    assert len(world.told) == MOST_A_DAY + 1
    assert world.told[-1] == ("stranger", "plc: %d more today" % (500 - MOST_A_DAY))
    assert world.storage.size(FILE) < 2000


def test_a_stranger_that_is_commissioned_is_none_any_more():
    world = World(ScriptedModem(nodes=()))
    line = b'{"serial": "C", "paths": [["plc", "0080e1000009"]]}\n'
    world.storage.replace(METERS, world.storage.read(METERS) + line)
    assert world.inventory.known("C")
    world.joined("0080e1000009")
    world.look()
    assert world.told == [] and world.state("C", 0) == REACHABLE


def test_what_was_told_is_damaged():
    for damage in (b"", b"{", b"[1]", b"[1, 2]", b'["x", {}]', b'[1, {"plc": 7}]', bytes(20000)):
        world = World(ScriptedModem(nodes=()))
        world.storage.replace(FILE, damage)
        world.start()
        world.joined("0080e1000009")
        world.look()
        assert world.told == [("stranger", "plc 0080e1000009")], damage
