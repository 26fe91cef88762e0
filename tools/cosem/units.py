"""Units of registers by their number (Blue Book 4.3.2, enumeration of `unit`)."""

from __future__ import annotations

from typing import Any

from gateway.dlms.data import axdr

UNITS = {
    1: "a", 2: "month", 3: "week", 4: "d", 5: "h", 6: "min", 7: "s", 8: "°", 9: "°C",
    10: "currency", 11: "m", 12: "m/s", 13: "m³", 14: "m³", 15: "m³/h", 16: "m³/h", 17: "m³/d",
    18: "m³/d", 19: "l", 20: "kg", 21: "N", 22: "Nm", 23: "Pa", 24: "bar", 25: "J", 26: "J/h",
    27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 33: "A", 34: "C", 35: "V",
    36: "V/m", 37: "F", 38: "Ω", 39: "Ωm²/m", 40: "Wb", 41: "T", 42: "A/m", 43: "H", 44: "Hz",
    45: "1/Wh", 46: "1/varh", 47: "1/VAh", 48: "V²h", 49: "A²h", 50: "kg/s", 51: "S", 52: "K",
    53: "1/V²h", 54: "1/A²h", 55: "1/m³", 56: "%", 57: "Ah", 60: "Wh/m³", 61: "J/m³", 62: "mol %",
    63: "g/m³", 64: "Pa s", 65: "J/kg", 66: "g/cm²", 67: "atm", 70: "dBm", 71: "dBµV", 72: "dB",
}  # fmt: skip
_NO_UNIT = 255


class ScalerUnit:
    """How a register's number is to be read: times ten to the `scaler`, in `unit` ("" for none)."""

    def __init__(self, scaler: int, unit: str) -> None:
        self.scaler = scaler
        self.unit = unit

    def number(self, value: int) -> str:
        """Exact: the digits as the meter counts them, the point where the scaler puts it."""
        if self.scaler >= 0:
            return str(value * 10**self.scaler)
        sign, digits = "-" if value < 0 else "", str(abs(value)).rjust(1 - self.scaler, "0")
        return "%s%s.%s" % (sign, digits[: self.scaler], digits[self.scaler :])

    def quantity(self, value: int) -> str:
        return ("%s %s" % (self.number(value), self.unit)).strip()


def read_scaler_unit(typed: tuple[int, Any]) -> ScalerUnit | None:
    """From the attribute scaler_unit: structure {integer, enum}; None when it is not that."""
    tag, fields = typed
    if tag != axdr.STRUCTURE or [field[0] for field in fields] != [axdr.INTEGER, axdr.ENUM]:
        return None
    (_, scaler), (_, unit) = fields
    return ScalerUnit(scaler, unit_name(unit))


def unit_name(number: int | None) -> str:
    """ "" for none."""
    if number is None or number == _NO_UNIT:
        return ""
    return UNITS.get(number, "unit %d" % number)
