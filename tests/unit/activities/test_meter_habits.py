"""Habits of meters in the field that are no fault of theirs, on the whole meter side of the gateway
(field-cases, section 2). The virtual meter has each as a fault to be switched on."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.activities.image.transfer import Order
from gateway.contract.kinds import IMAGE, READ
from tests.unit.activities.scene import Scene, losing
from tools.meter.image import ImageTransfer, make_image

NEW = "V03.00.00"
CONTENT = make_image("AMI-E450", NEW, bytes(range(256)) * 20)
BLOCKS = -(-len(CONTENT) // 200)
SERIAL_ATTRIBUTE = (1, b"\x00\x00\x2a\x00\x00\xff", 2)


class Image:
    identifier = b"V03"
    firmware = NEW
    targets = (("AMI-E450", ("V02.",)),)
    size = len(CONTENT)

    def block(self, number: int, size: int) -> bytes:
        return CONTENT[number * size :][:size]


def order(scene: Scene) -> Order:
    return Order(Image(), 0, False, scene.clock)  # type: ignore[arg-type]


def invoked(scene: Scene, method: int) -> int:
    return scene.meter.log.count("action", 18, "0.0.44.0.0.255", method)


@pytest.mark.parametrize(
    "habit",
    [
        {"lose_verify": 1},
        {"lose_verify": 2},
        {"erase_s": 60},
        {"false_blocks": "padded"},
        {"false_blocks": "late"},
        {"slow_verify_s": 5},
    ],
)
def test_an_image_at_the_first_try(habit: dict[str, Any]) -> None:
    scene = Scene()
    for name, value in habit.items():
        setattr(scene.meter.faults, name, value)
    result, _ = scene.once(IMAGE, order(scene))
    assert (result.outcome, result.reason) == ("OK", "applied"), result
    assert scene.meter.firmware == NEW
    found = scene.meter.find(18, "0.0.44.0.0.255")
    assert isinstance(found, ImageTransfer) and bytes(found.image) == CONTENT
    assert invoked(scene, 2) == BLOCKS, "carried out"


@pytest.mark.parametrize("share", [0.15, 0.25])
@pytest.mark.parametrize("seed", range(6))
def test_loss_is_never_a_verdict_on_the_image(seed: int, share: float) -> None:
    scene = Scene()
    scene.plc.lose = losing(seed, share)
    reasons: list[str] = []
    for _ in range(12):
        result, _ = scene.once(IMAGE, order(scene))
        reasons.append(result.reason)
        if result.outcome == "OK":
            break
    assert scene.meter.firmware == NEW, reasons
    assert set(reasons[:-1]) <= {"no-answer", "link-lost", "image-verifying", "image-activating"}


def test_a_meter_with_another_client_is_busy_and_tried_again() -> None:
    scene = Scene()
    scene.meter.faults.busy = 1
    results = scene.run(READ, [SERIAL_ATTRIBUTE], times=2)
    assert [result.reason for result, _ in results] == ["meter-busy", "read"]
    busy = results[0][0]
    assert busy.worth_retrying() and "rejected-transient" in busy.detail
    assert "key" not in busy.detail
