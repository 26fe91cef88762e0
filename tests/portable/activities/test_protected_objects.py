"""What no configuration touches without a word for it: each object and member by itself, and one
beside it that may be written."""

from __future__ import annotations

from gateway.activities.protected_objects import touches
from gateway.contract.package import Action, Check, Set
from gateway.dlms.data import axdr, obis

CLOCK = obis.parse("0.0.1.0.0.255")
REGISTER = obis.parse("1.0.1.8.0.255")
LOAD_PROFILE = obis.parse("1.0.99.1.0.255")
SWITCH = obis.parse("0.0.96.3.10.255")
SWITCH_SCRIPTS = obis.parse("0.0.10.0.106.255")
BILLING_SCRIPTS = obis.parse("0.0.10.0.1.255")
SCRIPTS = obis.parse("0.0.10.0.100.255")
SCHEDULE = obis.parse("0.0.15.0.4.255")
CHECKED = Check(8, CLOCK, 2, b"\x00")


def written(class_id, name, attribute, data=b"\x00"):
    return touches(Set(class_id, name, attribute, data), False)


def done(class_id, name, method):
    return touches(Action(class_id, name, method, b"\x0f\x00", CHECKED), True)


def test_what_is_written():
    for class_id, name, attribute, word in (
        (70, SWITCH, 4, "switch"),
        (71, CLOCK, 3, "switch"),
        (69, SWITCH, 2, ""),
        (72, SWITCH, 2, ""),
        (9, SWITCH_SCRIPTS, 2, "switch"),
        (1, SWITCH_SCRIPTS, 2, "switch"),
        (9, BILLING_SCRIPTS, 2, "billing"),
        (9, SCRIPTS, 2, ""),
        (3, REGISTER, 2, "billing"),
        (4, REGISTER, 2, "billing"),
        (5, REGISTER, 2, "billing"),
        (3, REGISTER, 3, ""),
        (4, REGISTER, 1, ""),
        (2, REGISTER, 2, ""),
        (6, REGISTER, 2, ""),
        (7, LOAD_PROFILE, 2, "billing"),
        (7, LOAD_PROFILE, 4, ""),
        (7, LOAD_PROFILE, 1, ""),
        (8, CLOCK, 2, ""),
    ):
        assert written(class_id, name, attribute) == word, (class_id, obis.text(name), attribute)


def test_what_is_done():
    for class_id, name, method, word in (
        (70, SWITCH, 1, "switch"),
        (71, CLOCK, 1, "switch"),
        (9, SWITCH_SCRIPTS, 1, "switch"),
        (9, BILLING_SCRIPTS, 1, "billing"),
        (9, SCRIPTS, 1, ""),
        (3, REGISTER, 1, "billing"),
        (4, REGISTER, 1, "billing"),
        (5, REGISTER, 1, "billing"),
        (5, REGISTER, 2, ""),
        (2, REGISTER, 1, ""),
        (6, REGISTER, 1, ""),
        (7, LOAD_PROFILE, 1, "billing"),
        (7, LOAD_PROFILE, 2, ""),
        (8, CLOCK, 1, ""),
    ):
        assert done(class_id, name, method) == word, (class_id, obis.text(name), method)


def test_the_billing_period():
    """Its profiles and its schedule, whatever is written there."""
    for class_id, name, word in (
        (7, "0.0.98.1.0.255", "billing"),
        (7, "1.0.98.1.0.255", "billing"),
        (7, "1.9.98.1.4.255", "billing"),
        (7, "2.0.98.1.0.255", ""),
        (7, "1.0.98.2.0.255", ""),
        (7, "1.0.99.1.0.255", ""),
        (22, "0.0.15.0.0.255", "billing"),
        (22, "0.5.15.0.0.255", "billing"),
        (22, "1.0.15.0.0.255", ""),
        (22, "0.0.15.0.1.255", ""),
        (22, "0.0.15.1.0.255", ""),
        (22, "0.0.14.0.0.255", ""),
        (20, "0.0.15.0.0.255", ""),
        (20, "1.0.98.1.0.255", ""),
    ):
        assert written(class_id, obis.parse(name), 4) == word, (class_id, name)
        assert done(class_id, obis.parse(name), 2) == word, (class_id, name)


def script(service, class_id, name, index, kind=axdr.ENUM):
    """A script with a harmless action before the one that is looked at."""

    def action(service, class_id, name, index):
        fields = [(kind, service), (axdr.LONG_UNSIGNED, class_id), (axdr.OCTET_STRING, name)]
        return (axdr.STRUCTURE, fields + [(axdr.INTEGER, index), (axdr.NULL, None)])

    actions = [action(1, 8, CLOCK, 2), action(service, class_id, name, index)]
    one = (axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, 1), (axdr.ARRAY, actions)])
    return axdr.encode((axdr.ARRAY, [one]))


WRITE, EXECUTE = 1, 2


def test_scripts_by_the_objects_they_work_on():
    for service, class_id, name, index, word in (
        (WRITE, 8, CLOCK, 2, ""),
        (EXECUTE, 70, SWITCH, 1, "switch"),
        (WRITE, 70, SWITCH, 4, "switch"),
        (WRITE, 71, CLOCK, 3, "switch"),
        (EXECUTE, 69, SWITCH, 1, ""),
        (EXECUTE, 3, REGISTER, 1, "billing"),
        (EXECUTE, 4, REGISTER, 1, "billing"),
        (EXECUTE, 5, REGISTER, 1, "billing"),
        (EXECUTE, 7, LOAD_PROFILE, 1, "billing"),
        (EXECUTE, 6, REGISTER, 1, ""),
        (EXECUTE, 3, REGISTER, 2, ""),
        (EXECUTE, 7, LOAD_PROFILE, 2, ""),
        (WRITE, 3, REGISTER, 1, ""),
        (EXECUTE, 9, BILLING_SCRIPTS, 1, "billing"),
        (WRITE, 9, BILLING_SCRIPTS, 2, "billing"),
        (EXECUTE, 9, SWITCH_SCRIPTS, 1, "switch"),
        (EXECUTE, 9, SCRIPTS, 1, ""),
    ):
        data = script(service, class_id, name, index)
        shown = (service, class_id, obis.text(name), index)
        for table in (9, 22):
            assert written(table, SCRIPTS, 2, data) == word, (table,) + shown
        assert written(8, CLOCK, 2, data) == "", shown
    # only a service that is an enumeration is one
    data = script(EXECUTE, 3, REGISTER, 1, axdr.UNSIGNED)
    assert written(9, SCRIPTS, 2, data) == ""


def test_schedules_by_the_script_they_run():
    for name, word in ((SWITCH_SCRIPTS, "switch"), (BILLING_SCRIPTS, "billing"), (SCRIPTS, "")):
        executed = [(axdr.OCTET_STRING, name), (axdr.LONG_UNSIGNED, 1)]
        data = axdr.encode((axdr.STRUCTURE, executed))
        for class_id in (9, 22):
            assert written(class_id, SCHEDULE, 2, data) == word, obis.text(name)
        assert written(8, CLOCK, 2, data) == ""


def test_what_is_no_script_is_no_reason():
    """It is refused as a bad package before anything is written, or by the meter."""
    for data in (None, b"", b"\x06", b"\x00", b"\x01\x00", b"\x02\x00", b"\x12\x00\x46"):
        assert written(9, SCRIPTS, 2, data) == ""
    for fields in (
        [(axdr.ENUM, EXECUTE), (axdr.LONG_UNSIGNED, 70), (axdr.OCTET_STRING, SWITCH)],
        [(axdr.ENUM, EXECUTE), (axdr.UNSIGNED, 70), (axdr.NULL, None), (axdr.INTEGER, 1)],
    ):
        assert written(9, SCRIPTS, 2, axdr.encode((axdr.STRUCTURE, fields))) == ""
