"""Who are you? Nothing is written to a meter before it has said the right name, model, firmware."""

from __future__ import annotations

from gateway.activities.readable import shown
from gateway.contract.result import KO, Result
from gateway.dlms.data import axdr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.activities.attributes import Attributes

_DATA, _VALUE = 1, 2  # class_id, attribute
LOGICAL_DEVICE_NAME = (_DATA, b"\x00\x00\x2a\x00\x00\xff", _VALUE)  # Blue Book 6.2.24
MODEL = (_DATA, b"\x00\x00\x60\x01\x01\xff", _VALUE)  # 0.0.96.1.1.255, device ID 2
FIRMWARE = (_DATA, b"\x01\x00\x00\x02\x00\xff", _VALUE)  # active firmware identifier
KEYS = (LOGICAL_DEVICE_NAME, MODEL, FIRMWARE)  # what wrong_meter() and wrong_target() need


def wrong_meter(found: Attributes, serial: str) -> Result | None:
    """None when the logical device name is the serial, else the KO."""
    data = found.value(LOGICAL_DEVICE_NAME)
    if text(data) == serial:
        return None
    return Result(KO, "wrong-meter", "expected %s, %s answered" % (serial, shown(data)))


def wrong_model(found: Attributes, targets: Sequence[tuple[str, Sequence[str]]]) -> Result | None:
    """None when one of the targets (model, firmware prefixes) is of this model."""
    data = found.value(MODEL)
    models = [model for model, _ in targets]
    if text(data) in models:
        return None
    return Result(
        KO, "wrong-model", "expected %s, the meter is %s" % (" or ".join(models), shown(data))
    )


def wrong_target(found: Attributes, targets: Sequence[tuple[str, Sequence[str]]]) -> Result | None:
    """None when one of the targets (model, firmware prefixes; none: any firmware) is this meter."""
    refusal = wrong_model(found, targets)
    if refusal is not None:
        return refusal
    model = text(found.value(MODEL))
    prefixes: list[str] = []
    for target, allowed in targets:
        if target == model:
            if not allowed:
                return None
            prefixes += list(allowed)
    data = found.value(FIRMWARE)
    firmware = text(data)
    for prefix in prefixes:
        if firmware is not None and firmware.startswith(prefix):
            return None
    return Result(
        KO,
        "wrong-firmware",
        "expected %s..., the meter has %s" % (" or ".join(prefixes), shown(data)),
    )


def text(data: bytes) -> str | None:
    """The text in an octet-string or visible-string of printable ASCII, else None."""
    tag, value = axdr.decode(data)
    if tag == axdr.VISIBLE_STRING:
        return str(value)
    if tag != axdr.OCTET_STRING or [byte for byte in value if not 32 <= byte < 127]:
        return None
    return bytes(value).decode()
