"""Who are you? Nothing is written to a meter before it has said the right name, model, firmware.

Where these stand, and how they are read, is the model's to say (contract/model.py); what a model
does not ask for is not asked. A meter that has not what its model says is no case for another
order: the model is to be corrected.
"""

from __future__ import annotations

from gateway.activities.readable import one_line, shown
from gateway.activities.verdict import refused_with
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.place import HEX, NUMBER, UP_TO_NUL
from gateway.contract.result import KO, Result
from gateway.dlms.client.reading import step_of
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.activities.attributes import Attributes, Key
    from gateway.contract.model import Model
    from gateway.contract.place import Place

# Reasons that say nothing of the meter where it was our model that sent us there.
OURS = ("model-unfit", "object-mismatch", "access-denied")


def key(place: Place) -> Key:
    return (place.class_id, place.obis, place.attribute)


def _keys(*places: Place | None) -> list[Key]:
    return [key(place) for place in places if place is not None]


def keys(model: Model) -> list[Key]:
    """What wrong_meter() and wrong_target() need."""
    return _keys(model.serial, model.model, model.firmware)


def target_keys(model: Model) -> list[Key]:
    """What wrong_target() needs."""
    return _keys(model.model, model.firmware)


def firmware_key(model: Model) -> list[Key]:
    """What runs() needs."""
    return _keys(model.firmware)


def serial_key(model: Model) -> list[Key]:
    """What wrong_meter() needs."""
    return _keys(model.serial)


def wrong_meter(found: Attributes, serial: str, model: Model = OWN_MODEL) -> Result | None:
    """None when the meter has the serial, else the KO."""
    place = model.serial
    if place is None:
        return None
    refusal = _unfit(found, place, "serial number", model)
    if refusal is not None:
        return refusal
    wanted = serial.lower() if place.reading == HEX else serial
    if said(found, place) == wanted:
        return None
    answered = shown(found.value(key(place)))
    return Result(KO, "wrong-meter", "expected %s, %s answered" % (serial, answered))


def wrong_model(
    found: Attributes, targets: Sequence[tuple[str, Sequence[str]]], model: Model = OWN_MODEL
) -> Result | None:
    """None when one of the targets (model, firmware prefixes) is of this model."""
    place = model.model
    if place is None:
        return None
    refusal = _unfit(found, place, "model", model)
    if refusal is not None:
        return refusal
    names = [name for name, _ in targets]
    if said(found, place) in names:
        return None
    came = shown(found.value(key(place)))
    return Result(KO, "wrong-model", "expected %s, the meter is %s" % (" or ".join(names), came))


def wrong_target(
    found: Attributes, targets: Sequence[tuple[str, Sequence[str]]], model: Model = OWN_MODEL
) -> Result | None:
    """None when one of the targets (model, firmware prefixes; none: any firmware) is this meter."""
    refusal = wrong_model(found, targets, model)
    if refusal is not None:
        return refusal
    name = None if model.model is None else said(found, model.model)
    prefixes: list[str] = []
    for target, allowed in targets:
        if model.model is None or target == name:
            if not allowed:
                return None
            prefixes += list(allowed)
    place = model.firmware
    if place is None:
        return None
    refusal = _unfit(found, place, "firmware", model)
    if refusal is not None:
        return refusal
    firmware = said(found, place)
    for prefix in prefixes:
        if firmware is not None and firmware.startswith(prefix):
            return None
    came = shown(found.value(key(place)))
    return Result(
        KO, "wrong-firmware", "expected %s..., the meter has %s" % (" or ".join(prefixes), came)
    )


def no_firmware(found: Attributes, model: Model = OWN_MODEL) -> Result | None:
    """The KO where runs() cannot tell."""
    if model.firmware is not None:
        return _unfit(found, model.firmware, "firmware", model)
    text = "model %s does not say where the firmware stands; an image is judged by that"
    return Result(KO, "model-unfit", text % model.name)


def runs(found: Attributes, firmware: str, model: Model = OWN_MODEL) -> bool:
    """Whether the meter says that this is its firmware."""
    return model.firmware is not None and said(found, model.firmware) == firmware


def said(found: Attributes, place: Place) -> str | None:
    """What stands there as the place is read; None for a value that cannot be read so."""
    return text(found.value(key(place)), place.reading)


def text(data: bytes, reading: int = 0) -> str | None:
    """The text that A-XDR Data is by one of the readings of place.py."""
    tag, value = axdr.decode(data)
    if reading == NUMBER:
        return str(value) if type(value) is int else None
    if tag == axdr.VISIBLE_STRING:
        octets = str(value).encode()
    elif tag == axdr.OCTET_STRING:
        octets = bytes(value)
    else:
        return None
    if reading == HEX:
        return octets.hex() if octets else ""
    if reading == UP_TO_NUL:
        octets = octets.split(b"\0")[0].rstrip()
    if [byte for byte in octets if not 32 <= byte < 127]:
        return None
    return octets.decode()


def _unfit(found: Attributes, place: Place, what: str, model: Model) -> Result | None:
    """The KO when the meter does not give what the model says it has there."""
    refused = found.refused.get(key(place))
    if refused is None:
        return None
    error = access_refused(refused, step_of(*key(place)))
    if refused_with(error.result, OURS[0]) not in OURS:
        raise error
    return Result(
        KO, "model-unfit", one_line("model %s has the %s there: %s" % (model.name, what, error))
    )
