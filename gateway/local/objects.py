"""What a technician sees of the concentrator itself: a few COSEM objects, of which two can be
written: the clock, and the time signed by the HES.

logical device name    data  0.0.42.0.0.255
firmware identifier    data  1.0.0.2.0.255
meters known           data  0.0.96.50.0.255   } D = 50..99 under C = 96 is the
meters reachable now   data  0.0.96.51.0.255   } manufacturer's own (Blue Book 6.2)
signed time            data  0.0.96.52.0.255   }
clock                  clock 0.0.1.0.0.255
this association       association_ln 0.0.40.0.0.255: object list, partners

The clock takes a technician's date as it takes a sealed one of the HES: an unset clock is set, not
below the last known time, a set one is moved by an hour a day at most. The signed time is the way
out of a clock or a last known time that is further off: reading it gives a nonce, which counts for
an hour; a SignedTime over it by a key for orders (`ami-hes time`) is written.
"""

from __future__ import annotations

import time

from gateway.contract.refused import Refused
from gateway.dlms.data import axdr
from gateway.dlms.data.datetime import parse_date_time
from gateway.dlms.errors import ProtocolError
from hal.rt import log
from hal.rt.calendar import days_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from gateway.kept_clock import KeptClock

    class Status(Protocol):
        firmware: str

        def meters_known(self) -> int: ...
        def meters_reachable(self) -> int: ...

    class Times(Protocol):
        """Who sets the clock; what he does not take is Refused."""

        def nonce(self) -> bytes: ...
        def date(self, seconds: int) -> None: ...
        def signed(self, payload: bytes) -> None: ...


DATA, CLOCK, ASSOCIATION = 1, 8, 15
ASSOCIATION_NAME = bytes((0, 0, 40, 0, 0, 255))
_READ, _WRITE_TOO = 1, 3  # access modes
SIGNED_TIME = bytes((0, 0, 96, 52, 0, 255))
CLOCK_NAME = bytes((0, 0, 1, 0, 0, 255))
_WRITABLE = (SIGNED_TIME, CLOCK_NAME)  # their attribute 2
# Some MicroPython ports count from 2000.
_EPOCH = 0 if time.gmtime(0)[0] == 1970 else 946684800

# data-access-results
UNDEFINED = 4
CLASS_INCONSISTENT = 9
DENIED = 3
UNMATCHED_TYPE = 12

_OBJECTS = (
    (DATA, bytes((0, 0, 42, 0, 0, 255)), (1, 2)),
    (DATA, bytes((1, 0, 0, 2, 0, 255)), (1, 2)),
    (DATA, bytes((0, 0, 96, 50, 0, 255)), (1, 2)),
    (DATA, bytes((0, 0, 96, 51, 0, 255)), (1, 2)),
    (DATA, SIGNED_TIME, (1, 2)),
    (CLOCK, CLOCK_NAME, (1, 2)),
    (ASSOCIATION, ASSOCIATION_NAME, (1, 2)),
)
_VERSIONS = {DATA: 0, CLOCK: 0, ASSOCIATION: 1}


class Objects:
    """`name`: the concentrator's."""

    def __init__(self, name: str, status: Status, clock: KeptClock, times: Times) -> None:
        self._name = name
        self._status = status
        self._clock = clock
        self._times = times

    def get(self, class_id: int, name: bytes, attribute: int) -> tuple[int, bytes | None]:
        """(data-access-result, value as A-XDR Data where that is success)."""
        result = _found(class_id, name, attribute)
        if result:
            return result, None
        return 0, axdr.encode(self._value(name, attribute))

    def set(self, class_id: int, name: bytes, attribute: int, data: bytes) -> int:
        """The data-access-result. `data`: A-XDR."""
        result = _found(class_id, name, attribute)
        if result:
            return result
        if name not in _WRITABLE or attribute != 2:
            return DENIED
        try:
            kind, value = axdr.decode(data)[:2]
            if kind not in (axdr.OCTET_STRING, axdr.DATE_TIME):
                return UNMATCHED_TYPE
            if name == SIGNED_TIME:
                self._times.signed(value)
            else:
                self._times.date(_seconds(value))
        except (ProtocolError, ValueError):
            return UNMATCHED_TYPE
        except Refused as refused:
            log.warning("local", "time: %s" % refused)
            return DENIED
        return 0

    def _value(self, name: bytes, attribute: int) -> Any:
        if attribute == 1:
            return (axdr.OCTET_STRING, name)
        if name == _OBJECTS[0][1]:
            return (axdr.OCTET_STRING, self._name.encode())
        if name == _OBJECTS[1][1]:
            return (axdr.OCTET_STRING, self._status.firmware.encode())
        if name == _OBJECTS[2][1]:
            return (axdr.DOUBLE_LONG_UNSIGNED, self._status.meters_known())
        if name == _OBJECTS[3][1]:
            return (axdr.DOUBLE_LONG_UNSIGNED, self._status.meters_reachable())
        if name == SIGNED_TIME:
            return (axdr.OCTET_STRING, self._times.nonce())
        if name == ASSOCIATION_NAME:
            return (axdr.ARRAY, [_row(*each) for each in _OBJECTS])
        return (axdr.OCTET_STRING, _now(self._clock))


def _found(class_id: int, name: bytes, attribute: int) -> int:
    """The data-access-result that says that there is no such attribute; 0: there is."""
    for class_of, name_of, attributes in _OBJECTS:
        if name_of == name:
            if class_of != class_id:
                return CLASS_INCONSISTENT
            return 0 if attribute in attributes else DENIED
    return UNDEFINED


def _mode(name: bytes, attribute: int) -> int:
    return _WRITE_TOO if name in _WRITABLE and attribute == 2 else _READ


def _seconds(raw: bytes) -> int:
    """Of a date-time (Blue Book 4.1.6.1), all of it specified, with its deviation from UTC.
    ValueError."""
    if len(raw) != 12 or 0xFF in raw[2:4] + raw[5:8] or raw[:2] == b"\xff\xff":
        raise ValueError("expected a whole date-time")
    deviation = int.from_bytes(raw[9:11], "big")
    if deviation == 0x8000:
        raise ValueError("expected a deviation from UTC")
    if deviation > 0x8000:
        deviation -= 0x10000
    year, month, day = raw[0] << 8 | raw[1], raw[2], raw[3]
    hour, minute, second = raw[5], raw[6], raw[7]
    good = 2025 <= year <= 2105 and 1 <= month <= 12 and 1 <= day <= 31 and -720 <= deviation <= 840
    if not good or hour > 23 or minute > 59 or second > 59:
        raise ValueError("expected a date-time, came another")
    return days_to(year, month, day) * 86400 + hour * 3600 + (minute + deviation) * 60 + second


def _row(class_id: int, name: bytes, attributes: tuple[int, ...]) -> Any:
    """object_list_element (Blue Book 4.4.4)."""
    rights = [
        (
            axdr.STRUCTURE,
            [(axdr.INTEGER, attribute), (axdr.ENUM, _mode(name, attribute)), (axdr.NULL, None)],
        )
        for attribute in attributes
    ]
    access = (axdr.STRUCTURE, [(axdr.ARRAY, rights), (axdr.ARRAY, [])])
    fields = [
        (axdr.LONG_UNSIGNED, class_id),
        (axdr.UNSIGNED, _VERSIONS[class_id]),
        (axdr.OCTET_STRING, name),
        access,
    ]
    return (axdr.STRUCTURE, fields)


def _now(clock: KeptClock) -> bytes:
    """date-time in UTC. While nobody has set the clock who may, a guess is marked as doubtful; with
    no guess nothing of it is specified."""
    seconds, sure = clock.doubtful_time(), clock.unix_time() != 0
    if not seconds:
        return parse_date_time("*-*-* *:*:*.* invalid")
    spelt = "%04d-%02d-%02d %02d:%02d:%02d Z " + ("ok" if sure else "doubtful")
    return parse_date_time(spelt % tuple(time.gmtime(seconds - _EPOCH))[:6])
