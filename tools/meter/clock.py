"""Class 8, the clock, and the date_time octet-strings of the Blue Book (4.1.6.1): local time,
with the deviation such that UTC = local time + deviation."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from gateway.dlms.data import axdr
from tools.meter import kinds
from tools.meter.kinds import Typed
from tools.meter.makes import CLOCK_ADJUSTED, CLOCK_NEW, CLOCK_OLD, SUMMER_TIME
from tools.meter.model import CosemObject, Meter, Refused

ANY8 = 0xFF
UNSPECIFIED_DEVIATION = -0x8000
LAST_DAY, SECOND_LAST_DAY = 0xFE, 0xFD
YEARS = range(2000, 2100)  # what the clock can be set to
DST_ACTIVE = 0x80  # clock_status bit


def date_time(unix: int, deviation: int, status: int = 0) -> bytes:
    """The 12 bytes of the moment `unix` on a clock `deviation` minutes behind UTC."""
    local = datetime.fromtimestamp(unix, UTC) - timedelta(minutes=deviation)
    return (
        local.year.to_bytes(2, "big")
        + bytes([local.month, local.day, local.isoweekday()])
        + bytes([local.hour, local.minute, local.second, 0])
        + deviation.to_bytes(2, "big", signed=True)
        + bytes([status])
    )


def to_unix(octets: bytes, deviation: int) -> int:
    """The moment of a fully given date_time; where it has no deviation `deviation` holds.
    ValueError otherwise."""
    given = int.from_bytes(octets[9:11], "big", signed=True)
    if given != UNSPECIFIED_DEVIATION:
        if not -720 <= given <= 840:
            raise ValueError("deviation %d is outside -720..840 minutes" % given)
        deviation = given
    year, (month, day), (hour, minute, second) = (
        int.from_bytes(octets[0:2], "big"),
        octets[2:4],
        octets[5:8],
    )
    local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    if octets[4] not in (ANY8, local.isoweekday()):
        raise ValueError("day of week %d does not fit the date" % octets[4])
    return int(local.timestamp()) + deviation * 60


def day_matches(octets: bytes, day: date) -> bool:
    """Whether a date (the first 5 bytes of a date_time), with its wildcards, means this day."""
    year, month, day_of_month, weekday = (
        int.from_bytes(octets[0:2], "big"),
        octets[2],
        octets[3],
        octets[4],
    )
    if year not in (0xFFFF, day.year) or month not in (ANY8, day.month):
        return False
    if weekday not in (ANY8, day.isoweekday()):
        return False
    last = calendar.monthrange(day.year, day.month)[1]
    if day_of_month == LAST_DAY:
        # with a day of week: the last such day of the month
        return day.day > last - 7 if weekday != ANY8 else day.day == last
    if day_of_month == SECOND_LAST_DAY:
        return last - 14 < day.day <= last - 7 if weekday != ANY8 else day.day == last - 1
    if day_of_month == ANY8:
        return True
    if weekday != ANY8 and year == 0xFFFF:
        # a weekday and a day of every year: the first such weekday on or after the day
        return day_of_month <= day.day < day_of_month + 7
    return day.day == day_of_month


@lru_cache(1024)
def in_year(octets: bytes, year: int) -> datetime | None:
    """The first moment of `year` that a date_time with wildcards means (local time); None if
    there is none."""
    day = date(year, 1, 1)
    while day.year == year:
        if day_matches(octets[:5], day):
            hour, minute, second = (0 if b == ANY8 else b for b in octets[5:8])
            return datetime(day.year, day.month, day.day, hour, minute, second)
        day += timedelta(days=1)
    return None


def check_date_time(octets: bytes) -> None:
    """Refused "other-reason" for a date_time whose fields are out of range."""
    check_date(octets[:5])
    check_time(octets[5:9])


def check_date(octets: bytes) -> None:
    """The same for a date, the first 5 bytes."""
    month, day, weekday = octets[2:5]
    fits = (
        (1 <= month <= 12 or month in (ANY8, LAST_DAY, SECOND_LAST_DAY))
        and (1 <= day <= 31 or day in (ANY8, LAST_DAY, SECOND_LAST_DAY))
        and (1 <= weekday <= 7 or weekday == ANY8)
    )
    if not fits:
        raise Refused("other-reason")


def check_time(octets: bytes) -> None:
    """The same for a time, 4 bytes."""
    hour, minute, second, hundredths = octets
    fits = (
        (hour <= 23 or hour == ANY8)
        and (minute <= 59 or minute == ANY8)
        and (second <= 59 or second == ANY8)
        and (hundredths <= 99 or hundredths == ANY8)
    )
    if not fits:
        raise Refused("other-reason")


class Clock(CosemObject):
    """Class 8. Setting `time` moves the whole meter; daylight saving follows begin, end and
    enabled."""

    class_id = 8

    def __init__(self, meter: Meter, name: str, time_zone: int = 240) -> None:
        """`time_zone`: minutes from local standard time to UTC (240: Chile)."""
        super().__init__(meter, name)
        self.attribute(2, kinds.DATE_TIME, get=self._time, set=self._set_time, public=True)
        self.attribute(3, kinds.LONG, (axdr.LONG, time_zone), set=self._set_time_zone, public=True)
        self.attribute(4, kinds.UNSIGNED, get=self._status, public=True)
        begin = bytes.fromhex("ffff 09 01 07 00 00 00 00 8000 00")  # first Sunday of September
        end = bytes.fromhex("ffff 04 01 07 00 00 00 00 8000 00")  # first Sunday of April
        self.attribute(
            5,
            kinds.DATE_TIME,
            (axdr.OCTET_STRING, begin),
            set=lambda typed: self._set_change(5, typed),
        )
        self.attribute(
            6,
            kinds.DATE_TIME,
            (axdr.OCTET_STRING, end),
            set=lambda typed: self._set_change(6, typed),
        )
        self.attribute(7, kinds.INTEGER, (axdr.INTEGER, 60), set=self._set_deviation)
        self.attribute(8, kinds.BOOLEAN, (axdr.BOOLEAN, False), writable=True)
        self.attribute(9, kinds.enum(0, 1, 2, 3, 4, 5), (axdr.ENUM, 1))  # internal crystal
        self.method(1, kinds.INTEGER, lambda _: self._round(900))
        self.method(3, kinds.INTEGER, lambda _: self._round(60))
        self.method(6, kinds.LONG, self._shift)

    def summer(self, unix: int) -> bool:
        """Whether daylight saving is in force at this moment."""
        if not self.value(8)[1]:
            return False
        local = datetime.fromtimestamp(unix, UTC).replace(tzinfo=None)
        local -= timedelta(minutes=self.value(3)[1])
        begin = in_year(self.value(5)[1], local.year)
        end = in_year(self.value(6)[1], local.year)
        if begin is None or end is None:
            return False
        # the end is told in summer time
        end -= timedelta(minutes=self.value(7)[1])
        return begin <= local < end if begin < end else not end <= local < begin

    def deviation(self, unix: int) -> int:
        """Minutes from the meter's local time to UTC at this moment."""
        zone: int = self.value(3)[1]
        return zone - (self.value(7)[1] if self.summer(unix) else 0)

    def stamp(self, unix: int) -> bytes:
        """The date_time of a moment, as this clock tells it."""
        status = DST_ACTIVE if self.summer(unix) else 0
        return date_time(unix, self.deviation(unix), status)

    def moment(self, octets: bytes) -> int:
        """The unix time a date_time means on this clock. ValueError if it is not fully given."""
        if len(octets) != 12:
            raise ValueError("a date_time has 12 bytes, not %d" % len(octets))
        return to_unix(octets, self.deviation(self.meter.now()))

    def unix(self, local: datetime) -> int:
        """The first moment at which it is, or was, so late on this clock."""
        standard: int = int(local.replace(tzinfo=UTC).timestamp()) + self.value(3)[1] * 60
        summer: int = standard - self.value(7)[1] * 60
        return summer if self.summer(summer) else standard

    def local(self, unix: int) -> datetime:
        return datetime.fromtimestamp(unix, UTC).replace(tzinfo=None) - timedelta(
            minutes=self.deviation(unix)
        )

    def _time(self) -> Typed:
        return (axdr.OCTET_STRING, self.stamp(self.meter.now()))

    def _status(self) -> Typed:
        return (axdr.UNSIGNED, self.stamp(self.meter.now())[11])

    def _set_time(self, typed: Typed) -> None:
        try:
            wanted = self.moment(typed[1])
        except ValueError:
            raise Refused("other-reason") from None
        if int.from_bytes(typed[1][:2], "big") not in YEARS:
            raise Refused("other-reason")
        self._move_to(wanted)

    def _move_to(self, unix: int) -> None:
        before = self.meter.now()
        self.meter.clock_offset += unix - before
        self.meter.happen(CLOCK_OLD, before)
        self.meter.happen(CLOCK_NEW, unix)
        self.meter.mark(CLOCK_ADJUSTED)

    def tick(self, before: int, now: int) -> None:
        if self.summer(before) != self.summer(now):
            self.meter.happen(SUMMER_TIME)

    def _set_time_zone(self, typed: Typed) -> None:
        if not -720 <= typed[1] <= 840:
            raise Refused("other-reason")
        self.attributes[3].value = typed

    def _set_change(self, index: int, typed: Typed) -> None:
        check_date_time(typed[1])
        self.attributes[index].value = typed

    def _set_deviation(self, typed: Typed) -> None:
        if not -120 <= typed[1] <= 120:
            raise Refused("other-reason")
        self.attributes[7].value = typed

    def _round(self, seconds: int) -> None:
        """adjust_to_quarter, adjust_to_minute: to the nearest whole one."""
        self._move_to((self.meter.now() + seconds // 2) // seconds * seconds)

    def _shift(self, typed: Typed) -> None:
        """shift_time by -900..900 seconds."""
        if not -900 <= typed[1] <= 900:
            raise Refused("other-reason")
        self._move_to(self.meter.now() + typed[1])
