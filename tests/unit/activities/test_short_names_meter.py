"""Jobs on a meter with short names only: but for `referencing` in its model, nothing differs."""

from __future__ import annotations

import pytest

from gateway.contract.kinds import CONFIGURE, IMAGE, READ
from gateway.dlms.data import axdr
from tests.unit.activities.scene import SERIAL, Scene, losing
from tests.unit.activities.test_attempt import (
    PROFILE,
    SERIAL_ATTRIBUTE,
    calendar,
    interval,
    other_period,
    period,
)
from tests.unit.activities.test_meter_habits import BLOCKS, CONTENT, NEW, invoked, order
from tools.meter.device import CALENDAR, CLOCK
from tools.meter.image import ImageTransfer

BASES = {CLOCK: 0x2BC0}


def test_read_configured_and_updated() -> None:
    scene = Scene(short_names=BASES)
    result, path = scene.once(READ, [SERIAL_ATTRIBUTE, (7, PROFILE, 4)])
    assert (result.outcome, result.reason, path) == ("VALUE", "read", "plc")
    assert result.value is not None
    assert axdr.decode(result.value[0]) == (axdr.OCTET_STRING, SERIAL.encode())
    seconds, data = other_period(scene)
    outcomes = scene.run(CONFIGURE, interval(data), times=2)
    assert [result.reason for result, _ in outcomes] == ["applied", "already-as-wanted"]
    assert period(scene) == seconds
    outcomes = scene.run(CONFIGURE, calendar(), times=2)
    assert [result.reason for result, _ in outcomes] == ["applied", "already-as-wanted"]
    assert scene.meter.log.count("action", 20, CALENDAR, 1) == 1
    result, _ = scene.once(IMAGE, order(scene))
    assert (result.outcome, result.reason) == ("OK", "applied"), result
    assert scene.meter.firmware == NEW
    found = scene.meter.find(18, "0.0.44.0.0.255")
    assert isinstance(found, ImageTransfer) and bytes(found.image) == CONTENT
    assert invoked(scene, 2) == BLOCKS


@pytest.mark.parametrize("seed", range(6))
def test_twenty_percent_loss(seed: int) -> None:
    """Late answers are never taken for others: what is read back is what was written."""
    scene = Scene(short_names=BASES)
    scene.plc.lose = losing(seed, 0.2)
    wanted = []
    for _ in range(4):
        seconds, data = other_period(scene)
        result, _ = scene.once(CONFIGURE, interval(data))
        wanted.append((result.reason, period(scene) == seconds))
        if result.outcome == "OK":
            assert period(scene) == seconds
    assert ("applied", True) in wanted, wanted
    assert {reason for reason, _ in wanted} <= {"applied", "no-answer", "link-lost"}, wanted


def test_an_object_that_is_not_there_is_named() -> None:
    scene = Scene(short_names=BASES)
    result, _ = scene.once(READ, [(3, b"\x01\x00\x63\x63\x00\xff", 2)])
    assert (result.outcome, result.reason) == ("KO", "object-mismatch")
    assert "register.value of 1.0.99.99.0.255" in result.detail


def test_a_model_of_the_other_names_is_told() -> None:
    scene = Scene(short_names=BASES)
    line = scene.storage.read("meters.jsonl", 0, 1000).replace(b', "model": "ami-sn"', b"")
    scene.storage.replace("meters.jsonl", line)
    result, _ = scene.once(READ, [SERIAL_ATTRIBUTE])
    assert result.outcome == "KO"
    assert "short names (SN)" in result.detail
