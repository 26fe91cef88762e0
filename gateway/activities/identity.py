"""Who are you? Nothing is written to a meter before it has said the right name, model, firmware."""

from __future__ import annotations

from gateway.activities.words import shown
from gateway.dlms import axdr
from gateway.jobs.result import KO, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dlms.client import Client

DATA = 1  # class_id
VALUE = 2  # attribute
LOGICAL_DEVICE_NAME = b"\x00\x00\x2a\x00\x00\xff"  # 0.0.42.0.0.255, Blue Book 6.2.24
MODEL = b"\x00\x00\x60\x01\x01\xff"  # 0.0.96.1.1.255, device ID 2
ACTIVE_FIRMWARE = b"\x01\x00\x00\x02\x00\xff"  # 1.0.0.2.0.255, active firmware identifier


async def wrong_meter(client: Client, serial: str) -> Result | None:
    """None when the logical device name is the serial, else the KO."""
    data = await client.get(DATA, LOGICAL_DEVICE_NAME, VALUE)
    if _text(data) == serial:
        return None
    return Result(KO, "wrong-meter", "expected %s, %s answered" % (serial, shown(data)))


async def wrong_target(
    client: Client, targets: Sequence[tuple[str, Sequence[str]]]
) -> Result | None:
    """None when one of the targets (model, firmware prefixes; none: any firmware) is this meter."""
    data = await client.get(DATA, MODEL, VALUE)
    model = _text(data)
    prefixes: list[str] | None = None
    for target, allowed in targets:
        if target == model:
            if not allowed:
                return None
            prefixes = (prefixes or []) + list(allowed)
    if prefixes is None:
        models = " or ".join([target for target, _ in targets])
        return Result(KO, "wrong-model", "expected %s, the meter is %s" % (models, shown(data)))
    data = await client.get(DATA, ACTIVE_FIRMWARE, VALUE)
    firmware = _text(data)
    for prefix in prefixes:
        if firmware is not None and firmware.startswith(prefix):
            return None
    return Result(
        KO,
        "wrong-firmware",
        "expected %s..., the meter has %s" % (" or ".join(prefixes), shown(data)),
    )


def _text(data: bytes) -> str | None:
    """The text in an octet-string or visible-string of printable ASCII, else None."""
    tag, value = axdr.decode(data)
    if tag == axdr.VISIBLE_STRING:
        return str(value)
    if tag != axdr.OCTET_STRING or [byte for byte in value if not 32 <= byte < 127]:
        return None
    return bytes(value).decode()
