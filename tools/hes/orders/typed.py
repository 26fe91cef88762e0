"""What people type in an order: meters, attributes, times, hours of the day, a canary."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.contract.job import Canary
from gateway.contract.limits import MAX_METERS
from gateway.contract.rules import SERIAL
from gateway.contract.window import EVERY_DAY, MAX_SHIFT_S, MAX_SHIFTS, Daily
from tools.cosem import names

DAY = 86400
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY}


class OrderProblem(Exception):
    """The order cannot be made; the text says what was expected."""


def parse_meters(text: str) -> list[str]:
    """Serials separated by commas, or a file: one serial or one {"serial": ...} object a line, #
    comments.
    """
    if text and _exists(Path(text)):
        source, named = text, _of_file(Path(text))
    elif "/" in text:
        raise OrderProblem("expected serials or a file for --meters, but %s is no file" % text)
    else:
        source = "--meters"
        serials = [serial.strip() for serial in text.split(",") if serial.strip()]
        named = [("--meters, serial %d" % at, serial) for at, serial in enumerate(serials, 1)]
        if not named:
            raise OrderProblem("--meters: expected 1..%d serials, found none" % MAX_METERS)
    if not named:
        raise OrderProblem("%s: expected at least one serial, found none" % source)
    if len(named) > MAX_METERS:
        raise OrderProblem(
            "%s: expected at most %d meters for one job, got %d; split the list"
            % (source, MAX_METERS, len(named))
        )
    found: dict[str, str] = {}
    for where, serial in named:
        if not (serial.isascii() and SERIAL.fits(serial)):
            raise OrderProblem(
                "%s: expected a serial of %s, got %s" % (where, SERIAL.name, _shown(serial))
            )
        if serial in found:
            raise OrderProblem(
                "%s: expected each serial once, but %s is in %s already"
                % (where, serial, found[serial])
            )
        found[serial] = where
    return list(found)


def _shown(serial: str) -> str:
    """What is too long may be a line of another file, and a key."""
    return "%a" % serial if len(serial) <= 32 else "%d characters" % len(serial)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long to be a file's name
        return False


def _of_file(path: Path) -> list[tuple[str, str]]:
    """[(where it stands, serial)]"""
    found = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        where, line = "%s:%d" % (path, number), line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith(("{", "[")):
            try:
                serial = json.loads(line)["serial"]
            except (ValueError, LookupError, TypeError, RecursionError):
                serial = None
            if type(serial) not in (str, int):
                raise OrderProblem('%s: expected {"serial": ...}' % where)
            line = str(serial)
        found.append((where, line))
    return found


def text_of(path: Path) -> str:
    """Of a file of lines, with a byte order mark or without. OrderProblem; OSError."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OrderProblem(
            "%s: expected lines of text in UTF-8, but byte %d is none" % (path, error.start + 1)
        ) from None


def parse_attribute(text: str) -> names.Member:
    try:
        return names.parse(text, names.ATTRIBUTE)
    except names.NameProblem as problem:
        raise OrderProblem("--read '%s': %s" % (text, problem)) from None


def parse_duration(text: str) -> int:
    """Seconds of "90s", "30m", "6h", "2d" or plain seconds."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if match is None:
        raise OrderProblem("expected a duration such as 90s, 30m, 6h or 2d, got '%s'" % text)
    return int(match[1]) * _UNITS[match[2] or "s"]


def parse_moment(text: str) -> int:
    """Unix seconds of an ISO 8601 date and time; local time where it names no offset."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise OrderProblem("expected a time such as 2027-01-31T22:00, got '%s'" % text) from None


def parse_daily(text: str, days: str | None, zone: str | None, now: float, until: int) -> Daily:
    """Such as "22:00-05:00", on "mon,wed-fri" (every day), in "UTC", "+02:00", "Europe/Madrid" or
    the local zone of this machine, for a job from `now` to `until`: when the zone's clocks are put
    forward or back meanwhile, the windows go along.
    """
    match = re.fullmatch(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", text.strip())
    if match is None or int(match[1]) > 23 or int(match[3]) > 24:
        raise OrderProblem("expected times of the day such as 22:00-05:00, got '%s'" % text)
    if int(match[2]) > 59 or int(match[4]) > 59:
        raise OrderProblem("expected times of the day such as 22:00-05:00, got '%s'" % text)
    offset = _offset(zone, now)
    opens = int(match[1]) * 3600 + int(match[2]) * 60 - offset
    closes = int(match[3]) * 3600 + int(match[4]) * 60 - offset
    shift = opens // DAY  # the day on which it opens in UTC is another one
    mask = 0
    for day in days_of_week(days):
        mask |= 1 << (day + shift) % 7
    return Daily(opens % DAY, closes % DAY, mask, _shifts(zone, now, until))


def _shifts(zone: str | None, now: float, until: int) -> list[list[int]]:
    """For Daily: when the zone's distance from UTC changes, and what it is then against now's."""
    begins = _offset(zone, now)
    shifts: list[list[int]] = []
    at, east = int(now), begins
    while at < until + DAY:  # what opens before the end may close after it
        later = at + DAY
        if _offset(zone, later) != east:
            before = at
            while later - before > 1:
                middle = (before + later) // 2
                before, later = (
                    (middle, later) if _offset(zone, middle) == east else (before, middle)
                )
            east = _offset(zone, later)
            shifts.append([later, begins - east])
        at = later
        if len(shifts) > MAX_SHIFTS or abs(begins - east) > MAX_SHIFT_S:
            raise OrderProblem(
                "the clocks change too often until then for --daily: expected an end nearby, at"
                " most %d changes away" % MAX_SHIFTS
            )
    return shifts


def _offset(zone: str | None, now: float) -> int:
    """Seconds east of UTC."""
    if zone is None:
        here = datetime.fromtimestamp(now).astimezone().utcoffset()
    elif match := re.fullmatch(r"([+-])(0\d|1[0-4]):([0-5]\d)", zone):
        seconds = int(match[2]) * 3600 + int(match[3]) * 60
        return seconds if match[1] == "+" else -seconds
    else:
        try:
            here = datetime.fromtimestamp(now, ZoneInfo(zone)).utcoffset()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise OrderProblem(
                "expected a zone such as UTC, +02:00 or Europe/Madrid, got '%s'" % zone
            ) from None
    return int(here.total_seconds()) if here is not None else 0


def days_of_week(text: str | None) -> list[int]:
    """0 Monday .. 6 Sunday, of "mon,wed-fri"; all of them for None."""
    found: list[int] = []
    for part in (text or "mon-sun").lower().split(","):
        first, _, last = part.strip().partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise OrderProblem("expected days such as mon,wed-fri, got '%s'" % text)
        start = DAYS.index(first)
        length = (DAYS.index(last or first) - start) % 7
        found += [(start + at) % 7 for at in range(length + 1)]
    return found


def daily_text(daily: Daily) -> str:
    """For people: "22:00-05:00 UTC on mon, tue"."""
    moments = [
        "%02d:%02d" % (second // 3600, second % 3600 // 60)
        for second in (daily.opens, daily.closes)
    ]
    text = "%s-%s UTC" % (moments[0], moments[1])
    if daily.days == EVERY_DAY:
        text += " every day"
    else:
        text += " on " + ", ".join(DAYS[day] for day in range(7) if daily.days >> day & 1)
    for since, seconds in daily.shifts:
        text += ", from %s on %s" % (datetime.fromtimestamp(since, UTC).date(), _moved(seconds))
    return text


def _moved(seconds: int) -> str:
    if not seconds:
        return "as at first"
    minutes = abs(seconds) // 60
    length = "%d min" % minutes if minutes % 60 else "%d h" % (minutes // 60)
    return length + (" later" if seconds > 0 else " earlier")


def parse_canary(text: str) -> Canary:
    """Of "10:90": the first 10 meters, of which 90 percent must succeed."""
    match = re.fullmatch(r"(\d{1,4}):(\d{1,3})%?", text.strip())
    if match is None or not int(match[1]) or not 0 < int(match[2]) <= 100:
        raise OrderProblem(
            "expected a canary such as 10:90 (first 10 meters, 90 percent), got '%s'" % text
        )
    return Canary(int(match[1]), int(match[2]))


def window(start: str | None, end: str | None, duration: str | None, now: float) -> tuple[int, int]:
    """(not before, not after) from what was typed. Without a start 0, at once, whatever the
    concentrator's clock says; without an end, one day.
    """
    not_before = parse_moment(start) if start else 0
    if end and duration:
        raise OrderProblem("expected --to or --for, got both")
    length = parse_duration(duration or "1d")
    not_after = parse_moment(end) if end else (not_before or int(now)) + length
    if not_after <= max(not_before, now):
        raise OrderProblem(
            "expected a window that ends in the future and after it begins; it ends at %s"
            % datetime.fromtimestamp(not_after).isoformat(" ")
        )
    return not_before, not_after
