"""Reading: every value asked for, in order, of the right meter, or a KO."""

from __future__ import annotations

from gateway.activities import read
from gateway.contract.limits import MAX_VALUE
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused
from tests.portable.dlms.scripted_meter import FIRMWARE, LDN, MODEL, ScriptedMeter, octets
from tests.portable.support import raises, run


def test_values_in_the_order_asked_for():
    meter = ScriptedMeter()
    result = run(read.run(meter, "M1", [FIRMWARE, MODEL, FIRMWARE]))
    assert (result.outcome, result.reason) == ("VALUE", "read")
    assert result.value == [octets("V02.10.01"), octets("AMI-E450"), octets("V02.10.01")]


def test_another_meter_gives_no_value():
    result = run(read.run(ScriptedMeter("M2"), "M1", [MODEL]))
    assert (result.outcome, result.reason, result.value) == ("KO", "wrong-meter", None)
    assert result.detail == 'expected M1, octet-string "M2" answered'


def test_a_name_that_is_no_text_is_another_meter():
    for data in (
        axdr.encode((axdr.NULL, None)),
        axdr.encode((axdr.OCTET_STRING, b"M1\x00")),
        axdr.encode((axdr.UNSIGNED, 1)),
    ):
        meter = ScriptedMeter()
        meter.values[LDN] = data
        assert run(read.run(meter, "M1", [MODEL])).reason == "wrong-meter"


def test_a_visible_string_names_it_too():
    meter = ScriptedMeter()
    meter.values[LDN] = axdr.encode((axdr.VISIBLE_STRING, "M1"))
    assert run(read.run(meter, "M1", [MODEL])).reason == "read"


def test_a_refused_attribute_comes_out():
    meter = ScriptedMeter()
    error = raises(AccessRefused, run, read.run(meter, "M1", [MODEL, (3, bytes(6), 2)]))
    assert error.result == "object-undefined"


def test_too_much_for_one_report():
    meter = ScriptedMeter()
    big = (1, b"\x00\x00\x60\x01\x02\xff", 2)
    meter.values[big] = axdr.encode((axdr.OCTET_STRING, bytes(MAX_VALUE // 4)))
    assert run(read.run(meter, "M1", [big] * 3)).reason == "read"
    assert run(read.run(meter, "M1", [big] * 4)).reason == "value-too-large"
