"""A COSEM date-time as a moment, and back (Blue Book 4.1.6.1). Its deviation is UTC minus local
time in minutes, the opposite of what people write.
"""

from __future__ import annotations

from gateway.dlms.data.datetime import ANY, NO_DEVIATION
from hal.rt.calendar import date_of, days_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

SIZE = 12
DAYLIGHT_SAVING = 0x80  # of the clock status: the local time is that of summer
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def local_of(raw: Bytes) -> int | None:
    """Seconds from 1970-01-01 00:00 of the same local time; None for no date of a calendar. What of
    the time of day is not specified counts as 0."""
    if len(raw) != SIZE:
        return None
    year, month, day = raw[0] << 8 | raw[1], raw[2], raw[3]
    if not 1 <= year <= 9999 or not 1 <= month <= 12 or not 1 <= day <= _LENGTHS[month - 1]:
        return None
    hour, minute, second = [0 if each == ANY else each for each in raw[5:8]]
    if hour > 23 or minute > 59 or second > 59:
        return None
    return days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


def deviation_of(raw: Bytes) -> int | None:
    """In minutes; None where it is not specified, or none that there is on earth."""
    deviation = raw[9] << 8 | raw[10]
    if deviation == NO_DEVIATION:
        return None
    if deviation & 0x8000:
        deviation -= 0x10000
    return deviation if -840 <= deviation <= 840 else None


def in_summer(raw: Bytes) -> bool | None:
    """Whether daylight saving is in force there; None where the status is not specified."""
    return None if raw[11] == ANY else bool(raw[11] & DAYLIGHT_SAVING)


def date_time(unix: int, deviation: int, told: bool = True) -> bytes:
    """The date-time of a moment where the deviation is so; it is not told unless `told`. Nor are
    the day of the week and the status: meters take a range of time without them."""
    local = unix - deviation * 60
    year, month, day = date_of(local // 86400)
    rest = local % 86400
    written = deviation & 0xFFFF if told else NO_DEVIATION
    return bytes(
        (
            year >> 8,
            year & 0xFF,
            month,
            day,
            ANY,
            rest // 3600,
            rest // 60 % 60,
            rest % 60,
            0,
            written >> 8,
            written & 0xFF,
            ANY,
        )
    )
