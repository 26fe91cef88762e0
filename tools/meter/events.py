"""What happens to a meter: codes in its logs, at the time of happening, and bits of its alarms."""

from __future__ import annotations

from gateway.dlms.data import axdr
from tools.meter import makes
from tools.meter.data import Data
from tools.meter.makes import Make
from tools.meter.model import CosemObject, Meter
from tools.meter.profile import ProfileGeneric, capture_object

LOG_ENTRIES = 256
MOST_FAILURES = 3  # failed associations that are an event
CLOCK = "0.0.1.0.0.255"


class Events:
    """Of one meter of a make. `objects`: its logs, their last codes, and the alarm descriptor.
    `register` and `alarm_filter`: of its alarms."""

    def __init__(self, meter: Meter, make: Make, register: Data, alarm_filter: Data) -> None:
        self._meter = meter
        self._make = make
        self._register = register
        self._filter = alarm_filter
        self._failures = 0
        self._logs: dict[str, ProfileGeneric] = {}
        self._codes: dict[str, Data] = {}
        self.objects: list[CosemObject] = []
        self._descriptor: Data | None = None
        for word, (log, code) in make.logs.items():
            most = max((n for of, n in make.events.values() if of == word), default=0)
            tag = axdr.UNSIGNED if most < 256 else axdr.LONG_UNSIGNED
            self._codes[word] = Data(meter, code, (tag, 0))
            columns = [capture_object(8, CLOCK, 2), capture_object(1, code, 2)]
            self._logs[word] = ProfileGeneric(meter, log, columns, 0, LOG_ENTRIES)
            self.objects += [self._logs[word], self._codes[word]]
        if make.descriptor:
            self._descriptor = Data(
                meter, make.descriptor, (axdr.DOUBLE_LONG_UNSIGNED, 0), writable=True
            )
            self.objects.append(self._descriptor)

    def happen(self, what: str, moment: int | None = None) -> None:
        """`what` of makes.py has happened, at this time of the meter's clock (None: now)."""
        if what in self._make.events:
            word, code = self._make.events[what]
            tag = self._codes[word].value(2)[0]
            self._codes[word].put(2, (tag, code))
            self._logs[word].capture(self._meter.now() if moment is None else moment)
        if what in self._make.alarms:
            bit = 1 << self._make.alarms[what]
            _raise(self._register, bit)
            if self._descriptor is not None:
                _raise(self._descriptor, bit & self._filter.value(2)[1])

    def written(self, class_id: int, name: str, index: int) -> None:
        """A client has changed the attribute."""
        found = self._meter.objects.get((class_id, name))
        if class_id == 8 and index == 2:
            return  # an event of its own
        if found in (self._register, self._descriptor):
            self.happen(makes.ALARMS_CLEARED)
        elif class_id == 7 and index == 4:
            different = makes.PERIOD_CHANGED in self._make.events
            self.happen(makes.PERIOD_CHANGED if different else makes.CONFIGURED)
        else:
            self.happen(makes.CONFIGURED)

    def cleared(self, name: str) -> None:
        """A client has emptied the profile."""
        if any(log.name == name for log in self._logs.values()):
            self.happen(makes.LOG_CLEARED)

    def refused(self) -> None:
        """Somebody failed to show that he knows the keys."""
        self._failures += 1
        if self._failures == MOST_FAILURES:
            self._failures = 0
            self.happen(makes.ASSOCIATION_FAILED)


def _raise(alarms: Data, bits: int) -> None:
    tag, value = alarms.value(2)
    alarms.put(2, (tag, value | bits))
