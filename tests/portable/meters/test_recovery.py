"""Getting meters back: what is done, when, how often, and what is left alone."""

from __future__ import annotations

from gateway.meters.inventory import Meter
from gateway.meters.network import GRACE_MS, MAX_GRACES
from gateway.meters.recovery import (
    DISCOVER_MS,
    KICK_MS,
    MAX_KICKED,
    SILENCE_MS,
    SILENT_METERS,
)
from hal.ports import Joined, Left, ModemReset
from tests.portable.meters.test_network import METER, OTHER, PLC, PLC2, RF, ScriptedModem, scene

DAY_MS = 86400000


def street(count, modem=None):
    """Meters that are registered with the modem."""
    meters = [Meter("M%d" % i, [("plc", "%012x" % i)]) for i in range(count)]
    if modem is not None:
        modem._nodes += [meter.paths[0][1] for meter in meters]
    return meters


async def later(clock, duration):
    clock.advance(duration)
    await clock.settle()


def fails(network, meter):
    for path in meter.paths:
        if not network.obstacle(path):
            network.record(meter, path, False)


def succeeds(network, meter):
    network.record(meter, meter.paths[0], True)


def test_a_meter_that_is_not_registered_is_looked_for():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        await later(clock, 60000)
        assert network.ready(OTHER)
        words = await network.recover(OTHER)
        assert words == "plc: asked the modem to look for nodes"
        assert modem.asked == ["discover"]
        # The next attempt waits for it to take effect, and no longer.
        assert not network.ready(OTHER)
        modem.put(Joined(PLC2[1]))
        await clock.settle()
        assert network.ready(OTHER)
        modem.put(Left(PLC2[1]))
        await clock.settle()
        assert not network.ready(OTHER)
        await later(clock, GRACE_MS + 1)
        assert network.ready(OTHER)
        assert network.statistics()[0][1]["recovery-discover"] == 1

    scene(play, modem)


def test_looking_for_nodes_gets_rarer_while_nobody_comes():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        begun = clock.ticks_ms()
        asked = []
        while clock.ticks_ms() - begun < DAY_MS:
            await network.recover(OTHER)
            if len(modem.asked) > len(asked):
                asked.append(clock.ticks_ms() - begun)
            await later(clock, 10000)
        assert 24 <= len(asked) <= 36, len(asked)
        pauses = [asked[i + 1] - asked[i] for i in range(len(asked) - 1)]
        assert pauses[0] <= DISCOVER_MS[0] * 5 // 4 + 10000
        assert max(pauses) <= DISCOVER_MS[1] * 5 // 4 + 10000
        assert len(set(pauses[-10:])) > 1  # jitter
        # Somebody has come: look again sooner.
        modem.put(Joined("0080e1000077"))
        modem.asked.clear()
        await later(clock, 2 * DISCOVER_MS[1])
        await network.recover(OTHER)
        await later(clock, 2 * DISCOVER_MS[0])
        await network.recover(OTHER)
        assert len(modem.asked) == 2

    scene(play, modem)


def test_a_meter_silent_twice_registers_anew_and_no_other_does():
    modem = ScriptedModem()

    async def play(network, clock):
        fails(network, METER)
        assert await network.recover(METER) == ""
        fails(network, METER)
        assert await network.recover(METER) == "plc: asked it to register anew"
        assert modem.asked == ["kick " + PLC[1]]
        fails(network, METER)
        await later(clock, 60000)
        words = await network.recover(METER)  # not again so soon
        assert words == "plc: asked it to register anew 60 s ago"
        await later(clock, 2 * KICK_MS[0])
        await network.recover(METER)
        assert len(modem.asked) == 2
        # It doubles: at most a handful a day.
        for _ in range(24 * 6):
            await later(clock, 600000)
            await network.recover(METER)
        assert 7 <= len(modem.asked) <= 14, len(modem.asked)
        assert modem.asked == ["kick " + PLC[1]] * len(modem.asked)

    scene(play, modem)


def test_an_answer_makes_it_begin_gently_again():
    modem = ScriptedModem()

    async def play(network, clock):
        for _ in range(2):
            fails(network, METER)
        assert await network.recover(METER)
        network.record(METER, PLC, True)
        fails(network, METER)
        await later(clock, 10000)
        assert await network.recover(METER) == ""
        fails(network, METER)
        assert await network.recover(METER)

    scene(play, modem)


def test_both_paths_are_recovered():
    plc, rf = ScriptedModem(nodes=()), ScriptedModem("rf", ())

    async def play(network, clock):
        for _ in range(2):
            network.record(METER, RF, False)
        words = await network.recover(METER)
        assert words == "plc: asked the modem to look for nodes; rf: forgot the way to it"
        assert (plc.asked, rf.asked) == (["discover"], ["kick " + RF[1]])

    scene(play, plc, rf)


def test_a_silent_network_makes_the_modem_start_anew():
    modem = ScriptedModem(nodes=())
    meters = street(20, modem)

    async def play(network, clock):
        for meter in meters:
            succeeds(network, meter)
        await later(clock, SILENCE_MS + 1)
        for meter in meters[: SILENT_METERS - 1]:
            fails(network, meter)
        await network.recover(meters[0])
        assert "reset" not in modem.asked  # so many may be out by themselves
        fails(network, meters[10])
        await network.recover(meters[10])
        assert "reset" not in modem.asked  # nor for long enough, though it was idle before
        await later(clock, SILENCE_MS)
        fails(network, meters[11])
        assert await network.recover(meters[11]) == "plc: modem reset"
        await clock.settle()
        assert modem.asked[-1] == "reset"
        assert network.statistics()[0][1]["recovery-reset"] == 1
        # It did not help: nothing for an hour, then ever more seldom.
        count = 0
        for _ in range(2 * DAY_MS // 600000):
            await later(clock, 600000)
            for meter in meters:
                await network.recover(meter)
            assert modem.asked.count("reset") - count <= 1
            count = modem.asked.count("reset")
        assert 4 <= count <= 8, count

    scene(play, modem)


def test_no_reset_while_anybody_is_heard():
    modem = ScriptedModem(nodes=())
    meters = street(30, modem)

    async def play(network, clock):
        for meter in meters:
            succeeds(network, meter)
        link = await network.open(meters[0], meters[0].paths[0])
        for _ in range(50):
            await later(clock, SILENCE_MS - 1000)
            modem.answer(b"!", meters[0].paths[0][1])
            await clock.settle()
            await link.receive(10)
            for meter in meters[1:]:
                fails(network, meter)
                await network.recover(meter)
        assert "reset" not in modem.asked

    scene(play, modem)


def test_meters_never_heard_are_no_evidence_against_the_modem():
    modem = ScriptedModem(nodes=())
    meters = street(30, modem)

    async def play(network, clock):
        for _ in range(20):
            await later(clock, SILENCE_MS)
            for meter in meters:
                fails(network, meter)
                await network.recover(meter)
        assert "reset" not in modem.asked

    scene(play, modem)


def test_nodes_that_vanish_from_the_list_are_evidence():
    modem = ScriptedModem(nodes=())
    meters = street(10, modem)

    async def play(network, clock):
        for meter in meters:
            succeeds(network, meter)
        modem._nodes = []
        modem.put(ModemReset())
        await clock.settle()
        for meter in meters:
            await network.recover(meter)
        assert "reset" not in modem.asked
        await later(clock, SILENCE_MS)
        await network.recover(meters[0])
        assert "reset" in modem.asked

    scene(play, modem)


def test_a_street_gone_silent_is_not_kicked_all_at_once():
    modem = ScriptedModem(nodes=())
    meters = street(200, modem)

    async def play(network, clock):
        for meter in meters:
            for _ in range(2):
                fails(network, meter)
        for meter in meters:
            await network.recover(meter)
        assert len(modem.asked) == 1
        for _ in range(3):
            for meter in meters:
                await network.recover(meter)
                await later(clock, 5000)
        recovery = network._recoveries[0]
        assert len(recovery._kicked) <= MAX_KICKED and len(network._graces) <= MAX_GRACES

    scene(play, modem)


def test_a_modem_that_fails_while_it_is_asked():
    modem = ScriptedModem(nodes=())

    async def fails_to(*_):
        raise ValueError("a fault in the driver")

    async def play(network, clock):
        modem.discover = fails_to
        assert await network.recover(OTHER) == ""
        assert network.statistics()[0][1]["recovery-discover"] == 0

    scene(play, modem)


def test_nothing_is_asked_of_a_modem_that_is_gone():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        modem.counters = {"up": 0}
        await later(clock, 10000)
        assert await network.recover(OTHER) == ""
        assert modem.asked == []

    scene(play, modem)
