"""Class 22 (single action schedule), class 40 (push setup) and class 17 (SAP assignment)."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis
from tools.meter import kinds
from tools.meter.clock import Clock, day_matches
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, CosemObject, Meter
from tools.meter.monitor import SCRIPT_REFERENCE
from tools.meter.profile import CAPTURE_OBJECT
from tools.meter.script import run_script

EXECUTION_TIME = kinds.structure(kinds.TIME, kinds.DATE)
DESTINATION = kinds.structure(kinds.enum(*range(9)), kinds.OCTETS, kinds.enum(0, 1, 2))


class SingleActionSchedule(CosemObject):
    """Class 22: executes its script at each time and date given; wildcards in dates are every
    day, month or year, in times 0."""

    class_id = 22

    def __init__(self, meter: Meter, name: str, script_table: str, selector: int) -> None:
        super().__init__(meter, name)
        script = [
            (axdr.OCTET_STRING, obis.parse(script_table)),
            (axdr.LONG_UNSIGNED, selector),
        ]
        self.attribute(2, SCRIPT_REFERENCE, (axdr.STRUCTURE, script), writable=True)
        self.attribute(3, kinds.enum(1, 2, 3, 4, 5), (axdr.ENUM, 2), writable=True)
        self.attribute(4, kinds.array(EXECUTION_TIME, 16), (axdr.ARRAY, []), writable=True)

    def tick(self, before: int, now: int) -> None:
        clock = self.meter.find(8, "0.0.1.0.0.255")
        assert isinstance(clock, Clock)
        if not 0 < now - before <= 86400:
            return  # the clock has been set
        start, end = clock.local(before), clock.local(now)
        (_, table), (_, selector) = self.value(2)[1]
        for entry in self.value(4)[1]:
            (_, time), (_, date) = entry[1]
            for day in (start.date(), end.date()) if start.date() != end.date() else (end.date(),):
                hour, minute, second = (0 if octet == 0xFF else octet for octet in time[:3])
                midnight = datetime(day.year, day.month, day.day, tzinfo=start.tzinfo)
                due = midnight + timedelta(hours=hour, minutes=minute, seconds=second)
                if start < due <= end and day_matches(date, day):
                    run_script(self.meter, table, selector)


class PushSetup(CosemObject):
    """Class 40, version 0. `push` makes a DataNotification of its objects, which waits for the
    server to send it on the connection of the client: there is no other network here."""

    class_id = 40

    def __init__(self, meter: Meter, name: str, objects: list[Typed]) -> None:
        super().__init__(meter, name)
        self.waiting: deque[bytes] = deque(maxlen=4)  # plain
        self._invoke = 0
        destination = [(axdr.ENUM, 0), (axdr.OCTET_STRING, b""), (axdr.ENUM, 0)]
        self.attribute(2, kinds.array(CAPTURE_OBJECT, 32), (axdr.ARRAY, objects), writable=True)
        self.attribute(3, DESTINATION, (axdr.STRUCTURE, destination), writable=True)
        window = kinds.structure(kinds.DATE_TIME, kinds.DATE_TIME)
        self.attribute(4, kinds.array(window, 16), (axdr.ARRAY, []), writable=True)
        self.attribute(5, kinds.LONG_UNSIGNED, (axdr.LONG_UNSIGNED, 0), writable=True)
        self.attribute(6, kinds.UNSIGNED, (axdr.UNSIGNED, 0), writable=True)
        self.attribute(7, kinds.LONG_UNSIGNED, (axdr.LONG_UNSIGNED, 0), writable=True)
        self.method(1, kinds.NOTHING, lambda _: self._push())

    def _push(self) -> None:
        values = []
        for entry in self.value(2)[1]:
            (_, class_id), (_, name), (_, attribute), _ = entry[1]
            values.append(self.meter.find(class_id, obis.text(name)).read(attribute, MANAGEMENT))
        self._invoke += 1
        body = axdr.encode((axdr.STRUCTURE, values))
        self.waiting.append(apdu.DataNotification(self._invoke, b"", body).encode())


class SapAssignment(CosemObject):
    """Class 17: the one logical device there is, the management one."""

    class_id = 17

    def __init__(self, meter: Meter, name: str, device_name: bytes) -> None:
        super().__init__(meter, name)
        row = [(axdr.LONG_UNSIGNED, 1), (axdr.OCTET_STRING, device_name)]
        kind = kinds.array(kinds.structure(kinds.LONG_UNSIGNED, kinds.OCTETS))
        self.attribute(2, kind, (axdr.ARRAY, [(axdr.STRUCTURE, row)]), public=True)
