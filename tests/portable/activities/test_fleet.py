"""Fleet: the pre-established client over a network, what went wrong told apart."""

from __future__ import annotations

import asyncio

from gateway.activities.image.fleet import Fleet
from gateway.contract.model import Model
from gateway.contract.own_model import OWN_MODEL
from gateway.dlms import apdu
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
from gateway.meters.inventory import BROADCAST, InventoryError
from gateway.meters.reach import Reach, Unreached
from hal.ports import Capabilities, NoRoute
from tests.portable.dlms.test_client import (
    AK,
    CLIENT_TITLE,
    CRYPTO,
    DATA,
    EK,
    METER_TITLE,
    Script,
    counting,
    invoke_of,
)
from tests.portable.support import raises, run

NAME = b"\x00\x00\x2c\x00\x00\xff"
SHARED = bytes(range(0x20, 0x30))


class KnownMeter:
    model = "ami"

    def __init__(self, serial, address, title=METER_TITLE):
        self.serial = serial
        self.paths = [("plc", address)]
        self.title = title

    def as_client(self, sap):
        assert sap == 102
        return self

    def filled(self, model):
        return self


class KnownKeys:
    suite, ak, lls, counter = 0, AK, b"", 0

    def __init__(self, ek):
        self.ek = ek


class KnownMeters:
    """An inventory."""

    def __init__(self, meters, ciphered=True):
        self.all = {meter.serial: meter for meter in meters}
        self.ciphered = ciphered

    def serials(self):
        return sorted(self.all)

    def meter(self, serial):
        return self.all.get(serial)

    def keys(self, serial):
        if serial == BROADCAST and not self.ciphered:
            raise InventoryError("broadcast: no keys")
        return KnownKeys(SHARED if serial == BROADCAST else EK)


class KeptCounters:
    def __init__(self):
        self.last = {}

    def next(self, serial):
        self.last[serial] = self.last.get(serial, 0) + 1
        return self.last[serial]

    def begin_at(self, serial, key, counter):
        assert key == SHARED if serial == BROADCAST else counter == 1

    def raise_to(self, serial, counter, now):
        self.last[serial] = counter - 1


class OnePort:
    kind = "plc"

    def __init__(self, nodes, joins=True):
        self.works, self.ready = True, True
        self._nodes = set(nodes)
        self.modem = self
        self.capabilities = Capabilities("plc", 400, 340, 2, joins)

    def alive(self):
        return self.works

    def settled(self):
        return self.ready

    def nodes(self):
        return self._nodes


class OneNetwork:
    def __init__(self, nodes, joins=True):
        self.port = OnePort(nodes, joins)
        self.link = Script()
        self.link.heard = self.link.sent_count = 0
        self.records = []
        self.casts = []
        self.refuses = None
        self.closes = 0

    def ports(self):
        return [self.port]

    def usable(self, meter):
        return [path for path in meter.paths if path[1] in self.port.nodes()]

    def broadcast_mtu(self, kind):
        return self.port.capabilities.broadcast_mtu if self.port.works else 0

    async def broadcast(self, kind, data, client, server):
        assert (kind, client, server) == ("plc", 102, 1)
        self.casts.append(bytes(data))

    async def open(self, meter, path, traffic):
        if self.refuses:
            raise self.refuses
        return OneLink(self)

    def record(self, meter, path, answered, percent=100, hops=0):
        self.records.append((meter.serial, answered))


class OneLink:
    def __init__(self, network):
        self.network = network
        self.max_apdu = 400
        self.sent = self.octets = self.heard = self.lost = self.hops = 0
        self.check = self.heartbeat = None
        self.coming = False

    async def send(self, frame):
        self.sent += 1
        self.check()
        self.heartbeat()
        await self.network.link.send(frame)

    async def receive(self, timeout_ms):
        found = await self.network.link.receive(timeout_ms)
        self.heard += 1
        return found

    async def close(self):
        self.network.closes += 1


class Stand:
    def __init__(self, nodes=("a",), joins=True, ciphered=True):
        self.meters = [KnownMeter("M1", "a"), KnownMeter("M2", "b")]
        self.network = OneNetwork(nodes, joins)
        self.counters = KeptCounters()
        reach = Reach(
            network=self.network,
            inventory=KnownMeters(self.meters, ciphered),
            counters=self.counters,
            clock=self.network.link.clock,
            crypto=CRYPTO,
            system_title=CLIENT_TITLE,
            patience={"plc": (1000, 2)},
        )
        self.beats = 0
        self.fleet = Fleet(reach, "plc", True, self.beat)
        keys = Keys(METER_TITLE, EK, AK)
        self.meter = Ciphering(CRYPTO, keys, counting(41), CLIENT_TITLE, responder=True)
        self.between = 0

    def beat(self):
        self.beats += 1

    def answers(self):
        def answer(frame):
            invoke = invoke_of(self.meter.unprotect(frame))
            return [self.meter.protect(apdu.GetResponse(invoke, 0, DATA).encode())]

        self.network.link.then(answer)

    def ask(self, times=1, meter=0):
        async def work(client):
            found = []
            for _ in range(times):
                found.append(await client.get(18, NAME, 2))
            return found

        def check():
            self.between += 1
            if self.between == self.breaks_at:
                raise KeyError("not now")

        return run(self.fleet.talk(self.meters[meter], work, check))

    breaks_at = -1


def test_a_conversation_without_an_association() -> None:
    stand = Stand()
    stand.answers()
    stand.answers()
    assert stand.ask(2) == [DATA, DATA]
    assert stand.network.records == [("M1", True)] and stand.between == stand.beats == 2
    assert stand.counters.last == {"M1": 2} and stand.network.closes == 1
    # what has come once does not count again in the next one
    again = Ciphering(CRYPTO, Keys(METER_TITLE, EK, AK), counting(41), CLIENT_TITLE, responder=True)
    stand.meter = again
    for _ in range(2):
        stand.answers()
    found = raises(Unreached, stand.ask)
    assert found.silent


def test_what_went_wrong_is_told_apart() -> None:
    def silent(frame):
        return []

    stand = Stand()
    for _ in range(2):
        stand.network.link.then(silent)
    found = raises(Unreached, stand.ask)
    assert found.silent and not found.heard and stand.network.records == [("M1", False)]
    stand = Stand()
    stand.answers()
    for _ in range(2):
        stand.network.link.then(silent)
    found = raises(Unreached, stand.ask, 2)
    assert found.silent and found.heard and stand.network.records == [("M1", True)]
    stand = Stand()
    found = raises(Unreached, stand.ask, 1, 1)  # M2 is not registered
    assert not found.silent and "not registered" in str(found)
    for error in (OSError("gone"), NoRoute("left"), asyncio.TimeoutError()):
        stand.network.refuses = error
        found = raises(Unreached, stand.ask)
        assert not found.silent and not found.heard
    assert stand.network.closes == 0


def test_a_meter_that_wants_a_higher_counter() -> None:
    stand = Stand()
    stand.network.link.then(lambda frame: [apdu.ExceptionResponse(1, 6, 500).encode()])
    stand.network.link.then(lambda frame: [apdu.ExceptionResponse(1, 6, 500).encode()])
    stand.answers()
    assert stand.ask() == [DATA]
    # it may mean the one it expects, or the last that it has accepted
    assert stand.counters.last["M1"] == 501


def test_broken_off_between_two_frames() -> None:
    stand = Stand()
    stand.answers()
    stand.breaks_at = 2
    raises(KeyError, stand.ask, 2)
    assert stand.network.closes == 1 and len(stand.network.link.sent) == 1


def test_broadcasts_count_on_a_counter_of_their_own() -> None:
    stand = Stand()
    for _ in range(2):
        run(stand.fleet.broadcast(2, DATA))
    assert stand.counters.last == {BROADCAST: 2}
    assert [cast[3:7].hex() for cast in stand.network.casts] == ["00000001", "00000002"]
    raises(InventoryError, Stand, ("a",), True, False)  # ciphered, and there is no key


def test_who_hears_a_broadcast() -> None:
    stand = Stand(("a",))
    assert stand.fleet.covered_by(stand.meters[:1])
    assert not stand.fleet.covered_by(stand.meters[1:])
    stand = Stand(("a", "b", "c"))
    assert not stand.fleet.covered_by(stand.meters)
    # Where nobody registers, who is known may listen though he never spoke.
    stand = Stand(("a",), joins=False)
    assert not stand.fleet.covered_by(stand.meters[:1])
    assert stand.fleet.covered_by(stand.meters)


def test_a_fleet_is_of_one_model() -> None:
    stand = Stand(("a", "b"))
    stand.meters[1].model = "x"
    assert [stand.fleet.reaches(meter) for meter in stand.meters] == [True, False]


def test_a_broadcast_goes_to_the_object_that_the_model_names() -> None:
    elsewhere = b"\x00\x00\x2c\x00\x01\xff"
    for name, model in (
        (NAME, OWN_MODEL),
        (elsewhere, Model("x", 1, "", image=elsewhere)),
    ):
        stand = Stand()
        fleet = Fleet(stand.fleet._reach, "plc", False, stand.beat, model)
        run(fleet.broadcast(3, b"\x0f\x00"))
        assert b"\x00\x12" + name + b"\x03" in stand.network.casts[0]


def test_whom_it_reaches_and_what_fits() -> None:
    stand = Stand(("a", "b"))
    stand.meters[1].title = b""
    assert [stand.fleet.reaches(meter) for meter in stand.meters] == [True, False]
    assert 200 <= stand.fleet.room() < 340 and stand.fleet.up()
    stand.network.port.ready = False
    assert not stand.fleet.up()
    stand.network.port.works = False
    assert stand.fleet.room() == 0
