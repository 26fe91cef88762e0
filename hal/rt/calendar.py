"""Days since 1970-01-01 and back, for any year: the runtimes' own calendars end at various dates.

The year begins in March here, so that the leap day is its last.
"""

from __future__ import annotations


def days_to(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to this day of the Gregorian calendar."""
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day
    return days - 719469


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day of so many days after 1970-01-01."""
    days += 719468
    era, day_of_era = days // 146097, days % 146097
    leap = day_of_era // 1460 - day_of_era // 36524 + day_of_era // 146096
    year_of_era = (day_of_era - leap) // 365
    day = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day + 2) // 153
    year = era * 400 + year_of_era + (month >= 10)
    return year, month + 3 if month < 10 else month - 9, day - (153 * month + 2) // 5 + 1


def day_text(seconds: int) -> str:
    """Such as 2026-11-30, in UTC; of any year."""
    return "%04d-%02d-%02d" % date_of(seconds // 86400)
