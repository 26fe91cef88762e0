"""Meters that tell who they are elsewhere than ours, or in another way: as their model says."""

from __future__ import annotations

from gateway.activities import configure, identity, read
from gateway.contract.model import Model, Place
from gateway.contract.package import Check, Package
from gateway.contract.place import HEX, NUMBER, TEXT, UP_TO_NUL
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused
from tests.portable.dlms.scripted_meter import FIRMWARE, LDN, MODEL, ScriptedMeter, octets
from tests.portable.support import raises, run

SERIAL = (1, b"\x00\x00\x60\x01\x00\xff", 2)
PERIOD = (7, b"\x01\x00\x63\x01\x00\xff", 4)
S900 = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 900))


def at(key, reading=TEXT):
    return Place(key[0], key[1], key[2], reading)


def model(**fields):
    return Model("other", 1, "", **fields)


def package(targets=(("E9", ["1."]),)):
    return Package("p", "1", "", list(targets), [], [Check(*PERIOD, S900)])


def a_meter():
    """It has none of the objects by which ours tell who they are."""
    meter = ScriptedMeter()
    meter.values = {PERIOD: S900}
    return meter


def test_readings():
    cases = (
        (axdr.OCTET_STRING, b"GRX1\0\0\0", TEXT, None),
        (axdr.OCTET_STRING, b"GRX1\0\0\0", UP_TO_NUL, "GRX1"),
        (axdr.OCTET_STRING, b"GRX1  ", UP_TO_NUL, "GRX1"),
        (axdr.OCTET_STRING, b"GRX1", UP_TO_NUL, "GRX1"),
        (axdr.OCTET_STRING, b"\0\0", UP_TO_NUL, ""),
        (axdr.OCTET_STRING, b"G\xff\0", UP_TO_NUL, None),
        (axdr.VISIBLE_STRING, "GRX1", TEXT, "GRX1"),
        (axdr.VISIBLE_STRING, "GRX1\0x", UP_TO_NUL, "GRX1"),
        (axdr.OCTET_STRING, b"\x01\xab", HEX, "01ab"),
        (axdr.OCTET_STRING, b"", HEX, ""),
        (axdr.DOUBLE_LONG_UNSIGNED, 31001234, NUMBER, "31001234"),
        (axdr.LONG64_UNSIGNED, 9007199254740993, NUMBER, "9007199254740993"),
        (axdr.OCTET_STRING, b"31", NUMBER, None),
        (axdr.DOUBLE_LONG_UNSIGNED, 31, TEXT, None),
        (axdr.NULL, None, UP_TO_NUL, None),
    )
    for tag, value, reading, text in cases:
        assert identity.text(axdr.encode((tag, value)), reading) == text, (value, reading)


def test_where_the_model_says():
    meter = a_meter()
    meter.values[SERIAL] = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 7))
    meter.values[MODEL] = axdr.encode((axdr.OCTET_STRING, b"E9\0\0"))
    meter.values[FIRMWARE] = octets("1.2")
    other = model(
        serial=at(SERIAL, NUMBER), model=at(MODEL, UP_TO_NUL), firmware=at(FIRMWARE, UP_TO_NUL)
    )
    assert run(configure.run(meter, "7", package(), other)).reason == "already-as-wanted"
    assert run(configure.run(meter, "8", package(), other)).reason == "wrong-meter"
    assert run(configure.run(meter, "7", package([("E8", [])]), other)).reason == "wrong-model"
    wrong = package([("E9", ["2."])])
    assert run(configure.run(meter, "7", wrong, other)).reason == "wrong-firmware"
    assert run(configure.compare(meter, "7", package(), other)).reason == "compared"
    assert run(read.run(meter, "7", [PERIOD], other)).reason == "read"
    assert run(read.run(meter, "8", [PERIOD], other)).reason == "wrong-meter"


def test_hex_digits_in_the_inventory_may_be_large():
    meter = a_meter()
    meter.values[SERIAL] = axdr.encode((axdr.OCTET_STRING, b"\x00\xab"))
    other = model(serial=at(SERIAL, HEX))
    assert run(read.run(meter, "00AB", [PERIOD], other)).reason == "read"


def test_what_is_not_to_be_asked_is_not_asked():
    meter = a_meter()
    asked = []
    get_list = meter.get_list

    async def noting(items):
        asked.extend([item[:3] for item in items])
        return await get_list(items)

    meter.get_list = noting
    nothing = model(serial=None, model=None, firmware=None)
    assert run(configure.run(meter, "whoever", package(), nothing)).reason == "already-as-wanted"
    assert run(read.run(meter, "whoever", [PERIOD], nothing)).reason == "read"
    assert not [key for key in asked if key in (LDN, MODEL, FIRMWARE)]


def test_a_firmware_is_judged_where_no_model_is_asked_for():
    meter = a_meter()
    meter.values[FIRMWARE] = octets("1.2")
    other = model(serial=None, model=None)
    assert run(configure.run(meter, "x", package(), other)).reason == "already-as-wanted"
    wrong = package([("E9", ["2."])])
    assert run(configure.run(meter, "x", wrong, other)).reason == "wrong-firmware"
    assert run(configure.run(meter, "x", package([("E9", [])]), other)).reason == (
        "already-as-wanted"
    )


def test_what_the_meter_has_not_is_the_models_to_correct():
    for lacking in (LDN, MODEL, FIRMWARE):
        for result in ("object-undefined", "object-class-inconsistent", "read-write-denied"):
            meter = ScriptedMeter("M1", "E9", "1.2")
            meter.values[PERIOD] = S900
            meter.refuse_get[lacking] = result
            found = run(configure.run(meter, "M1", package()))
            assert (found.outcome, found.reason) == ("KO", "model-unfit"), (lacking, result)
            assert result in found.detail and "model ami" in found.detail


def test_a_meter_that_is_busy_is_asked_later():
    meter = ScriptedMeter("M1", "E9", "1.2")
    meter.refuse_get[LDN] = "temporary-failure"
    raises(AccessRefused, run, configure.run(meter, "M1", package()))


def test_a_package_for_another_model_reads_nothing():
    for activity in (configure.run, configure.compare):
        meter = a_meter()
        wanted = package()
        wanted.model = "idis"
        found = run(activity(meter, "M1", wanted, model()))
        assert (found.outcome, found.reason) == ("KO", "wrong-model")
        assert "idis" in found.detail and "other" in found.detail
        wanted.model = "other"
        nothing = model(serial=None, model=None, firmware=None)
        assert run(activity(meter, "M1", wanted, nothing)).reason != "wrong-model"
