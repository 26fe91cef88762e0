"""What must still hold of a meter whatever was written (use case: *condiciones posteriores*): it
measures, its clock runs, and its load profile has the columns it had."""

from __future__ import annotations

from gateway.activities.attributes import same
from gateway.activities.readable import attribute, shown
from gateway.dlms.data import axdr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from gateway.activities.attributes import Attributes, Key

CLOCK = (8, b"\x00\x00\x01\x00\x00\xff", 2)  # time
ENERGY = (3, b"\x01\x00\x01\x08\x00\xff", 2)  # value of active energy import, total
COLUMNS = (7, b"\x01\x00\x63\x01\x00\xff", 3)  # capture_objects of load profile 1
KEYS = (CLOCK, ENERGY, COLUMNS)  # read before and after

_SAID = (1, 2, 11)  # hardware-fault, temporary-failure, object-unavailable
_DEVIATION = 9  # offset in a date-time: what comes before it is local time (Blue Book 4.1.6.1)
_NOT_SPECIFIED = 0xFF


def broken(before: Attributes, after: Attributes, ordered: Container[Key]) -> str:
    """What does not hold any more, in words; "" when all does. A meter without one of the objects
    is not asked for it; what the steps wrote themselves (`ordered`) is as they say. AccessRefused
    by a meter that cannot say now, or that is defective."""
    for key in KEYS:
        if key in before.values and key not in ordered:
            was, now = before.values[key], after.values.get(key)
            if now is None:
                if after.refused.get(key) in _SAID:
                    after.value(key)
                return "%s cannot be read any more" % attribute(*key)
            if not _holds(key, was, now):
                return "%s was %s, is now %s" % (attribute(*key), shown(was), shown(now))
    return ""


def _holds(key: Key, was: bytes, now: bytes) -> bool:
    if key == COLUMNS:
        return same(was, now)
    before, after = axdr.decode(was), axdr.decode(now)
    if before[0] != after[0]:
        return False
    if key == CLOCK:
        return _runs(before[1], after[1])
    if type(before[1]) is int:
        return bool(after[1] >= before[1])
    return True


def _runs(before: object, after: object) -> bool:
    """Whether one date-time is not before the other; one whose zone or summer time has changed
    meanwhile, or with fields not specified, cannot be compared."""
    if not isinstance(before, (bytes, bytearray)) or not isinstance(after, (bytes, bytearray)):
        return True
    if len(before) != 12 or len(after) != 12 or before[_DEVIATION:11] != after[_DEVIATION:11]:
        return True
    first, second = _moment(before), _moment(after)
    return _NOT_SPECIFIED in first + second or second >= first


def _moment(raw: bytes | bytearray) -> bytes:
    """Year, month, day, hour, minute, second: without the day of the week in between."""
    return bytes(raw[:4]) + bytes(raw[5:8])
