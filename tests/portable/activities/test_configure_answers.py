"""Configuring: answers that are lost, refusals that pass, and what the result says was put back."""

from __future__ import annotations

from gateway.activities import configure
from gateway.contract.package import Action, Check, Set
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused, ActionRefused, NoAnswer, ProtocolError
from tests.portable.activities.test_configure import (
    ACTIVATE,
    ACTIVE,
    CALENDAR,
    NEW,
    OLD,
    PASSIVE,
    PERIOD,
    PROFILE,
    S900,
    S3600,
    a_meter,
    a_package,
    outcome,
)
from tests.portable.support import raises

METHOD = "ACTION activity_calendar.activate_passive_calendar of 0.0.13.0.0.255"
HOLDS = Check(20, CALENDAR, 2, NEW)
ACTION = Action(20, CALENDAR, 1, b"\x0f\x00", HOLDS)
SET_PASSIVE = Set(20, CALENDAR, 6, NEW)
SET_PERIOD = Set(7, PROFILE, 4, S900)


def told(result):
    return result.outcome, result.reason


def steps(*several):
    return a_package(steps=list(several), checks=[HOLDS])


# ---------------------------------------------------------------- what was done is never "restored"


def test_a_method_done_is_named_when_a_later_step_is_refused():
    """Whether its answer came or was lost, and with nothing else written."""
    for lost in (0, 1):
        meter = a_meter()
        meter.values[PASSIVE] = NEW
        meter.lose_after = lost
        meter.refuse_set[PERIOD] = "read-write-denied"
        result = outcome(meter, steps(ACTION, SET_PERIOD))
        assert told(result) == ("KO", "access-denied")
        assert result.detail.endswith("; not all is as before: %s has been done" % METHOD), lost
        assert meter.done == [("action", 20, 1)]


def test_a_method_that_may_have_been_done_is_named():
    """Its answer is lost, its check does not hold, and asked again the meter refuses."""
    meter = a_meter()

    def half(meter):
        meter.refuse_action[ACTIVATE] = "other-reason"

    meter.methods[ACTIVATE] = half
    meter.lose_after = 1
    result = outcome(meter, steps(SET_PASSIVE, ACTION))
    assert told(result) == ("KO", "action-refused")
    assert result.detail.endswith("; not all is as before: %s may have been done" % METHOD)
    assert meter.values[PASSIVE] == OLD, "what was written is put back all the same"
    assert meter.done == [("set", 20, 6), ("action", 20, 1), ("set", 20, 6)]


def test_a_method_that_was_heard_and_takes_its_time_is_judged_by_its_check():
    """Its answer is lost; when it is asked again it is at work, and refuses."""
    for refusal in ("temporary-failure", "other-reason"):
        meter = a_meter()
        held = meter.action

        def begins(meter, refusal=refusal):
            meter.refuse_action[ACTIVATE] = refusal

        async def action(*item, meter=meter, held=held):
            try:
                await held(*item)
            except ActionRefused:
                meter.values[ACTIVE] = NEW  # done in the meantime
                raise

        meter.action = action
        meter.methods[ACTIVATE] = begins
        meter.lose_after = 1
        result = outcome(meter, steps(SET_PASSIVE, ACTION))
        assert told(result) == ("OK", "applied"), refusal


def test_a_method_refused_at_once_was_not_done():
    for refusal, reason in (
        ("other-reason", "action-refused"),
        ("temporary-failure", "meter-busy"),
        ("object-unavailable", "meter-busy"),
        ("object-undefined", "object-mismatch"),
        ("object-class-inconsistent", "object-mismatch"),
        ("read-write-denied", "access-denied"),
        ("scope-of-access-violated", "access-denied"),
        ("type-unmatched", "type-mismatch"),
        ("hardware-fault", "meter-defective"),
    ):
        meter = a_meter()
        meter.refuse_action[ACTIVATE] = refusal
        result = outcome(meter, steps(SET_PASSIVE, ACTION))
        assert told(result) == ("KO", reason), refusal
        assert result.detail.endswith("; restored, 1 values are as before")
        assert meter.values[PASSIVE] == OLD
        meter = a_meter()
        meter.refuse_action[ACTIVATE] = refusal
        result = outcome(meter, steps(ACTION))
        assert told(result) == ("KO", reason)
        assert "restored" not in result.detail and "not all" not in result.detail


def test_a_method_whose_check_never_holds_differs_and_is_named():
    meter = a_meter()
    meter.methods[ACTIVATE] = lambda meter: None
    result = outcome(meter, steps(ACTION))
    assert told(result) == ("KO", "read-back-differs")
    assert result.detail.endswith("; not all is as before: %s has been done" % METHOD)


def test_a_broken_condition_after_a_method_names_it():
    meter = a_meter()
    energy = (3, b"\x01\x00\x01\x08\x00\xff", 2)
    meter.values[energy] = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 7))

    def resets(meter):
        meter.values[ACTIVE] = NEW
        meter.values[energy] = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 0))

    meter.methods[ACTIVATE] = resets
    result = outcome(meter, steps(ACTION))
    assert told(result) == ("KO", "condition-broken")
    assert result.detail.endswith("; not all is as before: %s has been done" % METHOD)


# ---------------------------------------------------------------- lost answers


def test_lost_actions_are_counted_to_three():
    assert configure.INVOKE_TRIES == 3
    for lost, done in ((2, True), (3, False)):
        meter = a_meter()
        meter.lose_before = lost
        if done:
            assert told(outcome(meter)) == ("OK", "applied")
        else:
            error = raises(NoAnswer, outcome, meter)
            assert str(error) == "ACTION: no answer; 2 of 3 steps had been done"
        assert meter.done.count(("action", 20, 1)) == done


def test_an_action_lost_each_time_on_its_way_back_is_done_once():
    meter = a_meter()
    meter.lose_after = 3
    assert told(outcome(meter)) == ("OK", "applied")
    assert meter.done.count(("action", 20, 1)) == 1
    # Without an effect to be seen, it is invoked so many times, and nothing is claimed.
    meter = a_meter()
    meter.methods[ACTIVATE] = lambda meter: None
    meter.lose_after = 99
    raises(NoAnswer, outcome, meter)
    assert meter.done.count(("action", 20, 1)) == 3


def test_silence_before_anything_is_done_says_so():
    for silent_after in (0, 1):  # both writes are of one exchange
        meter = a_meter()
        meter.silent_after = silent_after
        assert str(raises(NoAnswer, outcome, meter)) == "no answer"


def test_a_count_of_steps_that_were_needed():
    for change, detail in (
        ({}, "3 of 3 steps were needed"),
        ({PERIOD: S900}, "2 of 3 steps were needed"),
        ({PERIOD: S900, PASSIVE: NEW}, "1 of 3 steps were needed"),
        ({ACTIVE: NEW, PASSIVE: NEW}, "1 of 3 steps were needed"),
    ):
        meter = a_meter()
        meter.values.update(change)
        result = outcome(meter)
        assert told(result) == ("OK", "applied") and result.detail == detail
    meter = a_meter()
    meter.lose_after = 1  # done, and found by its check
    assert outcome(meter).detail == "3 of 3 steps were needed"


# ---------------------------------------------------------------- written anew after a method


def test_after_a_method_everything_is_read_again():
    """The method undoes what was written before: the same step once more writes it anew."""
    meter = a_meter()

    def undoes(meter):
        meter.values[ACTIVE] = NEW
        meter.values[PERIOD] = S3600

    meter.methods[ACTIVATE] = undoes
    package = a_package(steps=[SET_PERIOD, ACTION, SET_PERIOD])
    assert told(outcome(meter, package)) == ("OK", "applied")
    assert meter.done == [("set", 7, 4), ("action", 20, 1), ("set", 7, 4)]
    # One that it leaves alone is not.
    meter = a_meter()
    meter.values[PASSIVE] = NEW
    assert told(outcome(meter, package)) == ("OK", "applied")
    assert meter.done == [("set", 7, 4), ("action", 20, 1)]


def test_before_a_method_nothing_is_read_twice():
    meter = a_meter()
    asked = []
    held = meter.get_list

    async def get_list(items):
        asked.append([(item[0], item[1], item[2]) for item in items])
        return await held(items)

    meter.get_list = get_list
    assert told(outcome(meter)) == ("OK", "applied")
    assert len(asked) == 3, "before, the check of the method, and all in the end"
    assert asked[1] == [ACTIVE]


def test_an_attribute_written_twice_has_both_values_in_turn():
    meter = a_meter()
    values = []
    held = meter.set

    async def keep(class_id, name, attribute, data):
        values.append(data)
        await held(class_id, name, attribute, data)

    meter.set = keep
    between = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 60))
    package = a_package(
        steps=[Set(7, PROFILE, 4, between), SET_PERIOD], checks=[Check(7, PROFILE, 4, S900)]
    )
    result = outcome(meter, package)
    assert told(result) == ("OK", "applied") and result.detail == "2 of 2 steps were needed"
    assert values == [between, S900]


def test_an_attribute_written_twice_is_put_back_once():
    meter = a_meter()
    between = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 60))
    meter.refuse_action[ACTIVATE] = "other-reason"
    package = steps(Set(7, PROFILE, 4, between), SET_PERIOD, ACTION)
    result = outcome(meter, package)
    assert result.detail.endswith("restored, 1 values are as before")
    assert meter.values[PERIOD] == S3600
    assert meter.done == [("set", 7, 4)] * 3


# ---------------------------------------------------------------- refused among others


def test_of_several_refusals_the_first_is_told_and_the_rest_is_put_back():
    other = Set(7, PROFILE, 8, S900)
    meter = a_meter()
    meter.values[7, PROFILE, 8] = S3600
    meter.refuse_set[PERIOD] = "read-write-denied"
    meter.refuse_set[PASSIVE] = "temporary-failure"
    result = outcome(meter, steps(SET_PERIOD, other, SET_PASSIVE))
    assert told(result) == ("KO", "access-denied")
    assert "capture_period" in result.detail and "calendar_name_passive" not in result.detail
    assert result.detail.endswith("restored, 1 values are as before")
    assert meter.values[7, PROFILE, 8] == S3600
    result = outcome(meter, steps(SET_PASSIVE, SET_PERIOD))
    assert told(result) == ("KO", "meter-busy")


def test_a_value_that_does_not_go_back_is_named():
    meter = a_meter()
    held = meter.set

    async def once(class_id, name, attribute, data):
        await held(class_id, name, attribute, data)
        if (class_id, name, attribute) == PERIOD:
            meter.ignore_set.append(PERIOD)

    meter.set = once
    meter.refuse_action[ACTIVATE] = "other-reason"
    result = outcome(meter)
    assert result.detail.endswith(
        "not all is as before: profile_generic.capture_period of 1.0.99.1.0.255"
        " does not take its former value"
    )
    assert meter.values[PASSIVE] == OLD


def test_how_many_differ():
    meter = a_meter()
    meter.ignore_set += [PERIOD]
    meter.methods[ACTIVATE] = lambda meter: None
    result = outcome(meter)
    assert told(result) == ("KO", "read-back-differs")
    assert result.detail.startswith("2 differ; profile_generic.capture_period")
    meter = a_meter()
    meter.ignore_set += [PERIOD]
    assert outcome(meter).detail.startswith("profile_generic.capture_period")


def test_an_error_before_anything_is_done_comes_out_and_later_it_is_put_back():
    for at, comes_out in ((0, True), (1, False)):
        meter = a_meter()
        held = meter.action

        async def action(class_id, name, method, data, held=held):
            raise ProtocolError("ACTION: nonsense")

        meter.action = action
        package = steps(*([SET_PASSIVE] * at), ACTION)
        if comes_out:
            raises(ProtocolError, outcome, meter, package)
        else:
            result = outcome(meter, package)
            assert told(result) == ("KO", "meter-protocol-error")
            assert result.detail == "ACTION: nonsense; restored, 1 values are as before"
    meter = a_meter()
    meter.refuse_get[PERIOD] = "read-write-denied"
    raises(AccessRefused, outcome, meter)


def test_all_checks_hold_before_means_nothing_is_done_and_one_that_does_not_that_something_is():
    period = Check(7, PROFILE, 4, S900)
    for values, reason in (
        ({PERIOD: S900, ACTIVE: NEW}, "already-as-wanted"),
        ({PERIOD: S900, ACTIVE: OLD}, "applied"),
        ({PERIOD: S3600, ACTIVE: NEW}, "applied"),
    ):
        meter = a_meter()
        meter.values.update(values)
        result = outcome(meter, a_package(checks=[period, HOLDS]))
        assert told(result) == ("OK", reason)
        assert (meter.done == []) == (reason == "already-as-wanted")


# ---------------------------------------------------------------- a calendar corrected, same name

DAYS_ACTIVE, DAYS_PASSIVE = (20, CALENDAR, 5), (20, CALENDAR, 9)


def days(*numbers):
    return axdr.encode((axdr.ARRAY, [(axdr.UNSIGNED, number) for number in numbers]))


def a_corrected_calendar():
    """The meter has the calendar under this name already, with other days."""
    meter = a_meter()
    meter.values.update({ACTIVE: NEW, PASSIVE: NEW, DAYS_ACTIVE: days(1), DAYS_PASSIVE: days(1)})

    def activates(meter):
        meter.values[DAYS_ACTIVE] = meter.values[DAYS_PASSIVE]

    meter.methods[ACTIVATE] = activates
    checks = [HOLDS, Check(20, CALENDAR, 5, days(1, 2))]
    return meter, a_package(steps=[Set(20, CALENDAR, 9, days(1, 2)), ACTION], checks=checks)


def test_a_corrected_calendar_under_the_same_name_is_activated():
    meter, package = a_corrected_calendar()
    assert told(outcome(meter, package)) == ("OK", "applied")
    assert meter.done == [("set", 20, 9), ("action", 20, 1)]
    meter.done = []
    assert told(outcome(meter, package)) == ("OK", "already-as-wanted")
    assert meter.done == []


def test_a_lost_activation_of_it_is_asked_for_again_and_a_lost_answer_is_not():
    for lose_before, lose_after in ((1, 0), (0, 1)):
        meter, package = a_corrected_calendar()
        meter.lose_before, meter.lose_after = lose_before, lose_after
        assert told(outcome(meter, package)) == ("OK", "applied")
        assert meter.done == [("set", 20, 9), ("action", 20, 1)]


def test_it_is_not_activated_for_the_sake_of_what_steps_write():
    """What a step writes may still differ when the method's turn comes: that is the step's work."""
    meter, package = a_corrected_calendar()
    meter.values[DAYS_ACTIVE] = days(1, 2)
    meter.values[PASSIVE] = OLD
    steps = [ACTION, SET_PASSIVE, Set(20, CALENDAR, 9, days(1, 2))]
    checks = package.checks + [Check(20, CALENDAR, 6, NEW), Check(20, CALENDAR, 9, days(1, 2))]
    assert told(outcome(meter, a_package(steps=steps, checks=checks))) == ("OK", "applied")
    assert ("action", 20, 1) not in meter.done


def test_the_first_element_that_differs_is_named():
    meter, package = a_corrected_calendar()
    meter.methods[ACTIVATE] = lambda meter: None
    result = outcome(meter, package)
    assert told(result) == ("KO", "read-back-differs")
    place = "activity_calendar.day_profile_table_active of 0.0.13.0.0.255: array: "
    assert result.detail.startswith(
        place + "expected 2 elements, came 1; [1] unsigned 2 is missing; "
    )
