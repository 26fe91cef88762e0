"""A conversation with a meter, first APDU to last, and what the network learns of it."""

from __future__ import annotations

import asyncio

from gateway.contract.own_model import OWN_MODEL
from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.errors import AccessRefused, AssociationRefused, NoAnswer
from gateway.dlms.protection.keyring import Keys
from gateway.local.objects import Objects
from gateway.local.server import LocalServer
from gateway.meters.access import Access
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory, Meter
from gateway.meters.network import Network
from gateway.meters.reach import GivenUp, Reach, Unreached
from gateway.meters.way import Way
from hal.ports import Quality, Rx
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.local.support import Times
from tests.portable.local.test_server import AK, EK, NAME, OURS, THEIRS, Status
from tests.portable.meters.test_network import PLC, ScriptedModem, outcome
from tests.portable.support import run
from tests.portable.uplink.support import crypto

ASSOCIATED = [0x60, 0xCB]  # AARQ, and the proof
GET, RELEASE = 0xC8, 0x62
UNDEFINED = b"\0\0\x60\x01\0\xff"


class MeterModem(ScriptedModem):
    """Behind it one meter. `lost`: which frames, counted from 0, get no answer."""

    def __init__(self, server, lost, hops):
        super().__init__("plc", (PLC[1],))
        self._server = server
        self._lost = lost
        self._hops = hops

    async def send(self, address, data, source_sap, destination_sap, route=None):
        number = len(self.sent)
        handle = await super().send(address, data, source_sap, destination_sap)
        answer = self._server.answer(source_sap, bytes(data))
        if number not in self._lost:
            quality = Quality(hops=self._hops)
            self.put(Rx(address, destination_sap, source_sap, answer, quality))
        return handle

    def kinds(self):
        """The first octet of each frame: which APDU it is."""
        return [data[0] for _, data, _, _ in self.sent]


async def read(client):
    return await client.get(1, NAME, 2)


async def read_what_is_not_there(client):
    return await client.get(1, UNDEFINED, 2)


class NamesTheLast:
    """A meter that has counted to `last`, and names that where it wants a higher counter."""

    def __init__(self, server, last):
        self._server = server
        self._last = last
        server._received[OURS] = last

    def answer(self, client_sap, data):
        answer = self._server.answer(client_sap, data)
        if answer == apdu.ExceptionResponse(1, 6, self._last + 1).encode():
            return apdu.ExceptionResponse(1, 6, self._last).encode()
        return answer


def conversation(work, lost=(), hops=0, last=0, then=None, model=OWN_MODEL, turns=20, check=None):
    """(result or error, the APDUs by kind, what the network was told of it, the way). `then`: the
    work of a second one, whose result or error it is."""
    clock = ManualClock(1_800_000_000)
    counted = [0]

    def count():
        counted[0] += 1
        return counted[0]

    server = LocalServer(
        Objects("meter-1", Status(), clock, Times()),
        Keys(THEIRS, EK, AK),
        crypto(),
        clock,
        count,
        lambda kind, details: None,
    )
    modem = MeterModem(NamesTheLast(server, last) if last else server, lost, hops)
    told = []

    async def whole():
        network = Network(clock)
        network.add(modem, 1)
        network.record = lambda *what: told.append(what[2:])
        task = asyncio.create_task(network.run())
        storage = MemoryStorage()
        reach = Reach(
            network=network,
            inventory=Inventory(storage),
            counters=Counters(storage, bytes),
            clock=clock,
            crypto=crypto(),
            system_title=OURS,
            patience={"plc": (1000, 2)},
        )
        way = Way(reach, Meter("M1", [PLC]), PLC, Access(model, Keys(OURS, EK, AK)))
        talking = asyncio.create_task(outcome(way.associated(work, 1000, None, check)))
        for _ in range(turns):
            await clock.run(500)
        assert talking.done()
        found = await talking
        if then is not None:
            found = await outcome(way.associated(then, 1000))
        way.record(found if isinstance(found, Unreached) else None)
        task.cancel()
        await clock.settle()
        return found, way

    found, way = run(whole())
    return found, modem.kinds(), told, way


def test_a_meter_is_released_at_the_end():
    found, kinds, told, way = conversation(read)
    assert found == b"\x09\x07meter-1"
    assert kinds == ASSOCIATED + [GET, RELEASE]
    assert told == [(True, 100, 0)] and way.opened and way.answered


def test_a_conversation_is_given_up_before_the_next_request_and_the_meter_released():
    calls = []

    def check():
        calls.append(0)
        if len(calls) == 4:
            raise GivenUp("for the test")

    async def read_twice(client):
        await read(client)
        return await read(client)

    found, kinds, told, way = conversation(read_twice, check=check)
    assert type(found) is GivenUp
    assert kinds == ASSOCIATED + [GET, RELEASE] and len(calls) == 4
    assert told == [(True, 100, 0)] and way.answered

    def at_once():
        raise GivenUp("for the test")

    found, kinds, _, way = conversation(read, check=at_once)
    assert type(found) is GivenUp and kinds == [] and not way.answered


def test_a_pause_that_its_model_wants_is_no_silence_of_the_meter():
    class Slow(OWN_MODEL):
        pause_ms = 10_000  # the longest there is; an answer is waited for 1 s

    found, kinds, told, way = conversation(read, (0,), model=Slow, turns=200)
    assert found == b"\x09\x07meter-1"
    assert kinds == [0x60] + ASSOCIATED + [GET, RELEASE]
    assert told == [(True, 80, 0)] and way.answered


def test_a_meter_that_names_the_last_counter_it_has_accepted():
    found, kinds, _, _ = conversation(read, last=5000)
    assert found == b"\x09\x07meter-1"
    assert kinds == [0x60] + ASSOCIATED + [GET, RELEASE]


def test_a_service_that_is_not_kept_is_not_proposed_again():
    async def learn(client):
        client._exchange.give_up(acse.GET)

    found, _, _, way = conversation(learn, then=read)
    assert way._reach.unkept == {"M1": acse.GET}
    assert isinstance(found, AssociationRefused)  # by a meter that has nothing else


def test_also_when_it_has_refused():
    found, kinds, told, way = conversation(read_what_is_not_there)
    assert isinstance(found, AccessRefused) and found.result == "object-undefined"
    assert kinds == ASSOCIATED + [GET, RELEASE]
    assert told == [(True, 100, 0)] and way.answered


def test_not_when_it_is_silent():
    found, kinds, told, way = conversation(read, (2, 3))
    assert isinstance(found, Unreached) and found.silent and found.heard
    assert kinds == ASSOCIATED + [GET, GET]
    # two of four were answered, and in the end nobody was there
    assert told == [(True, 25, 0)] and way.opened and way.answered


def test_what_was_lost_on_the_way_is_learned():
    for lost, percent in (((2,), 80), ((2, 4), 60), ((0,), 80)):
        found, _, told, _ = conversation(read, lost, 3)
        assert found == b"\x09\x07meter-1" and told == [(True, percent, 3)], lost


def test_silence_from_the_first_is_no_delivery():
    found, kinds, told, way = conversation(read, range(99))
    assert isinstance(found, Unreached) and found.silent and not found.heard
    assert kinds == [0x60, 0x60]
    assert told == [(False,)] and way.opened and not way.answered


def test_what_is_learned_of_how_it_ended():
    silent, other = Unreached(True, "no answer"), Unreached(False, "modem gone")
    for failed, opened, answered, expected in (
        (None, True, True, [(True, 75, 2)]),
        (None, True, False, [(True, 75, 2)]),
        (silent, True, True, [(True, 37, 2)]),
        (other, True, True, [(True, 75, 2)]),
        (silent, True, False, [(False,)]),
        (other, True, False, []),
        (silent, False, False, []),
        (other, False, False, []),
    ):
        told = []

        class Learning:
            network = Network(ManualClock())

        Learning.network.record = lambda *what, told=told: told.append(what[2:])
        way = Way(Learning(), Meter("M1", [PLC]), PLC, Access(OWN_MODEL, Keys(OURS, EK, AK)))
        way.opened, way.answered = opened, answered
        way._sent, way._heard, way._hops = 4, 3, 2
        way.record(failed)
        assert told == expected, (failed, opened, answered)


def test_nothing_sent_counts_as_one_lost_and_more_heard_than_sent_as_all():
    for sent, heard, percent in ((0, 0, 0), (1, 0, 0), (0, 1, 100), (2, 3, 100), (3, 3, 100)):
        told = []

        class Learning:
            network = Network(ManualClock())

        Learning.network.record = lambda *what, told=told: told.append(what[2:])
        way = Way(Learning(), Meter("M1", [PLC]), PLC, Access(OWN_MODEL, Keys(OURS, EK, AK)))
        way._sent, way._heard = sent, heard
        way.record()
        assert told == [(True, percent, 0)], (sent, heard)


def test_an_error_of_the_work_that_is_silence_comes_out_as_unreached():
    async def silence(client):
        raise NoAnswer("nothing came")

    found, kinds, _, way = conversation(silence)
    assert isinstance(found, Unreached) and found.silent and str(found) == "nothing came"
    assert kinds == ASSOCIATED and way.answered
