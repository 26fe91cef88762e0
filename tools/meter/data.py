"""Class 1 (data) and class 3 (register)."""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.dlms.data import axdr
from tools.meter import kinds
from tools.meter.clock import Clock
from tools.meter.kinds import Kind, Typed
from tools.meter.makes import SUMMER
from tools.meter.model import CosemObject, Meter


class Data(CosemObject):
    """Class 1. A writable one takes only the data type it was made with."""

    class_id = 1

    def __init__(
        self,
        meter: Meter,
        name: str,
        value: Typed | Callable[[], Typed],
        *,
        writable: bool = False,
        public: bool = False,
    ) -> None:
        super().__init__(meter, name)
        if callable(value):
            kind = kinds.simple(value()[0])
            self.attribute(2, kind, get=value, writable=writable, public=public)
        else:
            kind = kinds.simple(value[0])
            self.attribute(2, kind, value, writable=writable, public=public)


WATT_HOUR, VAR_HOUR, VOLT = 30, 32, 35  # units of the Blue Book


def scaler_unit(scaler: int, unit: int) -> tuple[Kind, Typed]:
    """Kind and value of the attribute scaler_unit."""
    value = (axdr.STRUCTURE, [(axdr.INTEGER, scaler), (axdr.ENUM, unit)])
    return kinds.structure(kinds.INTEGER, kinds.enum(unit)), value


class ProfileStatus(Data):
    """Class 1: the status of a profile's rows; in a row, what has happened since the one before."""

    def __init__(self, meter: Meter, name: str) -> None:
        super().__init__(meter, name, lambda: self._status(meter.now()))

    def captured(self, index: int, moment: int, ago: float, status: int) -> Typed:
        if index != 2:
            return super().captured(index, moment, ago, status)
        tag, bits = self._status(moment)
        return (tag, bits | status)

    def _status(self, moment: int) -> Typed:
        clock = self.meter.objects.get((8, "0.0.1.0.0.255"))
        summer = isinstance(clock, Clock) and clock.summer(moment)
        return (axdr.UNSIGNED, SUMMER if summer else 0)


class Register(CosemObject):
    """Class 3: a measured quantity of data type `tag`, with its scaler (power of ten) and unit.
    `read(ago)` is what it was so many seconds ago."""

    class_id = 3

    def __init__(
        self,
        meter: Meter,
        name: str,
        tag: int,
        read: Callable[[float], int],
        scaler: int,
        unit: int,
    ) -> None:
        super().__init__(meter, name)
        self._tag = tag
        self._read = read
        self.attribute(2, kinds.simple(tag), get=lambda: (tag, read(0)))
        self.attribute(3, *scaler_unit(scaler, unit))
        self.method(1, kinds.NOTHING, lambda _: self.put(2, (tag, 0)))

    def captured(self, index: int, moment: int, ago: float, status: int) -> Typed:
        if index != 2 or self.attributes[2].get is None:
            return self.value(index)
        return (self._tag, self._read(ago))


def energy(
    meter: Meter,
    base: int,
    watt_seconds: Callable[[float], float],
    name: str = "1.0.1.8.0.255",
    unit: int = WATT_HOUR,
) -> Register:
    """An energy, Wh or varh: `base` and what has come since the start; `watt_seconds(ago)`."""
    return Register(
        meter,
        name,
        axdr.DOUBLE_LONG_UNSIGNED,
        lambda ago: (base + int(watt_seconds(ago) / 3600)) % (1 << 32),
        0,
        unit,
    )


def voltage(meter: Meter, phase: float) -> Register:
    """Voltage L1 in tenths of a volt: 220 V, swaying by 3 V over ten minutes."""
    return Register(
        meter,
        "1.0.32.7.0.255",
        axdr.LONG_UNSIGNED,
        lambda ago: 2200 + round(30 * math.sin(phase + (meter.elapsed() - ago) * math.tau / 600)),
        -1,
        VOLT,
    )


def drawn(watts: float, seconds: float, phase: float) -> float:
    """Watt seconds after so many seconds of a household that draws so much on average: more by day
    than by night, and more when something cooks. It never falls."""
    total = seconds
    for share, period in ((0.45, 86400), (0.25, 43200), (0.2, 5400), (0.08, 1740)):
        turn = math.tau / period
        total += (
            share * (math.sin(turn * seconds + phase * period) - math.sin(phase * period)) / turn
        )
    return watts * total
