"""The examples do to the virtual meter what they say, alone and one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract.package import Action, Check, Package
from gateway.dlms.data import axdr, obis
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
