"""Local time by a POSIX TZ text (IEEE Std 1003.1, 8.3), such as `CLT4CLST,M9.1.6/24,M4.1.6/24` for
Chile, `CET-1CEST,M3.5.0,M10.5.0/3` for Spain, or `UTC0`.

Offsets in the text count west of Greenwich; a rule's time of day may be from -167 to 167 hours (RFC
8536, 3.3.1). Where there is a summer time its two rules must be there. Moments are unix times;
a local time is what a clock on the wall shows, counted as if it were UTC.
"""

from __future__ import annotations

from hal.rt.calendar import date_of, days_to

MAX_TEXT = 64
_DAY = 86400
_EXPECTED = "expected a POSIX TZ text such as CET-1CEST,M3.5.0,M10.5.0/3, came "


class Zone:
    """ValueError unless `text` is as above."""

    def __init__(self, text: str) -> None:
        self.text = text
        reader = _Reader(text)
        reader.name()
        self._standard = -reader.time(24)
        self._summer = self._standard  # offset of summer time; the same: there is none
        self._rules: list[tuple[str, int, int, int, int]] = []  # its begin and end
        if reader.rest():
            reader.name()
            self._summer = self._standard + 3600
            if reader.rest() and not reader.is_next(","):
                self._summer = -reader.time(24)
            self._rules = [reader.rule(), reader.rule()]
        if reader.rest() or (self._rules and self._summer == self._standard):
            raise ValueError(_EXPECTED + repr(text))
        self._year = 0
        self._changes = (0, 0)  # of this year: begin and end of summer time

    def offset(self, moment: int) -> int:
        """What local time is ahead of UTC by, in seconds."""
        if not self._rules:
            return self._standard
        begin, end = self._changes_in(date_of((moment + self._standard) // _DAY)[0])
        summer = begin <= moment < end if begin < end else not end <= moment < begin
        return self._summer if summer else self._standard

    def local(self, moment: int) -> int:
        return moment + self.offset(moment)

    def moment(self, local: int) -> int:
        """When the clock on the wall shows this for the first time; where it skips it, when it
        jumps."""
        early, late = local - self._summer, local - self._standard
        if late < early:
            early, late = late, early
        if local - early == self.offset(early):
            return early
        if local - late == self.offset(late):
            return late
        return self.change_after(early)

    def change_after(self, moment: int) -> int:
        """When the offset changes next, after this moment; 0: never."""
        if self._rules:
            year = date_of((moment + self._standard) // _DAY)[0]
            for change in sorted(self._changes_in(year)) + sorted(self._changes_in(year + 1)):
                if change > moment:
                    return change
        return 0

    def _changes_in(self, year: int) -> tuple[int, int]:
        if year != self._year:
            self._changes = (
                _local_of(self._rules[0], year) - self._standard,
                _local_of(self._rules[1], year) - self._summer,
            )
            self._year = year
        return self._changes


def _local_of(rule: tuple[str, int, int, int, int], year: int) -> int:
    form, first, second, weekday, time = rule
    if form == "M":  # of the month, the week, the day of the week
        days = days_to(year, first, 1)
        # 1970-01-01 was a Thursday, and Sunday is 0 here.
        days += (weekday - days - 4) % 7 + 7 * (second - 1)
        after = days_to(year + first // 12, first % 12 + 1, 1)
        while days >= after:  # week 5 is the last one
            days -= 7
    else:
        days = days_to(year, 1, 1) + first
        leap = days_to(year, 3, 1) - days_to(year, 2, 1) == 29
        if form == "J":  # 1..365, 29 February never counts
            days += first > 59 and leap
            days -= 1
    return days * _DAY + time


class _Reader:
    """A text, read from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            raise ValueError(_EXPECTED + repr(text))

    def rest(self) -> str:
        return self._text[self._at :]

    def is_next(self, sign: str) -> bool:
        return self.rest()[:1] == sign

    def name(self) -> None:
        rest = self.rest()
        length = 0
        if self._skip("<"):
            length = rest.find(">") + 1
            inner = rest[1 : length - 1]
            good = len(inner) > 2 and all(c.isalpha() or c.isdigit() or c in "+-" for c in inner)
            self._at += length - 1
        else:
            while length < len(rest) and rest[length].isalpha():
                length += 1
            good = length > 2
            self._at += length
        if not good:
            raise self._error()

    def time(self, most: int) -> int:
        """[+-]hh[:mm[:ss]] in seconds, at most so many hours."""
        sign = -1 if self._skip("-") else 1
        if sign == 1:
            self._skip("+")
        seconds = self._number(0, most) * 3600
        if self._skip(":"):
            seconds += self._number(0, 59) * 60
            if self._skip(":"):
                seconds += self._number(0, 59)
        return sign * seconds

    def rule(self) -> tuple[str, int, int, int, int]:
        """Form, month or day, week, day of the week, time of day."""
        self._need(",")
        form, first, second, weekday = "", 0, 0, 0
        if self._skip("M"):
            form, first = "M", self._number(1, 12)
            self._need(".")
            second = self._number(1, 5)
            self._need(".")
            weekday = self._number(0, 6)
        elif self._skip("J"):
            form, first = "J", self._number(1, 365)
        else:
            first = self._number(0, 365)
        return form, first, second, weekday, self.time(167) if self._skip("/") else 7200

    def _number(self, least: int, most: int) -> int:
        length = 0
        rest = self.rest()
        while length < len(rest) and rest[length] in "0123456789":
            length += 1
        if not 1 <= length <= 3 or not least <= int(rest[:length]) <= most:
            raise self._error()
        self._at += length
        return int(rest[:length])

    def _skip(self, sign: str) -> bool:
        found = self.is_next(sign)
        if found:
            self._at += 1
        return found

    def _need(self, sign: str) -> None:
        if not self._skip(sign):
            raise self._error()

    def _error(self) -> ValueError:
        return ValueError(_EXPECTED + repr(self._text))
