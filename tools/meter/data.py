"""Class 1 (data) and class 3 (register)."""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.dlms.data import axdr
from tools.meter import kinds
from tools.meter.kinds import Kind, Typed
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


WATT_HOUR, VOLT = 30, 35  # units of the Blue Book


def scaler_unit(scaler: int, unit: int) -> tuple[Kind, Typed]:
    """Kind and value of the attribute scaler_unit."""
    value = (axdr.STRUCTURE, [(axdr.INTEGER, scaler), (axdr.ENUM, unit)])
    return kinds.structure(kinds.INTEGER, kinds.enum(unit)), value


class Register(CosemObject):
    """Class 3: a measured quantity `read()` of data type `tag`, with its scaler (power of ten)
    and unit."""

    class_id = 3

    def __init__(
        self, meter: Meter, name: str, tag: int, read: Callable[[], int], scaler: int, unit: int
    ) -> None:
        super().__init__(meter, name)
        self.attribute(2, kinds.simple(tag), get=lambda: (tag, read()))
        self.attribute(3, *scaler_unit(scaler, unit))
        self.method(1, kinds.NOTHING, lambda _: self.put(2, (tag, 0)))


def energy(meter: Meter, base: int, watt_seconds: Callable[[], float]) -> Register:
    """Active energy import, Wh: `base` and what has been drawn since the start."""
    return Register(
        meter,
        "1.0.1.8.0.255",
        axdr.DOUBLE_LONG_UNSIGNED,
        lambda: (base + int(watt_seconds() / 3600)) % (1 << 32),
        0,
        WATT_HOUR,
    )


def voltage(meter: Meter, phase: float) -> Register:
    """Voltage L1 in tenths of a volt: 220 V, swaying by 3 V over ten minutes."""
    return Register(
        meter,
        "1.0.32.7.0.255",
        axdr.LONG_UNSIGNED,
        lambda: 2200 + round(30 * math.sin(phase + meter.elapsed() * math.tau / 600)),
        -1,
        VOLT,
    )
