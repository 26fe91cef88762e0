"""Class 4 (extended register) and class 5 (demand register): the mean power of each period, and the
highest of them."""

from __future__ import annotations

from collections.abc import Callable

from gateway.dlms.data import axdr
from tools.meter import kinds
from tools.meter.clock import Clock
from tools.meter.data import scaler_unit
from tools.meter.kinds import Typed
from tools.meter.model import CosemObject, Meter

WATT = 27  # unit of the Blue Book
NEVER = b"\x00" * 12


def watts(value: float) -> Typed:
    return (axdr.DOUBLE_LONG_UNSIGNED, int(value))


class ExtendedRegister(CosemObject):
    """Class 4: the highest value that was `offer`ed, and when."""

    class_id = 4

    def __init__(self, meter: Meter, name: str) -> None:
        super().__init__(meter, name)
        self.attribute(2, kinds.DOUBLE_LONG_UNSIGNED, watts(0))
        self.attribute(3, *scaler_unit(0, WATT))
        self.attribute(4, kinds.UNSIGNED, (axdr.UNSIGNED, 0))
        self.attribute(5, kinds.DATE_TIME, (axdr.OCTET_STRING, NEVER))
        self.method(1, kinds.NOTHING, lambda _: self._reset())

    def offer(self, value: float, stamp: bytes) -> None:
        if value > self.value(2)[1]:
            self.put(2, watts(value))
            self.put(5, (axdr.OCTET_STRING, stamp))

    def _reset(self) -> None:
        self.put(2, watts(0))
        self.put(5, (axdr.OCTET_STRING, NEVER))


class DemandRegister(CosemObject):
    """Class 5 with one period (block demand). `watt_seconds()` is the energy since the start."""

    class_id = 5

    def __init__(
        self,
        meter: Meter,
        name: str,
        watt_seconds: Callable[[], float],
        maximum: ExtendedRegister,
        period: int = 900,
    ) -> None:
        super().__init__(meter, name)
        self._watt_seconds = watt_seconds
        self._maximum = maximum
        self._energy = watt_seconds()  # at the start of the period
        self._started = meter.now()
        start = (axdr.OCTET_STRING, NEVER)
        self.attribute(2, kinds.DOUBLE_LONG_UNSIGNED, get=self._current)
        self.attribute(3, kinds.DOUBLE_LONG_UNSIGNED, watts(0))
        self.attribute(4, *scaler_unit(0, WATT))
        self.attribute(5, kinds.UNSIGNED, (axdr.UNSIGNED, 0))
        self.attribute(6, kinds.DATE_TIME, start)
        self.attribute(
            7,
            kinds.DATE_TIME,
            get=lambda: (axdr.OCTET_STRING, self._stamp(self._started)),
        )
        self.attribute(8, kinds.DOUBLE_LONG_UNSIGNED, (axdr.DOUBLE_LONG_UNSIGNED, period))
        self.attribute(9, kinds.LONG_UNSIGNED, (axdr.LONG_UNSIGNED, 1))
        self.method(1, kinds.NOTHING, lambda _: self._reset())
        self.method(2, kinds.NOTHING, lambda _: self._next(meter.now()))

    def tick(self, before: int, now: int) -> None:
        period = self.value(8)[1]
        if now // period != before // period:
            self._next(now)

    def _current(self) -> Typed:
        """The mean over the whole period, were nothing more drawn until its end."""
        return watts((self._watt_seconds() - self._energy) / self.value(8)[1])

    def _next(self, now: int) -> None:
        energy = self._watt_seconds()
        mean = (energy - self._energy) / max(now - self._started, 1)
        self.put(3, watts(max(mean, 0)))
        self.put(6, (axdr.OCTET_STRING, self._stamp(now)))
        self._maximum.offer(max(mean, 0), self._stamp(now))
        self._energy, self._started = energy, now

    def _reset(self) -> None:
        self._energy, self._started = self._watt_seconds(), self.meter.now()
        self.put(3, watts(0))
        self.put(6, (axdr.OCTET_STRING, NEVER))

    def _stamp(self, moment: int) -> bytes:
        clock = self.meter.find(8, "0.0.1.0.0.255")
        assert isinstance(clock, Clock)
        return clock.stamp(moment)
