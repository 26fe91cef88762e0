"""Rows of profiles as people read them: columns by their OBIS codes with units, numbers with the
point where the scaler puts it, flags and status words in words.
"""

from __future__ import annotations

from typing import Any

from gateway.contract import quality
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import ProtocolError
from hal.rt import log
from tools.cosem import render
from tools.cosem.units import ScalerUnit, unit_name
from tools.hes.validation.row import Column

FLAG_WORDS = {
    quality.TIME_REPAIRED: "time repaired",
    quality.SECOND_PASS: "second pass of an hour",
    quality.CLOCK_OFF: "the meter's clock was off",
    quality.JUMPED_BACK: "the clock jumped back",
    quality.PERIOD_CHANGED: "the period changed",
    quality.OTHER_VALUES: "other values at the same time",
    quality.AFTER_GAP: "read after a gap",
}


def is_clock_ahead(class_id: int, attribute: int) -> bool:
    """Whether a value is not an attribute, but how far ahead of the concentrator's a clock was
    (gateway/activities/clock.py).
    """
    return (class_id, attribute) == (8, 0)


def name(column: Column) -> str:
    """Such as "1.0.1.8.0", with the attribute where it is not the value."""
    text = short(column.obis)
    if column.attribute != 2:
        text += " attribute %d" % column.attribute
    if column.index:
        text += "[%d]" % column.index
    return text


def short(code: bytes) -> str:
    """Of OBIS: without the last value group where that is 255."""
    return obis.text(code).removesuffix(".255")


def unit(column: Column) -> str:
    return unit_name(column.unit)


def text(column: Column, value: Any) -> str:
    """One line, and nothing that could do harm on a screen."""
    if value is None:
        return "-"
    if type(value) is int and column.scaler is not None and -40 <= column.scaler <= 40:
        return ScalerUnit(column.scaler, "").number(value)
    if isinstance(value, bytes):
        return render.octets(value)
    if isinstance(value, list):
        return "[%s]" % ", ".join(text(column, each) for each in value)
    return log.printable(str(value))


def number(column: Column, value: Any) -> float | None:
    """Scaled; None for what is no number."""
    if type(value) not in (int, float):
        return None
    return float(value) * 10.0 ** (column.scaler or 0)


def value_text(data: bytes, scaler: int | None, unit_number: int | None) -> str:
    """Of an attribute in A-XDR."""
    try:
        tag, value = axdr.decode(data)
    except ProtocolError:
        return render.data(data)
    if scaler is None or type(value) is not int or not -40 <= scaler <= 40:
        return render.text((tag, value))
    return ScalerUnit(scaler, unit_name(unit_number)).quantity(value)


def flags_text(flags: int) -> str:
    words = [text for bit, text in FLAG_WORDS.items() if flags & bit]
    rest = flags & ~sum(FLAG_WORDS)
    return "; ".join([*words, *(["flags %d" % rest] if rest else [])])


def plot(values: list[float | None]) -> str:
    """One character each, by height; a gap where there is none."""
    there = [value for value in values if value is not None]
    if not there:
        return ""
    least, most = min(0.0, *there), max(there)
    span = most - least or 1.0
    return "".join(
        " " if value is None else _BARS[round((value - least) / span * (len(_BARS) - 1))]
        for value in values
    )


_BARS = "▁▂▃▄▅▆▇█"
