"""Configuring: nothing written that needs not be, nothing invoked twice, everything read back."""

from __future__ import annotations

from gateway.activities import conditions, configure, protected_objects, readable
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused, NoAnswer, ProtocolError
from tests.portable.dlms.scripted_meter import MODEL, ScriptedMeter
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
    assert (result.outcome, result.reason) == ("KO", "access-denied")
    assert "read-write-denied" in result.detail
    meter = a_meter()
    meter.refuse_action[ACTIVATE] = "other-reason"
    assert outcome(meter).reason == "action-refused"


def test_after_a_refused_step_all_is_as_before():
    for key in (PERIOD, PASSIVE):
        meter = a_meter()
        was = dict(meter.values)
        meter.refuse_set[key] = "read-write-denied"
        result = outcome(meter)
        assert meter.values == was
        assert result.detail.endswith("restored, 1 values are as before")
    meter = a_meter()
    meter.refuse_action[ACTIVATE] = "other-reason"
    result = outcome(meter)
    assert meter.values == was
    assert meter.done == [("set", 7, 4), ("set", 20, 6), ("set", 20, 6), ("set", 7, 4)]
    assert result.detail.endswith("restored, 2 values are as before")


def test_nothing_is_put_back_where_nothing_was_written():
    meter = a_meter()
    package = a_package(steps=[Set(7, PROFILE, 4, S900)], checks=[Check(7, PROFILE, 4, S900)])
    meter.refuse_set[PERIOD] = "read-write-denied"
    assert "restored" not in outcome(meter, package).detail
    assert meter.done == []


def test_what_cannot_be_put_back_is_named():
    meter = a_meter()
    meter.refuse_get[PASSIVE] = "read-write-denied"  # so nobody knows what it was
    meter.refuse_action[ACTIVATE] = "other-reason"
    result = outcome(meter)
    assert (
        "not all is as before: the former activity_calendar.calendar_name_passive" in result.detail
    )
    assert meter.values[PERIOD] == S3600
    meter = a_meter()
    later = Set(7, PROFILE, 4, S900)
    active = Check(20, CALENDAR, 2, NEW)
    steps = [Set(20, CALENDAR, 6, NEW), Action(20, CALENDAR, 1, b"\x0f\x00", active), later]
    meter.refuse_set[PERIOD] = "read-write-denied"
    result = outcome(meter, a_package(steps=steps))
    assert "activate_passive_calendar of 0.0.13.0.0.255 has been done" in result.detail
    assert meter.values[PASSIVE] == OLD
    meter = a_meter()
    meter.ignore_set.append(PASSIVE)
    meter.refuse_action[ACTIVATE] = "other-reason"
    meter.values[PASSIVE] = axdr.encode((axdr.OCTET_STRING, b"SPRING"))
    assert "restored" in outcome(meter).detail


def test_putting_back_over_a_line_that_breaks():
    meter = a_meter()
    meter.refuse_action[ACTIVATE] = "other-reason"
    meter.silent_after = len(("set", "set"))
    result = outcome(meter)
    assert result.reason == "action-refused"
    assert "not all is as before: putting back failed" in result.detail


def test_a_meter_that_measures_otherwise_afterwards():
    clock, energy, columns = conditions.KEYS

    def at(hour):
        raw = b"\x07\xea\x0b\x17\x01" + bytes([hour]) + b"\x00\x00\x00\x00\x00\x00"
        return axdr.encode((axdr.OCTET_STRING, raw))

    def count(value):
        return axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, value))

    for key, was, fine, bad in (
        (clock, at(9), at(10), at(8)),
        (energy, count(7), count(7), count(0)),
        (columns, OLD, OLD, NEW),
        (energy, count(7), count(8), b"\x00"),
    ):
        for now, reason in (
            (fine, "applied"),
            (bad, "condition-broken"),
            (None, "condition-broken"),
        ):
            meter = a_meter()
            meter.values[key] = was
            meter.then_values = {key: now}
            result = outcome(meter)
            assert result.reason == reason, (key, now, result)


def test_a_condition_that_cannot_be_read_now_is_no_broken_one():
    """By what the meter says: it is busy, or it has a fault; else it is broken by what was done."""
    for refusal, reason in (
        ("temporary-failure", "meter-busy"),
        ("object-unavailable", "meter-busy"),
        ("hardware-fault", "meter-defective"),
        ("read-write-denied", "condition-broken"),
    ):
        meter = a_meter()
        meter.values[conditions.ENERGY] = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 7))
        held = meter.get_list

        async def get_list(items, meter=meter, held=held, refusal=refusal):
            if meter.done:
                meter.refuse_get[conditions.ENERGY] = refusal
            return await held(items)

        meter.get_list = get_list
        result = outcome(meter)
        assert result.reason == reason, (refusal, result)
        assert "of what was done" in result.detail or "as before" in result.detail


def test_a_method_of_the_clock_may_set_it_back():
    meter = a_meter()
    clock = b"\x09\x0c\x07\xea\x0b\x17\x01\x0c%c\x00\x00\x80\x00\x00"
    meter.values[conditions.CLOCK] = clock % 30
    adjust = (8, conditions.CLOCK[1], 1)

    def back(meter):
        meter.values[conditions.CLOCK] = clock % 15

    meter.methods[adjust] = back
    check = Check(8, conditions.CLOCK[1], 2, clock % 15)
    package = a_package(steps=[Action(8, conditions.CLOCK[1], 1, None, check)], checks=[check])
    assert outcome(meter, package).reason == "applied"


def test_what_the_steps_order_is_not_a_broken_condition():
    columns = conditions.COLUMNS
    meter = a_meter()
    meter.values[columns] = OLD
    package = a_package(steps=[Set(7, PROFILE, 3, NEW)], checks=[Check(7, PROFILE, 3, NEW)])
    assert outcome(meter, package).reason == "applied"


def test_switch_and_billing_data_only_when_the_package_says_so():
    register = b"\x01\x00\x01\x08\x00\xff"
    billing = b"\x00\x00\x62\x01\x00\xff"
    scripts = b"\x00\x00\x0a\x00\x64\xff"
    holds = Check(7, PROFILE, 4, S900)
    off = axdr.encode(
        (
            axdr.ARRAY,
            [
                (
                    axdr.STRUCTURE,
                    [
                        (axdr.LONG_UNSIGNED, 9),
                        (
                            axdr.ARRAY,
                            [
                                (
                                    axdr.STRUCTURE,
                                    [
                                        (axdr.ENUM, 2),
                                        (axdr.LONG_UNSIGNED, 70),
                                        (axdr.OCTET_STRING, b"\x00\x00\x60\x03\x0a\xff"),
                                        (axdr.INTEGER, 1),
                                        (axdr.INTEGER, 0),
                                    ],
                                )
                            ],
                        ),
                    ],
                )
            ],
        )
    )
    for step, word in (
        (Action(70, b"\x00\x00\x60\x03\x0a\xff", 1, b"\x0f\x00", holds), "switch"),
        (Set(70, b"\x00\x00\x60\x03\x0a\xff", 4, b"\x16\x04"), "switch"),
        (Action(9, b"\x00\x00\x0a\x00\x6a\xff", 1, b"\x12\x00\x01", holds), "switch"),
        (Set(9, scripts, 2, off), "switch"),
        (Action(3, register, 1, b"\x0f\x00", holds), "billing"),
        (Action(7, PROFILE, 1, b"\x0f\x00", holds), "billing"),
        (Set(7, billing, 4, S900), "billing"),
        (Action(9, b"\x00\x00\x0a\x00\x01\xff", 1, b"\x12\x00\x01", holds), "billing"),
    ):
        meter = a_meter()
        package = a_package(steps=[step], checks=[holds])
        result = outcome(meter, package)
        assert (result.outcome, result.reason) == ("KO", "not-permitted"), step
        assert word in result.detail and meter.done == []
        package.permits = [word]
        assert protected_objects.touches(step, isinstance(step, Action)) == word
        meter.methods[(step.class_id, step.obis, 1)] = lambda meter: None
        assert outcome(meter, package).reason != "not-permitted"
    assert protected_objects.touches(Set(9, scripts, 2, S900), False) == ""
    assert protected_objects.touches(Set(9, scripts, 2, b"\x06"), False) == ""


def test_dry_run_tells_and_writes_nothing():
    meter = a_meter()
    result = run(configure.compare(meter, "M1", a_package()))
    assert (result.outcome, result.reason) == ("VALUE", "compared")
    assert result.detail == "2 of 2 values differ"
    assert result.value == [S3600, OLD] and meter.done == []
    meter.values[PERIOD] = S900
    meter.refuse_get[ACTIVE] = "read-write-denied"
    result = run(configure.compare(meter, "M1", a_package()))
    assert result.value == [S900, b"\x00"] and result.detail == "1 of 2 values differ"
    assert run(configure.compare(a_meter(model="X"), "M1", a_package())).reason == "wrong-model"
    assert run(configure.compare(a_meter(serial="M2"), "M1", a_package())).reason == "wrong-meter"


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
    assert result.detail.startswith(
        "profile_generic.capture_period of 1.0.99.1.0.255:"
        " expected double-long-unsigned 900, came double-long-unsigned 3600; not all is as before"
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
    assert len(readable.shown(long)) < 70
    assert readable.shown(b"\x00") == "null-data"
    assert readable.shown(b"\x09\x02\x01\xff") == "octet-string 01ff"
    assert readable.shown(b"\x01\x02\x0f\x01\x0f\x02") == "array of 2 01020f010f02"
    assert readable.shown(b"\x77").startswith("malformed data")
    assert readable.one_line("a\n b\t" + "c" * 500).startswith("a b ccc")
    assert len(readable.one_line("c" * 500)) == readable.MOST_CHARACTERS
