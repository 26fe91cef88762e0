"""COSEM date-times and the time that passes. UTC is local time plus deviation, in minutes (Blue
Book 4.1.6.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

NOT_SPECIFIED = -0x8000  # as a deviation


def to_unix(stamp: bytes, deviation: int) -> int:
    """Unix seconds of a fully given date-time (12 bytes); `deviation` is for one that has none.
    ValueError where a field is not given."""
    if len(stamp) != 12:
        raise ValueError("a date-time is 12 bytes, not %d" % len(stamp))
    given = int.from_bytes(stamp[9:11], "big", signed=True)
    if given != NOT_SPECIFIED:
        deviation = given
    elif deviation == NOT_SPECIFIED:
        deviation = 0
    try:
        return int((_local(stamp) + timedelta(minutes=deviation)).timestamp())
    except OverflowError:  # the last hours of 9999
        raise ValueError("a moment after the year 9999") from None


def shifted(stamp: bytes, seconds: int) -> bytes:
    """The date-time so much later, on the same deviation and status."""
    return _written(_local(stamp) + timedelta(seconds=seconds), stamp[9:12], stamp[4] != 0xFF)


def from_unix(unix: int, deviation: int, status: int) -> bytes:
    """The date-time of a clock with this deviation, with its weekday."""
    minutes = 0 if deviation == NOT_SPECIFIED else deviation
    local = datetime.fromtimestamp(unix, UTC) - timedelta(minutes=minutes)
    tail = deviation.to_bytes(2, "big", signed=True) + bytes([status])
    return _written(local, tail, True)


def with_seconds(text: str) -> str:
    """ISO 8601 in the spelling of gateway/dlms/data/datetime.py: a T for the space, an offset set
    apart; a bare date is its midnight."""
    spelt = re.sub(r"(?<=\d)[Tt](?=\d)", " ", text.strip())
    spelt = re.sub(r"(?<=:\d\d)([+-]\d\d:\d\d|[Zz])", r" \1", spelt)
    return spelt if ":" in spelt else spelt + " 00:00"


def _local(stamp: bytes) -> datetime:
    year = int.from_bytes(stamp[0:2], "big")
    return datetime(year, stamp[2], stamp[3], stamp[5], stamp[6], stamp[7], tzinfo=UTC)


def _written(local: datetime, tail: bytes, weekday: bool) -> bytes:
    return (
        local.year.to_bytes(2, "big")
        + bytes([local.month, local.day, local.isoweekday() if weekday else 0xFF])
        + bytes([local.hour, local.minute, local.second, 0])
        + tail
    )
