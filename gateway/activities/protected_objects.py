"""What no configuration touches unless its package says so in words: the meter's switch, and the
data that bills are made from."""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SWITCH = "switch"
BILLING = "billing"
WORDS = (SWITCH, BILLING)

DISCONNECT_CONTROL, LIMITER = 70, 71
_DISCONNECT_SCRIPTS = b"\x00\x00\x0a\x00\x6a\xff"  # 0.0.10.0.106.255, Blue Book 6.2.7
_BILLING_SCRIPTS = b"\x00\x00\x0a\x00\x01\xff"  # 0.0.10.0.1.255, MDI reset / end of billing period
_REGISTERS = (3, 4, 5)
_RESET = 1  # of registers and profiles
_PROFILE = 7
_SCRIPT_TABLE = 9
_SCHEDULE = 22  # single action schedule
_BUFFER = 2


def touches(step: Any, is_action: bool) -> str:
    """SWITCH, BILLING or "": what a step of a package would touch. `step` as in configure.py."""
    class_id, name = step.class_id, bytes(step.obis)
    member = step.method if is_action else step.attribute
    if class_id in (DISCONNECT_CONTROL, LIMITER) or name == _DISCONNECT_SCRIPTS:
        return SWITCH
    if name == _BILLING_SCRIPTS or _is_billing_period(class_id, name):
        return BILLING
    if is_action:
        if class_id in _REGISTERS and member == _RESET:
            return BILLING
        return BILLING if class_id == _PROFILE and member == _RESET else ""
    if (class_id in _REGISTERS and member == 2) or (class_id == _PROFILE and member == _BUFFER):
        return BILLING
    if class_id in (_SCRIPT_TABLE, _SCHEDULE) and step.data is not None:
        try:
            return _named(axdr.decode(step.data))
        except ProtocolError:
            return ""  # refused as a bad package before anything is written
    return ""


def _is_billing_period(class_id: int, name: bytes) -> bool:
    """Profiles and schedules of the billing period: 0-b:98.1.x, 1-b:98.1.x, 0-b:15.0.0."""
    if class_id == _PROFILE:
        return name[0] in (0, 1) and name[2:4] == b"\x62\x01"
    return class_id == _SCHEDULE and name[0] == 0 and name[2:5] == b"\x0f\x00\x00"


def _named(typed: Any) -> str:
    """Whether a script or schedule works the switch or ends a billing period, by the objects it
    names."""
    tag, value = typed
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        if tag == axdr.STRUCTURE and len(value) >= 4 and value[1][0] == axdr.LONG_UNSIGNED:
            service, class_id, target = value[0], value[1][1], value[2]
            if class_id in (DISCONNECT_CONTROL, LIMITER):
                return SWITCH
            executes = service[0] == axdr.ENUM and service[1] == 2
            if executes and class_id in _REGISTERS + (_PROFILE,) and value[3][1] == _RESET:
                return BILLING
            if target[0] == axdr.OCTET_STRING and bytes(target[1]) == _BILLING_SCRIPTS:
                return BILLING
        for element in value:
            found = _named(element)
            if found:
                return found
    elif tag == axdr.OCTET_STRING:
        if bytes(value) == _DISCONNECT_SCRIPTS:
            return SWITCH
        if bytes(value) == _BILLING_SCRIPTS:
            return BILLING
    return ""
