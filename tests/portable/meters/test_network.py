"""Links over modems: who gets which frame, how many are in flight, and how failures are heard."""

from __future__ import annotations

import asyncio

from gateway.meters.inventory import Meter
from gateway.meters.link import QUEUED_APDUS, SLOWER, TX_STUCK_MS
from gateway.meters.modem_port import FIRST_BACKOFF_MS, FORMING_MS, MAX_NODES, SETTLE_MS
from gateway.meters.network import LOOK_MS, Network
from hal.ports import (
    BROADCAST,
    Busy,
    Capabilities,
    Coming,
    DutyCycle,
    Joined,
    Left,
    Misbehaves,
    ModemReset,
    NoRoute,
    PortClosed,
    Quality,
    Rx,
    TooLong,
    TxDone,
)
from hal.sim.clock import ManualClock
from tests.portable.support import run

PLC = ("plc", "0080e1000001")
PLC2 = ("plc", "0080e1000002")
RF = ("rf", "2c2d576866323002")
METER = Meter("A", [PLC, RF])
OTHER = Meter("B", [PLC2])


class ScriptedModem:
    """A Modem whose events the test puts in; keeps what was sent."""

    def __init__(self, name="plc", nodes=(PLC[1], PLC2[1]), in_flight=1, early=False):
        self.capabilities = Capabilities(name, 200, 100, in_flight, name == "plc")
        self.sent = []
        self.asked = []  # discover, kick and reset, in order
        self.counters = {}  # further statistics
        self.refuse = []  # exceptions for the next sends; None: that one is taken
        self.early = early  # TxDone comes before send() returns
        self.status = 0  # of the TxDone of each frame; None: the test puts it itself
        self.error = None  # of the same
        self._nodes = list(nodes)
        self._events = []
        self._happened = asyncio.Event()

    def put(self, event):
        self._events.append(event)
        self._happened.set()

    def answer(self, data, address=PLC[1], server_sap=1, client_sap=1):
        self.put(Rx(address, server_sap, client_sap, data, Quality()))

    async def send(self, address, data, source_sap, destination_sap, route=None):
        refused = self.refuse.pop(0) if self.refuse else None
        if refused is not None:
            raise refused
        self.sent.append((address, bytes(data), source_sap, destination_sap))
        if self.status is not None:
            self.put(TxDone(len(self.sent), self.status, self.error))
        if self.early:
            for _ in range(10):
                await asyncio.sleep(0)
        return len(self.sent)

    async def event(self):
        while not self._events:
            self._happened.clear()
            await self._happened.wait()
        event = self._events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    def nodes(self):
        return self._nodes

    async def discover(self):
        self.asked.append("discover")

    async def kick(self, address):
        if self.capabilities.joins and address not in self._nodes:
            raise NoRoute(address)
        self.asked.append("kick " + address)

    async def reset(self):
        self.asked.append("reset")
        self._nodes = []
        self.put(ModemReset())

    def statistics(self):
        counters = {"sent": len(self.sent)}
        counters.update(self.counters)
        return counters

    async def close(self):
        pass


def scene(play, *modems, meters_at_once=2):
    """Run play(network, clock) with the network's readers at work."""

    async def whole():
        clock = ManualClock()
        network = Network(clock)
        for modem in modems:
            network.add(modem, meters_at_once)
        task = asyncio.create_task(network.run())
        await clock.settle()
        try:
            await play(network, clock)
        finally:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass

    run(whole())


async def outcome(awaitable):
    """What came out of it: the value or the exception."""
    try:
        return await awaitable
    except asyncio.TimeoutError:
        return "timeout"
    except Exception as error:
        return error


def test_frames_go_out_with_their_saps_and_answers_find_their_link():
    modem = ScriptedModem(in_flight=4)

    async def play(network, clock):
        first = await network.open(METER, PLC)
        second = await network.open(Meter("B", [PLC2], 16, 3), PLC2)
        assert first.max_apdu == 200
        await first.send(b"to A")
        await second.send(memoryview(b"to B"))
        assert modem.sent == [(PLC[1], b"to A", 1, 1), (PLC2[1], b"to B", 16, 3)]
        modem.answer(b"from B", PLC2[1], 3, 16)
        modem.answer(b"from A")
        assert await first.receive(1000) == b"from A"
        assert await second.receive(1000) == b"from B"

    scene(play, modem)


def test_receive_times_out():
    async def play(network, clock):
        link = await network.open(METER, PLC)
        waiting = asyncio.create_task(outcome(link.receive(500)))
        await clock.run(499)
        assert not waiting.done()
        await clock.run(1)
        assert await waiting == "timeout"

    scene(play, ScriptedModem())


def test_an_answer_that_comes_in_part_has_more_time():
    modem = ScriptedModem()

    async def play(network, clock):
        link = await network.open(METER, PLC)
        beats = []
        link.heartbeat = lambda: beats.append(clock.ticks_ms())
        waiting = asyncio.create_task(outcome(link.receive(500)))
        for _ in range(4):  # 1.6 s, with a part of it in each half
            await clock.run(400)
            modem.put(Coming(PLC[1], 1, 1))
        assert not waiting.done() and len(beats) == 3
        modem.answer(b"long")
        await clock.settle()
        assert await waiting == b"long"
        # for others it counts nothing, and for ever it does not go on
        waiting = asyncio.create_task(outcome(link.receive(500)))
        await clock.run(100)
        modem.put(Coming(PLC[1], 1, 2))
        modem.put(Coming(PLC2[1], 1, 1))
        await clock.run(400)
        assert await waiting == "timeout"
        before = clock.ticks_ms()
        waiting = asyncio.create_task(outcome(link.receive(500)))
        while not waiting.done():
            await clock.run(100)
            modem.put(Coming(PLC[1], 1, 1))
        assert await waiting == "timeout" and clock.ticks_ms() - before == SLOWER * 500

    scene(play, modem)


def test_frames_of_strangers_and_late_ones_are_counted():
    modem = ScriptedModem()

    async def play(network, clock):
        link = await network.open(METER, PLC)
        modem.answer(b"x", "0080e1ffffff")
        modem.answer(b"x", PLC2[1])
        modem.answer(b"x", PLC[1], 1, 2)
        for i in range(QUEUED_APDUS + 3):
            modem.answer(bytes([i]))
        await clock.settle()
        counts = network.statistics()[0][1]
        assert (counts["link-stranger"], counts["link-late"], counts["link-overrun"]) == (1, 2, 3)
        for i in range(QUEUED_APDUS):
            assert await link.receive(10) == bytes([i])

    scene(play, modem)


def test_what_no_link_waits_for_goes_to_who_listens():
    modem = ScriptedModem()
    heard = []

    async def play(network, clock):
        network.listen(lambda kind, rx: heard.append((kind, rx.address, bytes(rx.data))))
        link = await network.open(METER, PLC)
        modem.answer(b"a push", PLC2[1])
        modem.answer(b"to another client", PLC[1], 1, 102)
        modem.answer(b"the answer")
        await clock.settle()
        assert await link.receive(500) == b"the answer"

    scene(play, modem)
    assert heard == [("plc", PLC2[1], b"a push"), ("plc", PLC[1], b"to another client")]


def test_a_frame_not_delivered_is_heard_at_once_and_the_link_goes_on():
    modem = ScriptedModem()

    async def play(network, clock):
        before = clock.ticks_ms()
        link = await network.open(METER, PLC)
        modem.status = 2
        await link.send(b"1")
        assert await outcome(link.receive(10000)) == "timeout"
        assert clock.ticks_ms() == before
        modem.status = 0
        await link.send(b"2")
        modem.answer(b"yes")
        assert await link.receive(10000) == b"yes"
        assert network.statistics()[0][1]["link-lost"] == 1

    scene(play, modem)


def test_sending_ends_when_the_modem_is_finished_with_the_frame():
    modem = ScriptedModem(in_flight=4)
    modem.status = None

    async def play(network, clock):
        link = await network.open(METER, PLC)
        sending = asyncio.create_task(link.send(b"1"))
        await clock.run(5000)
        assert len(modem.sent) == 1 and not sending.done()
        modem.put(TxDone(1, 0))
        await sending
        # An answer says so as well.
        sending = asyncio.create_task(link.send(b"2"))
        await clock.run(5000)
        assert not sending.done()
        modem.answer(b"yes")
        await sending
        assert await link.receive(10) == b"yes"

    scene(play, modem)


def test_the_fate_of_an_older_frame_is_no_news():
    modem = ScriptedModem(in_flight=2)
    modem.status = None

    async def play(network, clock):
        link = await network.open(METER, PLC)
        modem.answer(b"late")
        await link.send(b"1")
        assert await link.receive(10000) == b"late"
        sending = asyncio.create_task(link.send(b"2"))
        await clock.settle()
        modem.put(TxDone(1, 2))
        await clock.settle()
        assert not sending.done()
        modem.put(TxDone(2, 0))
        modem.answer(b"yes")
        await sending
        assert await link.receive(10000) == b"yes"
        modem.put(TxDone(2, 2))
        await clock.settle()

    scene(play, modem)


def test_no_more_frames_in_flight_than_the_modem_takes():
    modem = ScriptedModem(in_flight=1)
    modem.status = None

    async def play(network, clock):
        first = await network.open(METER, PLC)
        second = await network.open(OTHER, PLC2)
        one = asyncio.create_task(first.send(b"1"))
        two = asyncio.create_task(second.send(b"2"))
        await clock.settle()
        assert len(modem.sent) == 1
        modem.put(TxDone(1, 0))
        await one
        await clock.settle()
        assert len(modem.sent) == 2 and not two.done()
        modem.put(TxDone(2, 0))
        await two

    scene(play, modem)


def test_a_done_that_overtakes_its_handle_frees_the_window():
    modem = ScriptedModem(early=True)

    async def play(network, clock):
        link = await network.open(METER, PLC)
        for i in range(5):
            await link.send(bytes([i]))
        assert len(modem.sent) == 5
        assert network.statistics()[0][1]["link-stuck"] == 0

    scene(play, modem)


def test_a_modem_that_forgets_a_frame_does_not_block_for_ever():
    modem = ScriptedModem(in_flight=1)
    modem.status = None

    async def play(network, clock):
        first = await network.open(METER, PLC)
        second = await network.open(OTHER, PLC2)
        one = asyncio.create_task(first.send(b"1"))
        two = asyncio.create_task(second.send(b"2"))
        await clock.run(TX_STUCK_MS + 1)
        await one
        assert len(modem.sent) == 2
        assert network.statistics()[0][1]["link-stuck"] == 1
        modem.put(TxDone(2, 0))
        await two

    scene(play, modem)


def test_busy_and_duty_cycle_are_waited_for():
    modem = ScriptedModem()
    modem.refuse = [Busy("full"), DutyCycle(700)]

    async def play(network, clock):
        link = await network.open(METER, PLC)
        sending = asyncio.create_task(link.send(b"1"))
        await clock.run(600)
        assert modem.sent == []
        modem.put(TxDone(99, 0))
        await clock.run(699)
        assert modem.sent == []
        await clock.run(1)
        await sending
        assert len(modem.sent) == 1

    scene(play, modem)


def test_refusals_come_through():
    modem = ScriptedModem()
    modem.refuse = [NoRoute("left"), DutyCycle(10000000)]

    async def play(network, clock):
        link = await network.open(METER, PLC)
        assert isinstance(await outcome(link.send(b"1")), NoRoute)
        assert isinstance(await outcome(link.send(b"1")), DutyCycle)
        await link.send(b"1")

    scene(play, modem)


def test_slots_are_waited_for():
    async def play(network, clock):
        first = await network.open(METER, PLC)
        assert not network.ready(OTHER)
        assert network.ready(METER)  # over RF
        opening = asyncio.create_task(network.open(OTHER, PLC2))
        await clock.settle()
        assert not opening.done()
        await first.close()
        second = await opening
        assert second.address == PLC2[1]
        await first.close()
        assert network.statistics()[0][1]["links"] == 1

    scene(play, ScriptedModem(), ScriptedModem("rf", ()), meters_at_once=1)


def test_a_claimed_slot_is_kept_until_the_link_is_opened_or_it_is_given_back():
    async def play(network, clock):
        assert network.claim(METER)  # a slot of PLC
        assert not network.ready(OTHER) and not network.claim(OTHER)
        network.release(METER)
        assert network.claim(OTHER)
        link = await network.open(OTHER, PLC2)  # without waiting: the slot is its own
        assert not network.ready(Meter("C", [PLC]))
        await link.close()
        assert network.ready(Meter("C", [PLC]))
        assert network.claim(METER)
        over_rf = await network.open(METER, RF)  # the claim is given up whatever path is taken
        assert network.ready(OTHER)
        await over_rf.close()

    scene(play, ScriptedModem(), ScriptedModem("rf", ()), meters_at_once=1)


def test_one_conversation_at_a_time_with_a_meter():
    async def play(network, clock):
        await network.open(METER, PLC)
        assert isinstance(await outcome(network.open(METER, PLC)), Busy)

    scene(play, ScriptedModem())


def test_a_closed_link_neither_sends_nor_receives():
    async def play(network, clock):
        link = await network.open(METER, PLC)
        waiting = asyncio.create_task(outcome(link.receive(10000)))
        await clock.settle()
        await link.close()
        assert isinstance(await waiting, OSError)
        assert isinstance(await outcome(link.send(b"1")), OSError)
        assert isinstance(await outcome(link.receive(10)), OSError)

    scene(play, ScriptedModem())


def test_nodes_join_and_leave():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        assert network.usable(OTHER) == []
        assert network.obstacle(PLC2) == "not registered"
        assert isinstance(await outcome(network.open(OTHER, PLC2)), NoRoute)
        modem.put(Joined(PLC2[1]))
        await clock.settle()
        assert network.usable(OTHER) == [PLC2]
        assert network.reachable([METER, OTHER]) == 1
        link = await network.open(OTHER, PLC2)
        modem.put(Left(PLC2[1]))
        assert isinstance(await outcome(link.receive(10000)), OSError)
        assert network.usable(OTHER) == []

    scene(play, modem)


def test_a_connection_that_ends_is_told_to_who_waits_as_the_driver_means_it():
    modem = ScriptedModem(name="rf", nodes=())

    async def play(network, clock):
        meter = Meter("R", [RF])
        closed = PortClosed("it closes the connection")
        for error, comes in ((asyncio.TimeoutError(), "timeout"), (closed, closed)):
            link = await network.open(meter, RF)
            began = clock.ticks_ms()
            modem.put(Left(RF[1], error))
            assert await outcome(link.receive(10000)) is comes
            assert clock.ticks_ms() == began, "at once"
            assert network.usable(meter) == [RF]
            await link.close()

    scene(play, modem)


def test_a_node_that_floods_is_still_there_and_who_waits_for_it_is_told():
    modem = ScriptedModem()

    async def play(network, clock):
        link = await network.open(OTHER, PLC2)
        floods = Misbehaves("it floods")
        modem.put(Left(PLC2[1], floods))
        try:
            await link.receive(10000)
            raise AssertionError("it answers")
        except Misbehaves as error:
            assert error is floods
        assert network.usable(OTHER) == [PLC2]

    scene(play, modem)


def test_a_meter_that_has_not_registered_yet_is_waited_for_until_the_network_has_settled():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        assert not network.ready(OTHER)
        modem.put(Joined(PLC2[1]))
        await clock.settle()
        assert network.ready(OTHER) and not network.ready(METER)
        clock.advance(SETTLE_MS - 1)
        assert not network.ready(METER)
        clock.advance(1)
        assert network.ready(METER)  # for an attempt that says: not registered
        modem.put(ModemReset())
        await clock.settle()
        assert not network.ready(METER)

    scene(play, modem)


def test_a_reset_modem_starts_anew():
    modem = ScriptedModem(in_flight=1)
    modem.status = None

    async def play(network, clock):
        link = await network.open(METER, PLC)
        sending = asyncio.create_task(link.send(b"1"))
        await clock.settle()
        modem._nodes = [PLC2[1]]
        modem.put(ModemReset())
        await sending
        assert isinstance(await outcome(link.receive(10000)), OSError)
        assert network.usable(METER) == []
        modem.status = 0
        await link.send(b"2")  # the window is free again
        assert network.usable(OTHER) == [PLC2]

    scene(play, modem)


def test_a_modem_that_is_gone_fails_its_links_and_is_tried_again():
    modem = ScriptedModem(in_flight=4)

    async def play(network, clock):
        first = await network.open(METER, PLC)
        second = await network.open(OTHER, PLC2)
        modem.refuse = [OSError("no line")]
        assert isinstance(await outcome(first.send(b"1")), OSError)
        assert isinstance(await outcome(second.receive(10000)), OSError)
        assert network.usable(METER) == [] and not network.ready(METER)
        assert network.obstacle(PLC) == "modem gone"
        assert isinstance(await outcome(first.send(b"1")), OSError)
        assert modem.sent == []
        await clock.run(FIRST_BACKOFF_MS)
        assert network.ready(METER)
        await first.send(b"1")
        assert len(modem.sent) == 1

    scene(play, modem, meters_at_once=3)


def test_a_modem_that_speaks_is_back():
    modem = ScriptedModem()

    async def play(network, clock):
        modem.put(ValueError("a fault in the driver"))
        await clock.settle()
        assert not network.ready(METER)
        modem.put(Joined(PLC[1]))
        await clock.run(FIRST_BACKOFF_MS + 1)
        assert network.ready(METER)

    scene(play, modem)


def test_paths_are_ranked_by_what_was_learned():
    async def play(network, clock):
        meter = Meter("A", [RF, PLC])
        assert network.usable(meter) == [PLC, RF]
        network.record(meter, PLC, False)
        network.record(meter, RF, True)
        for _ in range(10):
            assert network.usable(meter) == [RF, PLC]
            network.record(meter, RF, True)
        # With time the cheaper path is given its chance again ...
        for _ in range(24):
            network.reachability.age()
        assert network.usable(meter) == [PLC, RF]
        # ... and keeps it only if it works.
        network.record(meter, PLC, False)
        assert network.usable(meter) == [RF, PLC]
        # Answers only at the third try are no good delivery either.
        for _ in range(12):
            network.record(meter, RF, True, 33)
            network.record(meter, PLC, True, 80)
        assert network.usable(meter) == [PLC, RF]

    scene(play, ScriptedModem(), ScriptedModem("rf", ()))


def test_a_broadcast_goes_to_all_nodes_and_ends_when_the_modem_is_finished_with_it():
    modem = ScriptedModem(in_flight=4)
    modem.status = None

    async def play(network, clock):
        assert network.broadcast_mtu("plc") == 100 and network.broadcast_mtu("rf") == 0
        casting = asyncio.create_task(network.broadcast("plc", b"all", 102, 1))
        second = asyncio.create_task(network.broadcast("plc", b"more", 102, 1))
        await clock.run(5000)
        assert modem.sent == [(BROADCAST, b"all", 102, 1)]  # one at a time
        modem.put(TxDone(1, 0))
        await clock.settle()
        assert await casting == 1
        modem.put(TxDone(2, 1))
        assert await second == 0
        assert isinstance(await outcome(network.broadcast("rf", b"", 1, 1)), NoRoute)
        assert isinstance(await outcome(network.broadcast("plc", bytes(101), 1, 1)), TooLong)

    scene(play, modem)


def test_a_broadcast_waits_for_room_and_budget_while_links_go_on():
    modem = ScriptedModem(in_flight=2)

    async def play(network, clock):
        link = await network.open(METER, PLC)
        modem.refuse = [Busy("full"), DutyCycle(200000)]
        casting = asyncio.create_task(network.broadcast("plc", b"all", 1, 1))
        await clock.run(150000)
        assert not casting.done()
        for i in range(3):
            await link.send(bytes([i]))
        assert [frame[1] for frame in modem.sent] == [b"\x00", b"\x01", b"\x02"]
        await clock.run(60000)
        assert await casting == 1
        assert modem.sent[-1][0] == BROADCAST

    scene(play, modem)


def test_links_get_their_turn_between_broadcasts():
    modem = ScriptedModem(in_flight=1)
    modem.status = None

    async def play(network, clock):
        first = await network.open(METER, PLC)
        second = await network.open(OTHER, PLC2)

        async def talk(link):
            while True:
                await link.send(b"unicast")

        async def cast():
            while True:
                await network.broadcast("plc", b"all", 1, 1)

        tasks = [asyncio.create_task(work) for work in (cast(), cast(), talk(first), talk(second))]
        for number in range(60):
            await clock.settle()
            modem.put(TxDone(number + 1, 0))
        broadcasts = [frame for frame in modem.sent if frame[0] == BROADCAST]
        assert 18 <= len(broadcasts) <= 22, len(broadcasts)  # a third: as often as each link
        for task in tasks:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass

    scene(play, modem)


def test_a_broadcast_ends_when_its_modem_does():
    modem = ScriptedModem(in_flight=2)
    modem.status = None

    async def play(network, clock):
        casting = asyncio.create_task(network.broadcast("plc", b"all", 1, 1))
        await clock.settle()
        modem.put(ModemReset())
        assert await casting == 0
        # One whose end is never told.
        casting = asyncio.create_task(network.broadcast("plc", b"all", 1, 1))
        await clock.run(TX_STUCK_MS + 1)
        assert await casting == 0
        modem.refuse = [OSError("no line")]
        assert isinstance(await outcome(network.broadcast("plc", b"all", 1, 1)), OSError)
        assert isinstance(await outcome(network.broadcast("plc", b"all", 1, 1)), NoRoute)

    scene(play, modem)


def test_a_modem_whose_driver_hears_nothing_is_gone_until_it_speaks():
    modem = ScriptedModem()

    async def play(network, clock):
        link = await network.open(METER, PLC)
        waiting = asyncio.create_task(outcome(link.receive(600000)))
        modem.counters = {"up": 0}
        await clock.run(LOOK_MS + 1)
        assert isinstance(await waiting, OSError)
        assert network.obstacle(PLC) == "modem gone" and not network.ready(METER)
        modem.counters = {"up": 1}
        await clock.run(LOOK_MS)
        assert network.ready(METER)

    scene(play, modem)


def test_a_modem_that_comes_and_goes_is_told_a_few_times_and_the_other_goes_on():
    plc, rf = ScriptedModem(), ScriptedModem("rf", ())

    async def whole():
        clock = ManualClock()
        told = []
        network = Network(clock, None, lambda size: bytes(size), lambda *what: told.append(what))
        network.add(plc, 2)
        network.add(rf, 2)
        task = asyncio.create_task(network.run())
        for number in range(6 * 3600 // 15):
            plc.put(OSError("a loose plug") if number % 2 else Joined(PLC[1]))
            clock.advance(15000)
            await clock.settle()
            assert network.obstacle(RF) == ""
        assert 1 <= len(told) <= 6, told
        assert told[0] == ("modem-down", "plc: the modem does not answer; check it")
        rf.statistics = lambda: 1 // 0  # a fault in the driver
        clock.advance(LOOK_MS)
        await clock.settle()
        assert network.obstacle(RF) == "modem gone" and not task.done()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass

    run(whole())


def test_a_flood_of_joins_does_not_fill_the_memory():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        for number in range(MAX_NODES + 500):
            modem.put(Joined("%012x" % number))
        await clock.settle()
        counts = network.statistics()[0][1]
        assert counts["nodes"] <= MAX_NODES
        while modem._events:
            await clock.settle()
        counts = network.statistics()[0][1]
        assert counts["nodes"] == MAX_NODES and counts["link-nodes-full"] == 500
        modem.put(ModemReset())
        await clock.settle()
        assert network.statistics()[0][1]["nodes"] == 0

    scene(play, modem)


def test_a_network_in_which_nodes_come_and_go_settles_in_the_end():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        for number in range(FORMING_MS // 10000):
            assert not network.ready(OTHER)
            modem.put(Joined("%012x" % number))
            await clock.run(10000)
        assert network.ready(OTHER)

    scene(play, modem)


def test_without_any_modem():
    async def play(network, clock):
        assert network.usable(METER) == []
        assert network.obstacle(PLC) == "no modem"
        assert network.ready(METER)
        assert network.statistics() == []

    scene(play)


def test_modems_of_one_kind_are_told_apart_by_how_addresses_are_spelt():
    async def play():
        """A PRIME base node beside a G3 mesh whose meters have IP addresses."""
        network = Network(ManualClock())
        prime, mesh = ScriptedModem(), ScriptedModem()
        prime.capabilities = Capabilities("plc", 200, 0, 1, True, "eui48")
        mesh.capabilities = Capabilities("plc", 200, 0, 1, False, "host:port")
        network.add(mesh, 2)
        network.add(prime, 2)
        tasks = asyncio.create_task(network.run())
        here, there = Meter("A", [PLC]), Meter("B", [("plc", "[fd00::7]:4059")])
        for meter, modem in ((here, prime), (there, mesh)):
            link = await network.open(meter, meter.paths[0])
            await link.send(b"x")
            assert modem.sent.pop()[0] == meter.paths[0][1]
            await link.close()
        tasks.cancel()

    run(play())
