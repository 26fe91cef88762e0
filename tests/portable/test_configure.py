"""Configuring: nothing written that needs not be, nothing invoked twice, everything read back."""

from __future__ import annotations

from gateway.activities import configure, words
from gateway.dlms import axdr
from gateway.dlms.errors import AccessRefused, NoAnswer, ProtocolError
from gateway.uplink.package import Action, Check, Package, Set
from tests.portable.scripted_meter import MODEL, ScriptedMeter
from tests.portable.support import raises, run

PROFILE = b"\x01\x00\x63\x01\x00\xff"
CALENDAR = b"\x00\x00\x0d\x00\x00\xff"
PERIOD = (7, PROFILE, 4)
ACTIVE, PASSIVE, ACTIVATE = (20, CALENDAR, 2), (20, CALENDAR, 6), (20, CALENDAR, 1)
OLD = axdr.encode((axdr.OCTET_STRING, b"WINTER"))
NEW = axdr.encode((axdr.OCTET_STRING, b"SUMMER"))
S900 = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 900))
S3600 = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 3600))


def activate(meter):
    meter.values[ACTIVE] = meter.values[PASSIVE]


def a_meter(**identity):
    meter = ScriptedMeter(**identity)
    meter.values[PERIOD] = S3600
    meter.values[ACTIVE] = OLD
    meter.values[PASSIVE] = OLD
    meter.methods[ACTIVATE] = activate
    return meter


def a_package(targets=(("AMI-E450", ["V02."]),), steps=None, checks=None):
    active = Check(20, CALENDAR, 2, NEW)
    if steps is None:
        steps = [
            Set(7, PROFILE, 4, S900),
            Set(20, CALENDAR, 6, NEW),
            Action(20, CALENDAR, 1, b"\x0f\x00", active),
        ]
    if checks is None:
        checks = [Check(7, PROFILE, 4, S900), active]
    return Package("p", "1", "", list(targets), steps, checks)


def outcome(meter, package=None, serial="M1"):
    return run(configure.run(meter, serial, package or a_package()))


def test_steps_in_order_then_read_back():
    meter = a_meter()
    result = outcome(meter)
    assert (result.outcome, result.reason) == ("OK", "applied")
    assert result.detail == "3 of 3 steps were needed"
    assert meter.done == [("set", 7, 4), ("set", 20, 6), ("action", 20, 1)]
    assert meter.values[ACTIVE] == NEW and meter.values[PERIOD] == S900


def test_a_second_time_writes_nothing():
    meter = a_meter()
    outcome(meter)
    meter.done = []
    result = outcome(meter)
    assert (result.outcome, result.reason) == ("OK", "already-as-wanted")
    assert meter.done == []


def test_only_what_differs_is_written():
    meter = a_meter()
    meter.values[PERIOD] = S900
    meter.values[PASSIVE] = NEW
    result = outcome(meter)
    assert result.detail == "1 of 3 steps were needed"
    assert meter.done == [("action", 20, 1)]


def test_a_method_whose_work_is_done_is_not_invoked():
    meter = a_meter()
    meter.values[ACTIVE] = NEW
    meter.values[PASSIVE] = NEW
    outcome(meter)
    assert meter.done == [("set", 7, 4)]


def test_equal_values_in_another_encoding():
    meter = a_meter()
    outcome(meter)
    meter.done = []
    meter.values[ACTIVE] = b"\x09\x81\x06SUMMER"
    assert outcome(meter).reason == "already-as-wanted"
    assert meter.done == []


def test_identity_comes_before_everything():
    for identity, reason in (
        ({"serial": "M2"}, "wrong-meter"),
        ({"model": "AMI-X"}, "wrong-model"),
        ({"firmware": "V01.08.00"}, "wrong-firmware"),
    ):
        meter = a_meter(**identity)
        result = outcome(meter)
        assert (result.outcome, result.reason) == ("KO", reason)
        assert meter.done == []
        assert [word for word in identity.values() if word in result.detail]


def test_targets():
    several = [("AMI-E350", []), ("AMI-E450", ["V01.", "V02.10"]), ("AMI-E450", ["V03."])]
    assert outcome(a_meter(), a_package(several)).outcome == "OK"
    assert outcome(a_meter(firmware="V03.9"), a_package(several)).outcome == "OK"
    assert outcome(a_meter(firmware="V02.2"), a_package(several)).reason == "wrong-firmware"
    assert outcome(a_meter(model="AMI-E350", firmware="?"), a_package(several)).outcome == "OK"


def test_refusals():
    meter = a_meter()
    meter.refuse_set[PERIOD] = "read-write-denied"
    result = outcome(meter)
    assert (result.outcome, result.reason) == ("KO", "write-refused")
    assert "read-write-denied" in result.detail and meter.done == []
    meter = a_meter()
    meter.refuse_action[ACTIVATE] = "other-reason"
    assert outcome(meter).reason == "action-refused"
    assert meter.done == [("set", 7, 4), ("set", 20, 6)]


def test_a_busy_meter_is_worth_another_try():
    meter = a_meter()
    meter.refuse_set[PERIOD] = "temporary-failure"
    result = outcome(meter)
    assert result.reason == "meter-busy" and result.worth_retrying()
    meter.refuse_set = {}
    meter.refuse_action[ACTIVATE] = "temporary-failure"
    assert outcome(meter).reason == "meter-busy"


def test_a_write_the_meter_forgets():
    meter = a_meter()
    meter.ignore_set.append(PERIOD)
    result = outcome(meter)
    assert (result.outcome, result.reason) == ("KO", "read-back-differs")
    assert result.detail == (
        "profile_generic.capture_period of 1.0.99.1.0.255:"
        " expected double-long-unsigned 900, came double-long-unsigned 3600"
    )


def test_an_attribute_that_can_only_be_written():
    meter = a_meter()
    meter.refuse_get[PASSIVE] = "read-write-denied"
    assert outcome(meter).reason == "applied"


def test_a_check_that_cannot_be_read_comes_out():
    meter = a_meter()
    meter.refuse_get[ACTIVE] = "object-undefined"
    raises(AccessRefused, outcome, meter)
    assert meter.done == []


def test_a_lost_action_is_invoked_again():
    meter = a_meter()
    meter.lose_before = 2
    assert outcome(meter).reason == "applied"
    assert meter.done.count(("action", 20, 1)) == 1


def test_a_lost_answer_of_an_action_is_not():
    meter = a_meter()
    meter.lose_after = 1
    assert outcome(meter).reason == "applied"
    assert meter.done.count(("action", 20, 1)) == 1


def test_an_action_that_never_gets_through():
    meter = a_meter()
    meter.lose_before = 100
    raises(NoAnswer, outcome, meter)
    assert meter.lose_before == 100 - configure.INVOKE_TRIES


def test_malformed_values_in_the_package():
    bad = b"\x06\x00\x00"
    active = Check(20, CALENDAR, 2, NEW)
    for package in (
        a_package(checks=[Check(7, PROFILE, 4, bad)]),
        a_package(steps=[Set(7, PROFILE, 4, bad)]),
        a_package(steps=[Action(20, CALENDAR, 1, None, Check(7, PROFILE, 4, bad))]),
        a_package(steps=[Action(20, CALENDAR, 1, bad, active)]),
    ):
        meter = a_meter()
        result = outcome(meter, package)
        assert (result.outcome, result.reason) == ("KO", "bad-package")
        assert meter.done == []


def test_malformed_values_of_the_meter():
    meter = a_meter()
    meter.values[PERIOD] = b"\x06\x00\x00"
    raises(ProtocolError, outcome, meter)
    meter = a_meter()
    meter.values[MODEL] = b""
    raises(ProtocolError, outcome, meter)


def test_values_in_words_are_short_and_on_one_line():
    long = axdr.encode((axdr.OCTET_STRING, b"x" * 500))
    assert len(words.shown(long)) < 70
    assert words.shown(b"\x00") == "null-data"
    assert words.shown(b"\x09\x02\x01\xff") == "octet-string 01ff"
    assert words.shown(b"\x01\x02\x0f\x01\x0f\x02") == "array of 2 01020f010f02"
    assert words.shown(b"\x77").startswith("malformed data")
    assert words.one_line("a\n b\t" + "c" * 500).startswith("a b ccc")
    assert len(words.one_line("c" * 500)) == words.MAX_DETAIL
