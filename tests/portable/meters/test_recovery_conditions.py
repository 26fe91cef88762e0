"""Recovery: what a modem that does not know, does not answer or fails makes of it."""

from __future__ import annotations

import asyncio

from gateway.meters.recovery import (
    ASK_MS,
    DISCOVER_MS,
    KICK_MS,
    KICKS_APART_MS,
    MAX_KICKED,
    RESET_MS,
    SILENCE_MS,
    SILENT_ATTEMPTS,
    SILENT_METERS,
    Pause,
)
from hal.ports import Joined
from tests.portable.meters.test_network import METER, OTHER, PLC, PLC2, ScriptedModem, scene
from tests.portable.meters.test_recovery import fails, later, street


def counts(network):
    row = network.statistics()[0][1]
    return [row["recovery-" + name] for name in ("discover", "kick", "reset")]


def test_times_as_people_were_told():
    assert DISCOVER_MS == (60_000, 3_600_000)
    assert KICK_MS == (300_000, 21_600_000)
    assert RESET_MS == (3_600_000, 86_400_000)
    assert (KICKS_APART_MS, ASK_MS, SILENCE_MS) == (5000, 10_000, 300_000)
    assert (SILENT_ATTEMPTS, SILENT_METERS, MAX_KICKED) == (2, 5, 64)


def test_a_pause_doubles_up_to_its_limit_give_or_take_a_quarter():
    for octet, share in ((0, 192), (128, 256), (255, 319)):
        pause = Pause((1000, 3000), lambda count, octet=octet: bytes([octet]))
        assert pause.due(0) and pause.ago(5, "done") == ""
        now = 0
        for length in (1000, 2000, 3000, 3000):
            pause.taken(now)
            length = length * share // 256
            assert not pause.due(now + length - 1) and pause.due(now + length)
            assert pause.ago(now + 1999, "done") == "done 1 s ago"
            now += length
        pause.begin_anew()
        pause.taken(now)
        assert not pause.due(now + 1000 * share // 256 - 1)
        assert pause.due(now + 1000 * share // 256)


def test_a_node_that_the_modem_does_not_know_any_more_is_looked_for():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        await later(clock, 60_000)
        modem.put(Joined(PLC2[1]))  # and the modem's own list has lost it since
        await clock.settle()
        fails(network, OTHER)
        assert await network.recover(OTHER) == "" and modem.asked == []
        fails(network, OTHER)
        assert await network.recover(OTHER) == "plc: asked the modem to look for nodes"
        assert modem.asked == ["discover"]
        assert counts(network) == [1, 0, 0]

    scene(play, modem)


def test_a_modem_that_fails_or_does_not_answer_has_done_nothing():
    for error in (OSError("unplugged"), ValueError("a fault of the driver"), None):
        modem = ScriptedModem(nodes=())

        async def discover(error=error):
            if error is not None:
                raise error
            await asyncio.Event().wait()

        modem.discover = discover

        async def play(network, clock, error=error):
            await later(clock, 60_000)
            asked = asyncio.create_task(network.recover(OTHER))
            await clock.settle()
            if error is None:
                assert not asked.done()
                await clock.run(ASK_MS - 1)
                assert not asked.done()
                await clock.run(1)
            assert await asked == ""
            assert counts(network) == [0, 0, 0]
            assert network.ready(OTHER), "nothing was done that an attempt should wait for"

        scene(play, modem)


def test_nodes_are_kicked_one_after_the_other():
    modem = ScriptedModem()

    async def play(network, clock):
        await later(clock, 60_000)
        for meter in (METER, OTHER):
            fails(network, meter)
            fails(network, meter)
        assert await network.recover(METER) == "plc: asked it to register anew"
        assert await network.recover(OTHER) == "", "not two at once"
        await later(clock, KICKS_APART_MS - 1)
        assert await network.recover(OTHER) == ""
        await later(clock, 1)
        assert await network.recover(OTHER) == "plc: asked it to register anew"
        assert await network.recover(METER) == "plc: asked it to register anew 5 s ago"
        assert modem.asked == ["kick " + PLC[1], "kick " + PLC2[1]]
        assert counts(network) == [0, 2, 0]

    scene(play, modem)


def test_an_answer_makes_the_next_time_gentle():
    modem = ScriptedModem()

    async def play(network, clock):
        await later(clock, 60_000)
        fails(network, OTHER)
        fails(network, OTHER)
        await network.recover(OTHER)
        network.record(OTHER, PLC2, True)
        fails(network, OTHER)
        assert await network.recover(OTHER) == "", "one silent attempt is none"
        fails(network, OTHER)
        await later(clock, KICKS_APART_MS)
        assert await network.recover(OTHER) == "plc: asked it to register anew"
        assert len(modem.asked) == 2

    scene(play, modem)


def test_what_it_takes_to_reset_a_modem():
    """Five meters that used to answer, and five minutes since the first of them fell silent."""
    for silent, waited_ms, resets in (
        (5, SILENCE_MS, 1),
        (4, SILENCE_MS, 0),
        (5, SILENCE_MS - 1, 0),
    ):
        modem = ScriptedModem()
        meters = street(5, modem)

        async def play(network, clock, meters=meters, modem=modem, row=(silent, waited_ms, resets)):
            silent, waited_ms, resets = row
            await later(clock, 60_000)
            for meter in meters:
                network.record(meter, meter.paths[0], True)
            for meter in meters[:silent]:
                fails(network, meter)
            await later(clock, waited_ms)
            await network.recover(meters[0])
            assert modem.asked.count("reset") == counts(network)[2] == resets, row

        scene(play, modem)
