"""COSEM date (5 bytes), time (4) and date-time (12), and how people spell them (Blue Book 4.1.6.1).

    date       YEAR-MONTH-DAY[-WEEKDAY]   2027-01-31, *-*-*, *-12-25, *-03-last-sun, *-05-08-mon
    time       HOUR:MINUTE[:SECOND[.HUNDREDTHS]]   03:00, 23:59:59, *:15, 00:00:00.*
    date-time  DATE TIME [OFFSET] [STATUS]   2027-01-01 00:00:00 +01:00 dst

`*` is "not specified" (a wildcard). MONTH may be dstbegin or dstend; DAY may be last or 2last (the
last and second last of the month). A WEEKDAY (mon..sun) makes a recurring day: with last, the last
of that weekday; with a number, the first one on or after it (08-mon: the second Monday).
Seconds and hundredths left out are 0. OFFSET is local time minus UTC as in ISO 8601 (Z, +01:00);
the standard's deviation has the opposite sign. STATUS is ok, or some of invalid, doubtful,
otherbase, badstatus, dst joined by commas, or 0x and two hex digits. OFFSET and STATUS left out are
"not specified".

parse_* raise ValueError that says what is wrong; so do text_* for bytes that are not of this form.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

ANY = 0xFF
NO_DEVIATION = 0x8000

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = {"dstend": 0xFD, "dstbegin": 0xFE}
_DAYS = {"2last": 0xFD, "last": 0xFE}
_STATUS = {"invalid": 0x01, "doubtful": 0x02, "otherbase": 0x04, "badstatus": 0x08, "dst": 0x80}
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_date(text: str) -> bytes:
    """5 bytes: year (2), month, day of month, day of week."""
    parts = text.strip().lower().split("-")
    if len(parts) not in (3, 4):
        raise ValueError("a date is YEAR-MONTH-DAY (2027-01-31, *-03-last-sun), not %r" % text)
    year = 0xFFFF if parts[0] == "*" else _number(parts[0], 0, 9999, "year", text)
    month = _special(parts[1], _MONTHS, 12, "month", text)
    day = _special(parts[2], _DAYS, 31, "day", text)
    weekday = ANY
    if len(parts) == 4 and parts[3] != "*":
        if parts[3] not in _WEEKDAYS:
            raise ValueError("weekday %r in %r is not mon..sun" % (parts[3], text))
        weekday = _WEEKDAYS.index(parts[3]) + 1
    _check_day(year, month, day, text)
    return bytes((year >> 8, year & 0xFF, month, day, weekday))


def parse_time(text: str) -> bytes:
    """4 bytes: hour, minute, second, hundredths."""
    whole, point, fraction = text.strip().partition(".")
    parts = whole.split(":")
    if len(parts) not in (2, 3) or (point and len(parts) == 2):
        raise ValueError("a time is HOUR:MINUTE[:SECOND[.HUNDREDTHS]] (03:00), not %r" % text)
    hour = _wild(parts[0], 23, "hour", text)
    minute = _wild(parts[1], 59, "minute", text)
    second = _wild(parts[2], 59, "second", text) if len(parts) == 3 else 0
    hundredths = _wild(fraction, 99, "hundredths", text) if point else 0
    return bytes((hour, minute, second, hundredths))


def parse_date_time(text: str) -> bytes:
    """12 bytes: date (5), time (4), deviation (2), clock status."""
    words = text.split()
    if not 2 <= len(words) <= 4:
        raise ValueError("a date-time is DATE TIME [OFFSET] [STATUS], not %r" % text)
    deviation = NO_DEVIATION
    status = ANY
    rest = words[2:]
    if rest and rest[0][0] in "+-Zz":
        deviation = _deviation(rest[0], text)
        rest = rest[1:]
    if rest:
        status = _status(rest[0].lower(), text)
        rest = rest[1:]
    if rest:
        raise ValueError("%r in %r is neither an offset nor a status" % (rest[0], text))
    tail = bytes((deviation >> 8, deviation & 0xFF, status))
    return parse_date(words[0]) + parse_time(words[1]) + tail


def text_date(raw: Bytes) -> str:
    """The spelling of 5 bytes."""
    _check_size(raw, 5, "date")
    year = raw[0] << 8 | raw[1]
    month = _name(raw[2], _MONTHS, 12, "month")
    day = _name(raw[3], _DAYS, 31, "day")
    if year > 9999 and year != 0xFFFF:
        raise ValueError("year %d in a date" % year)
    _check_day(year, raw[2], raw[3], bytes(raw).hex())
    text = "%s-%s-%s" % ("*" if year == 0xFFFF else "%04d" % year, month, day)
    if raw[4] == ANY:
        return text
    if not 1 <= raw[4] <= 7:
        raise ValueError("day of week %d in a date" % raw[4])
    return text + "-" + _WEEKDAYS[raw[4] - 1]


def text_time(raw: Bytes) -> str:
    """The spelling of 4 bytes; hundredths only where they are not 0."""
    _check_size(raw, 4, "time")
    parts = [
        _name(raw[0], {}, 23, "hour"),
        _name(raw[1], {}, 59, "minute"),
        _name(raw[2], {}, 59, "second"),
    ]
    hundredths = _name(raw[3], {}, 99, "hundredths")
    return ":".join(parts) + ("" if hundredths == "00" else "." + hundredths)


def text_date_time(raw: Bytes) -> str:
    """The spelling of 12 bytes."""
    _check_size(raw, 12, "date-time")
    words = [text_date(raw[:5]), text_time(raw[5:9])]
    deviation = raw[9] << 8 | raw[10]
    if deviation != NO_DEVIATION:
        minutes = -(deviation - 0x10000 if deviation & 0x8000 else deviation)
        if abs(minutes) > 14 * 60:
            raise ValueError("deviation of %d minutes in a date-time" % -minutes)
        sign = "-" if minutes < 0 else "+"
        hours, minutes = divmod(abs(minutes), 60)
        words.append("%s%02d:%02d" % (sign, hours, minutes))
    status = raw[11]
    if status == 0:
        words.append("ok")
    elif status & 0x70 and status != ANY:  # bits the standard reserves
        words.append("0x%02x" % status)
    elif status != ANY:
        known = sorted([(bit, name) for name, bit in _STATUS.items() if status & bit])
        words.append(",".join([name for _, name in known]))
    return " ".join(words)


def _number(word: str, low: int, high: int, what: str, text: str) -> int:
    digits = word and not [c for c in word if c not in "0123456789"]
    if not digits or not low <= int(word) <= high:
        raise ValueError("%s %r in %r is not %d..%d" % (what, word, text, low, high))
    return int(word)


def _wild(word: str, high: int, what: str, text: str) -> int:
    return ANY if word == "*" else _number(word, 0, high, what, text)


def _special(word: str, names: dict[str, int], high: int, what: str, text: str) -> int:
    if word == "*":
        return ANY
    if word in names:
        return names[word]
    return _number(word, 1, high, what, text)


def _name(value: int, names: dict[str, int], high: int, what: str) -> str:
    """The reverse of _special (with names: from 1) and _wild (without: from 0)."""
    if value == ANY:
        return "*"
    for name, special in names.items():
        if value == special:
            return name
    if not (1 if names else 0) <= value <= high:
        raise ValueError("%s %d in a date or time" % (what, value))
    return "%02d" % value


def _check_day(year: int, month: int, day: int, text: str) -> None:
    if month > 12 or day > 31:
        return
    longest = _LENGTHS[month - 1]
    if month == 2 and year != 0xFFFF and (year % 4 or (year % 100 == 0 and year % 400)):
        longest = 28
    if day > longest:
        raise ValueError("month %d has no day %d (in %s)" % (month, day, text))


def _check_size(raw: Bytes, size: int, what: str) -> None:
    if len(raw) != size:
        raise ValueError("a %s is %d bytes, not %d" % (what, size, len(raw)))


def _deviation(word: str, text: str) -> int:
    if word in ("Z", "z"):
        return 0
    hours, colon, minutes = word[1:].partition(":")
    if not colon:
        raise ValueError("offset %r in %r is not Z or like +01:00" % (word, text))
    ahead = _number(hours, 0, 14, "offset hours", text) * 60
    ahead += _number(minutes, 0, 59, "offset minutes", text)
    if ahead > 14 * 60:
        raise ValueError("offset %r in %r is over 14 hours" % (word, text))
    return (ahead if word[0] == "-" else -ahead) & 0xFFFF


def _status(word: str, text: str) -> int:
    if word == "ok":
        return 0
    if word.startswith("0x"):
        try:
            value = int(word[2:], 16)
        except ValueError:
            value = -1
        if len(word) != 4 or not 0 <= value <= 0xFF:
            raise ValueError("status %r in %r is not 0x and two hex digits" % (word, text))
        return value
    value = 0
    for name in word.split(","):
        if name not in _STATUS:
            known = ", ".join(sorted(_STATUS))
            raise ValueError("status %r in %r is not ok or of: %s" % (name, text, known))
        value |= _STATUS[name]
    return value
