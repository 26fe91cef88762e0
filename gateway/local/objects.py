"""What a technician sees of the concentrator itself: a few COSEM objects, read-only.

logical device name    data  0.0.42.0.0.255
firmware identifier    data  1.0.0.2.0.255
meters known           data  0.0.96.50.0.255   } D = 50..99 under C = 96 is the
meters reachable now   data  0.0.96.51.0.255   } manufacturer's own (Blue Book 6.2)
clock                  clock 0.0.1.0.0.255
this association       association_ln 0.0.40.0.0.255: object list, partners
"""

from __future__ import annotations

import time

from gateway.dlms.data import axdr
from gateway.dlms.data.datetime import parse_date_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from hal.ports import Clock

    class Status(Protocol):
        firmware: str

        def meters_known(self) -> int: ...
        def meters_reachable(self) -> int: ...


DATA, CLOCK, ASSOCIATION = 1, 8, 15
ASSOCIATION_NAME = bytes((0, 0, 40, 0, 0, 255))
_READ = 1  # access mode
# Some MicroPython ports count from 2000.
_EPOCH = 0 if time.gmtime(0)[0] == 1970 else 946684800

# data-access-results
UNDEFINED = 4
CLASS_INCONSISTENT = 9
DENIED = 3

_OBJECTS = (
    (DATA, bytes((0, 0, 42, 0, 0, 255)), (1, 2)),
    (DATA, bytes((1, 0, 0, 2, 0, 255)), (1, 2)),
    (DATA, bytes((0, 0, 96, 50, 0, 255)), (1, 2)),
    (DATA, bytes((0, 0, 96, 51, 0, 255)), (1, 2)),
    (CLOCK, bytes((0, 0, 1, 0, 0, 255)), (1, 2)),
    (ASSOCIATION, ASSOCIATION_NAME, (1, 2)),
)
_VERSIONS = {DATA: 0, CLOCK: 0, ASSOCIATION: 1}


class Objects:
    """`name`: the concentrator's."""

    def __init__(self, name: str, status: Status, clock: Clock) -> None:
        self._name = name
        self._status = status
        self._clock = clock

    def get(self, class_id: int, name: bytes, attribute: int) -> tuple[int, bytes | None]:
        """(data-access-result, value as A-XDR Data where that is success)."""
        for class_of, name_of, attributes in _OBJECTS:
            if name_of == name:
                if class_of != class_id:
                    return CLASS_INCONSISTENT, None
                if attribute not in attributes:
                    return DENIED, None
                return 0, axdr.encode(self._value(name, attribute))
        return UNDEFINED, None

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
        if name == ASSOCIATION_NAME:
            return (axdr.ARRAY, [_row(*each) for each in _OBJECTS])
        return (axdr.OCTET_STRING, _now(self._clock))


def _row(class_id: int, name: bytes, attributes: tuple[int, ...]) -> Any:
    """object_list_element (Blue Book 4.4.4)."""
    rights = [
        (
            axdr.STRUCTURE,
            [(axdr.INTEGER, attribute), (axdr.ENUM, _READ), (axdr.NULL, None)],
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


def _now(clock: Clock) -> bytes:
    """date-time in UTC; nothing of it specified while nobody has set the clock."""
    seconds = clock.unix_time()
    if not seconds:
        return parse_date_time("*-*-* *:*:*.* invalid")
    spelt = "%04d-%02d-%02d %02d:%02d:%02d Z ok"
    return parse_date_time(spelt % tuple(time.gmtime(seconds - _EPOCH))[:6])
