"""Each condition of the network by itself: slots, sizes, obstacles, costs, who counts."""

from __future__ import annotations

import asyncio

from gateway.meters.inventory import Meter
from gateway.meters.link import TX_STUCK_MS
from gateway.meters.modem_port import FIRST_BACKOFF_MS, MAX_BACKOFF_MS
from gateway.meters.network import GRACE_MS, LOOK_MS, NO_PATH_COST, Network
from hal.ports import Busy, Capabilities, DutyCycle, Joined, Left, NoRoute, Quality, Rx, TxDone
from hal.sim.clock import ManualClock
from tests.portable.meters.test_network import (
    METER,
    OTHER,
    PLC,
    PLC2,
    RF,
    ScriptedModem,
    outcome,
    scene,
)
from tests.portable.support import run

IP = ("ip", "127.0.0.1:4059")


def plain(*modems):
    """A network nobody runs, with its clock."""
    clock = ManualClock()
    network = Network(clock)
    for modem, slots in modems:
        network.add(modem, slots)
    return network, clock


def test_slots_of_each_kind_of_path():
    network, _ = plain((ScriptedModem(), 2), (ScriptedModem("rf", ()), 3), (ScriptedModem(), 5))
    assert network.slots("plc") == 7
    assert network.slots("rf") == 3
    assert network.slots("ip") == 0


def test_the_smallest_broadcast_of_the_modems_that_are_at_work():
    first, second, mute, gone = [ScriptedModem() for _ in range(4)]
    first.capabilities = Capabilities("plc", 200, 90, 1, True)
    second.capabilities = Capabilities("plc", 200, 70, 1, True)
    mute.capabilities = Capabilities("plc", 200, 0, 1, True)
    gone.capabilities = Capabilities("plc", 200, 50, 1, True)
    network, _ = plain((first, 1), (second, 1), (mute, 1), (gone, 1))
    assert network.broadcast_mtu("plc") == 50
    gone.counters["up"] = 0
    network.ports()[3].look()
    assert network.broadcast_mtu("plc") == 70
    assert network.broadcast_mtu("rf") == 0
    network, _ = plain((mute, 1))
    assert network.broadcast_mtu("plc") == 0


def test_why_a_path_is_not_usable():
    modem = ScriptedModem(nodes=(PLC[1],))
    network, _ = plain((modem, 1))
    assert network.obstacle(PLC) == ""
    assert network.obstacle(PLC2) == "not registered"
    assert network.obstacle(RF) == "no modem"
    modem.counters["up"] = 0
    network.ports()[0].look()
    assert network.obstacle(PLC) == network.obstacle(PLC2) == "modem gone"
    assert network.usable(METER) == []


def test_full_only_when_no_modem_has_a_slot():
    async def play(network, clock):
        assert not network.full()
        first = await network.open(METER, PLC)
        assert not network.full()
        second = await network.open(METER, RF)
        assert network.full()
        await first.close()
        assert not network.full()
        await second.close()

    scene(play, ScriptedModem(), ScriptedModem("rf", (RF[1],)), meters_at_once=1)
    assert not plain()[0].full(), "without a modem an attempt says at once what is wrong"


def test_a_slot_given_back_is_taken_by_who_waits():
    async def play(network, clock):
        assert network.claim(METER)
        waiting = asyncio.create_task(network.open(OTHER, PLC2))
        await clock.settle()
        assert not waiting.done()
        network.release(METER)
        await clock.settle()
        assert waiting.done()
        network.release(METER)  # what was not claimed is not given back twice
        assert not network.ready(Meter("C", [PLC]))
        await (await waiting).close()

    scene(play, ScriptedModem(), meters_at_once=1)


def test_a_claim_takes_one_slot_of_the_best_path_that_has_one():
    async def play(network, clock):
        link = await network.open(OTHER, PLC2)
        assert network.claim(METER), "PLC is taken: a slot of RF"
        assert [len(port.claims) for port in network.ports()] == [0, 1]
        await link.close()
        assert network.ready(OTHER)
        assert network.claim(OTHER)
        assert [len(port.claims) for port in network.ports()] == [1, 1]

    scene(play, ScriptedModem(), ScriptedModem("rf", (RF[1],)), meters_at_once=1)


def test_opened_twice_is_busy_and_not_registered_is_no_route():
    async def play(network, clock):
        link = await network.open(METER, PLC)
        error = await outcome(network.open(METER, PLC))
        assert isinstance(error, Busy) and PLC[1] in str(error)
        # As another client it is another conversation.
        other = await network.open(METER.as_client(16), PLC)
        assert other.client_sap == 16
        error = await outcome(
            network.open(Meter("C", [("plc", "0080e1000009")]), ("plc", "0080e1000009"))
        )
        assert isinstance(error, NoRoute) and "not registered" in str(error)
        await link.close()
        await other.close()

    scene(play, ScriptedModem(), meters_at_once=2)


def test_waiting_for_a_slot_ends_when_the_path_is_gone():
    modem = ScriptedModem()

    async def play(network, clock):
        link = await network.open(METER, PLC)
        waiting = asyncio.create_task(outcome(network.open(OTHER, PLC2)))
        await clock.settle()
        modem._nodes.remove(PLC2[1])
        modem.put(Left(PLC2[1]))
        await clock.settle()
        await link.close()
        await clock.settle()
        assert isinstance(await waiting, NoRoute)

    scene(play, modem, meters_at_once=1)


def test_cost_is_that_of_the_best_path():
    async def play(network, clock):
        assert network.cost(Meter("C", [("plc", "0080e1000009")])) == NO_PATH_COST == 1 << 20
        fresh = network.cost(METER)
        assert fresh == network.reachability.cost(METER, PLC)
        network.record(METER, PLC, True, 100, 5)
        assert network.cost(METER) == network.reachability.cost(METER, PLC) > fresh
        network.record(METER, PLC, False)
        network.record(METER, PLC, False)
        assert network.cost(METER) == network.reachability.cost(METER, RF)

    scene(play, ScriptedModem(), ScriptedModem("rf", (RF[1],)))


def test_how_many_of_the_meters_have_a_usable_path():
    network, _ = plain((ScriptedModem(nodes=(PLC[1],)), 1))
    nobody = Meter("C", [("plc", "0080e1000009"), RF])
    assert network.reachable([METER, OTHER, nobody]) == 1
    assert network.reachable([]) == 0
    assert network.reachable([METER, METER]) == 2


def test_attempts_are_counted_where_they_went():
    network, _ = plain((ScriptedModem(), 1), (ScriptedModem("rf", (RF[1],)), 1))
    network.record(METER, PLC, True)
    network.record(METER, PLC, False)
    network.record(METER, PLC, False)
    network.record(METER, RF, True)
    network.failed_over(RF)

    def counts(place):
        row = network.statistics()[place][1]
        return [row["attempt-" + name] for name in ("answered", "silent", "failover")]

    assert counts(0) == [1, 2, 0]
    assert counts(1) == [1, 0, 1]
    kind, row = network.statistics()[1]
    assert (kind, row["alive"], row["links"], row["nodes"]) == ("rf", 1, 0, 1)


def test_an_answer_ends_the_grace():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        await clock.run(60000)
        assert await network.recover(OTHER) == "plc: asked the modem to look for nodes"
        assert not network.ready(OTHER)
        network.record(OTHER, PLC2, True)
        assert network.ready(OTHER)

    scene(play, modem)


def test_a_grace_lasts_so_long_and_not_longer():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        await clock.run(60000)
        await network.recover(OTHER)
        await clock.run(GRACE_MS - 1)
        assert not network.ready(OTHER)
        await clock.run(1)
        assert network.ready(OTHER)

    scene(play, modem)


def test_nothing_is_waited_for_when_nothing_was_done():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        await clock.run(60000)
        await network.recover(METER)
        await clock.run(1000)
        words = await network.recover(OTHER)
        assert words == "plc: asked the modem to look for nodes 1 s ago"
        assert network.ready(OTHER)

    scene(play, modem)


def test_everything_is_told_of_a_modem_with_its_name():
    modem = ScriptedModem()
    told = []

    async def play():
        clock = ManualClock()
        network = Network(clock, tell=lambda *what: told.append(what))
        network.add(modem, 1)
        looks = []
        task = asyncio.create_task(network.run(lambda: looks.append(clock.ticks_ms())))
        await clock.settle()
        modem.counters["up"] = 0
        await clock.run(3 * 60000)
        assert told == [("modem-down", "plc: the modem does not answer; check it")]
        modem.counters["up"] = 1
        await clock.run(3 * 60000)
        assert told[1:] == [("modem-up", "plc: the modem is at work again")]
        assert len(looks) == 6 * 60000 // LOOK_MS
        task.cancel()

    run(play())


# ---------------------------------------------------------------- one modem


def test_a_modem_that_fails_is_tried_ever_more_seldom():
    modem = ScriptedModem()

    async def play(network, clock):
        port = network.ports()[0]
        pause = FIRST_BACKOFF_MS
        for _ in range(8):
            modem.put(OSError("unplugged"))
            await clock.settle()
            assert not port.alive()
            await clock.run(pause - 1)
            assert not port.alive(), pause
            await clock.run(1)
            assert port.alive(), pause
            await clock.run(2 * MAX_BACKOFF_MS)  # the reader has slept as long, and listens again
            pause = min(2 * pause, MAX_BACKOFF_MS)
        # Whoever speaks begins anew.
        modem.put(Joined("0080e1000077"))
        modem.put(OSError("unplugged"))
        await clock.settle()
        await clock.run(FIRST_BACKOFF_MS)
        assert port.alive()

    scene(play, modem)


def test_hops_are_those_of_the_newest_frame_that_tells_them():
    modem = ScriptedModem(in_flight=4)

    async def play(network, clock):
        link = await network.open(METER, PLC)
        assert link.hops == 0
        for hops, expected in ((3, 3), (0, 3), (2, 2)):
            modem.put(Rx(PLC[1], 1, 1, b"x", Quality(hops=hops)))
            await clock.settle()
            assert link.hops == expected
        modem.put(Rx(PLC[1], 1, 1, b"x", None))
        await clock.settle()
        assert link.hops == 2
        assert (link.sent, link.heard) == (0, 0)
        await link.send(b"1")
        await link.receive(10)
        assert (link.sent, link.heard) == (1, 1)

    scene(play, modem)


def test_who_is_late_is_a_node_and_who_is_a_stranger_is_none():
    modem = ScriptedModem()

    async def play(network, clock):
        for address in (PLC[1], PLC[1], "0080e1ffffff"):
            modem.answer(b"x", address)
        await clock.settle()
        counts = network.statistics()[0][1]
        assert (counts["link-late"], counts["link-stranger"], counts["link-overrun"]) == (2, 1, 0)

    scene(play, modem)


def test_a_frame_lost_is_counted_and_one_delivered_is_not():
    modem = ScriptedModem()

    async def play(network, clock):
        link = await network.open(METER, PLC)
        for status, lost in ((0, 0), (1, 1), (0, 1), (7, 2)):
            modem.status = status
            await link.send(b"x")
            await clock.settle()
            assert network.statistics()[0][1]["link-lost"] == lost

    scene(play, modem)


def test_a_busy_modem_is_tried_each_second_for_so_long():
    assert TX_STUCK_MS == 90_000
    modem = ScriptedModem()
    modem.refuse = [Busy("full") for _ in range(100)]

    async def play(network, clock):
        link = await network.open(METER, PLC)
        sending = asyncio.create_task(outcome(link.send(b"x")))
        await clock.settle()
        for second in range(90):
            assert (100 - len(modem.refuse), sending.done()) == (second + 1, False)
            await clock.run(999)
            assert (100 - len(modem.refuse), sending.done()) == (second + 1, False)
            await clock.run(1)
        assert isinstance(await sending, Busy) and len(modem.refuse) == 9

    scene(play, modem)


def test_radio_budget_is_waited_for_up_to_a_minute():
    for wait_ms, waits in ((60000, True), (60001, False)):
        modem = ScriptedModem()
        modem.refuse = [DutyCycle(wait_ms)]

        async def play(network, clock, modem=modem, wait_ms=wait_ms, waits=waits):
            link = await network.open(METER, PLC)
            sending = asyncio.create_task(outcome(link.send(b"x")))
            await clock.settle()
            assert sending.done() != waits
            if waits:
                await clock.run(wait_ms - 1)
                assert modem.sent == []
                await clock.run(1)
                assert len(modem.sent) == 1
                await sending
            else:
                assert isinstance(await sending, DutyCycle)

        scene(play, modem)


def test_an_early_done_of_another_frame_is_not_this_ones():
    modem = ScriptedModem(in_flight=2, early=True)
    modem.status = None

    async def play(network, clock):
        link = await network.open(METER, PLC)
        modem.put(TxDone(99, 0))
        sending = asyncio.create_task(outcome(link.send(b"x")))
        await clock.settle()
        assert not sending.done()
        modem.put(TxDone(1, 0))
        await clock.settle()
        assert sending.done()

    scene(play, modem)


def test_a_done_that_belonged_to_nobody_is_not_the_next_frames():
    modem = ScriptedModem(in_flight=2)
    modem.status = None

    async def play(network, clock):
        link = await network.open(METER, PLC)
        modem.put(TxDone(2, 0))  # of a frame from before our start
        modem.put(TxDone(1, 0))
        await clock.settle()
        for handle in (1, 2):
            sending = asyncio.create_task(outcome(link.send(b"x")))
            await clock.settle()
            assert not sending.done(), handle
            modem.put(TxDone(handle, 0))
            await clock.settle()
            assert sending.done(), handle

    scene(play, modem)
