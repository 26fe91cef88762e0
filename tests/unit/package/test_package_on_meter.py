"""The examples do to the virtual meter what they say, alone and one after the other."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from gateway.contract.package import Action, Check, Package
from gateway.dlms.data import axdr, obis
from tests.unit.package.configured import configured
from tools.meter import kinds
from tools.meter.device import build_meter, derive_test_keys
from tools.meter.model import MANAGEMENT, Meter
from tools.package.compile import compile_file

EXAMPLES = Path(__file__).parents[3] / "tools" / "package" / "examples"
ALL = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def new_meter() -> Meter:
    serial = "AMI0000000001"
    return build_meter(serial, keys=derive_test_keys(1, serial), source=lambda: 1748865600.0)


def holds(meter: Meter, check: Check) -> bool:
    found = meter.read(check.class_id, obis.text(check.obis), check.attribute)
    return axdr.encode(found) == check.data


def carry_out(meter: Meter, package: Package) -> None:
    for step in package.steps:
        target = meter.find(step.class_id, obis.text(step.obis))
        if not isinstance(step, Action):
            target.write(step.attribute, axdr.decode(step.data), MANAGEMENT)
        elif not holds(meter, step.check):
            parameter = (axdr.NULL, None) if step.data is None else axdr.decode(step.data)
            target.invoke(step.method, parameter, MANAGEMENT)
            assert holds(meter, step.check)


@pytest.mark.parametrize("name", ALL)
def test_example_changes_a_new_meter_and_every_check_holds(name: str) -> None:
    meter = new_meter()
    package = compile_file(EXAMPLES / (name + ".yaml"))
    if name != "measurement-interval":  # a new meter already captures every 15 minutes
        assert not all(holds(meter, check) for check in package.checks)
    carry_out(meter, package)
    assert all(holds(meter, check) for check in package.checks)


@pytest.mark.parametrize("first", ALL)
def test_any_example_can_follow_any_other(first: str) -> None:
    for second in ALL:
        meter = new_meter()
        carry_out(meter, compile_file(EXAMPLES / (first + ".yaml")))
        package = compile_file(EXAMPLES / (second + ".yaml"))
        carry_out(meter, package)
        assert all(holds(meter, check) for check in package.checks), second


def test_the_gateway_carries_the_examples_out_and_says_what_differs() -> None:
    meter = new_meter()
    for name in ALL:
        package = compile_file(EXAMPLES / (name + ".yaml"))
        assert configured(meter, package).outcome == "OK", name
        assert configured(meter, package).reason == "already-as-wanted", name
    tariff = compile_file(EXAMPLES / "tariff.yaml")
    calendar = meter.find(20, "0.0.13.0.0.255")
    days = copy.deepcopy(calendar.value(5))
    days[1][0][1][1][1][1][1][0] = (axdr.OCTET_STRING, bytes((19, 0, 0, 0)))
    calendar.put(5, days)
    calendar.method(1, kinds.NOTHING, lambda _: None)  # it activates nothing any more
    done = configured(meter, tariff)
    assert done.reason == "read-back-differs"
    assert done.detail.startswith(
        "activity_calendar.day_profile_table_active of 0.0.13.0.0.255: array[0].structure[1]."
        "array[1].structure[0]: expected octet-string 12000000, came octet-string 13000000; "
    )
