"""The switch in a meter's supply: read first, ordered once, read afterwards."""

from __future__ import annotations

from gateway.activities import supply
from gateway.contract.job import ARM, DISCONNECT, RECONNECT
from gateway.dlms.data import axdr
from gateway.dlms.errors import ActionRefused, NoAnswer
from hal.sim.clock import ManualClock
from tests.portable.dlms.scripted_meter import ScriptedMeter
from tests.portable.support import raises, run

OBIS = b"\x00\x00\x60\x03\x0a\xff"
OUTPUT, STATE, MODE = [(70, OBIS, attribute) for attribute in (2, 3, 4)]


class Clock(ManualClock):
    async def sleep_ms(self, duration):
        self.advance(duration)


def put(meter, state):
    meter.values[STATE] = axdr.encode((axdr.ENUM, state))
    meter.values[OUTPUT] = axdr.encode((axdr.BOOLEAN, state == 1))


def made(state, mode=2):
    meter = ScriptedMeter()
    put(meter, state)
    meter.values[MODE] = axdr.encode((axdr.ENUM, mode))
    meter.clock = Clock()
    direct = mode in (2, 4)

    def disconnect(meter):
        put(meter, 0)

    def reconnect(meter):
        put(meter, 1 if direct else 2)

    meter.methods = {(70, OBIS, 1): disconnect, (70, OBIS, 2): reconnect}
    return meter


def ordered(meter, command, serial="M1"):
    order = supply.order_of([(70, OBIS, command)], None, False, meter.clock)
    return run(supply.run(meter, serial, order))


def test_opened_and_closed():
    meter = made(1)
    result = ordered(meter, DISCONNECT)
    assert (result.outcome, result.reason) == ("OK", "applied")
    assert result.detail == "the switch is disconnected"
    assert meter.done == [("action", 70, 1)]
    result = ordered(meter, RECONNECT)
    assert (result.outcome, result.reason) == ("OK", "applied")
    assert result.detail == "the switch is connected, and there is power behind it"
    assert meter.done[1:] == [("action", 70, 2)]


def test_what_holds_already_is_not_ordered():
    for state, mode, command in (
        (0, 2, DISCONNECT),
        (1, 2, RECONNECT),
        (2, 1, ARM),
        (2, 1, RECONNECT),
    ):
        meter = made(state, mode)
        result = ordered(meter, command)
        assert (result.outcome, result.reason, meter.done) == ("OK", "already-as-wanted", [])


def test_where_a_person_has_to_close_it_it_is_made_ready():
    for command in (RECONNECT, ARM):
        meter = made(0, mode=1)
        result = ordered(meter, command)
        assert (result.reason, result.detail) == ("applied", "the switch is ready for reconnection")


def test_what_the_meter_would_not_come_to_is_not_ordered():
    for state, mode, command, said in (
        (1, 0, DISCONNECT, "control mode is 0"),
        (0, 2, ARM, "would close the switch at once"),
        (1, 1, ARM, "it is connected"),
        (1, 1, RECONNECT, "it is connected"),
    ):
        meter = made(state, mode)
        result = ordered(meter, command)
        assert (result.outcome, result.reason) == ("KO", "switch-unsuited"), (state, mode, command)
        assert said in result.detail and meter.done == []


def test_an_answer_that_is_lost_costs_no_second_order():
    meter = made(1)
    meter.lose_after = 1
    raises(NoAnswer, ordered, meter, DISCONNECT)
    assert ordered(meter, DISCONNECT).reason == "already-as-wanted"
    assert meter.done == [("action", 70, 1)]


def test_an_order_that_is_lost_is_given_again():
    meter = made(1)
    meter.lose_before = 1
    raises(NoAnswer, ordered, meter, DISCONNECT)
    assert ordered(meter, DISCONNECT).reason == "applied"


def test_a_switch_that_does_not_move_is_told():
    meter = made(1)
    meter.methods[70, OBIS, 1] = lambda meter: None
    result = ordered(meter, DISCONNECT)
    assert (result.outcome, result.reason) == ("KO", "read-back-differs")
    assert "connected still, not disconnected" in result.detail
    assert meter.done == [("action", 70, 1)]  # once


def test_another_meter_is_left_alone():
    meter = made(1)
    assert ordered(meter, DISCONNECT, "M2").reason == "wrong-meter" and meter.done == []


def test_what_the_meter_refuses_comes_out():
    meter = made(1)
    meter.refuse_action[70, OBIS, 1] = "read-write-denied"
    assert raises(ActionRefused, ordered, meter, DISCONNECT).result == "read-write-denied"
