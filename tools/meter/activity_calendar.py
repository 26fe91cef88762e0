"""Class 20 (activity calendar) and class 11 (special days table)."""

from __future__ import annotations

from datetime import date, timedelta

from gateway.dlms.data import axdr, obis
from tools.meter import kinds
from tools.meter.clock import ANY8, Clock, check_date, check_date_time, check_time, day_matches
from tools.meter.kinds import Typed
from tools.meter.model import CosemObject, Meter, Refused
from tools.meter.script import run_script

SEASON = kinds.structure(kinds.OCTETS, kinds.DATE_TIME, kinds.OCTETS)
WEEK = kinds.structure(kinds.OCTETS, *[kinds.UNSIGNED] * 7)
DAY_ACTION = kinds.structure(kinds.TIME, kinds.NAME, kinds.LONG_UNSIGNED)
DAY = kinds.structure(kinds.UNSIGNED, kinds.array(DAY_ACTION, 48))
SPECIAL_DAY = kinds.structure(kinds.LONG_UNSIGNED, kinds.DATE, kinds.UNSIGNED)
NEVER = bytes(12)  # an activation time with year 0: no activation planned
NOW = b"\xff" * 9  # date and time of day, all unspecified
MOST_SPECIAL_DAYS = 100


class SpecialDaysTable(CosemObject):
    """Class 11. Inserting an index that exists replaces the entry."""

    class_id = 11

    def __init__(self, meter: Meter, name: str) -> None:
        super().__init__(meter, name)
        self.attribute(
            2, kinds.array(SPECIAL_DAY, MOST_SPECIAL_DAYS), (axdr.ARRAY, []), set=self._set
        )
        self.method(1, SPECIAL_DAY, self._insert)
        self.method(2, kinds.LONG_UNSIGNED, self._delete)

    def day_id(self, day: date) -> int | None:
        """The day profile of this day, if it is a special one."""
        for entry in self.value(2)[1]:
            (_, _), (_, octets), (_, day_id) = entry[1]
            if day_matches(octets, day):
                return int(day_id)
        return None

    def _set(self, typed: Typed) -> None:
        indexes = [entry[1][0][1] for entry in typed[1]]
        if len(set(indexes)) != len(indexes):
            raise Refused("other-reason")
        for entry in typed[1]:
            check_date(entry[1][1][1])
        self.attributes[2].value = (axdr.ARRAY, sorted(typed[1], key=lambda e: e[1][0][1]))

    def _insert(self, typed: Typed) -> None:
        kept = [entry for entry in self.value(2)[1] if entry[1][0] != typed[1][0]]
        if len(kept) >= MOST_SPECIAL_DAYS:
            raise Refused("other-reason")
        self._set((axdr.ARRAY, [*kept, typed]))

    def _delete(self, typed: Typed) -> None:
        entries = self.value(2)[1]
        kept = [entry for entry in entries if entry[1][0] != typed]
        if len(kept) == len(entries):
            raise Refused("object-undefined")
        self.attributes[2].value = (axdr.ARRAY, kept)


class ActivityCalendar(CosemObject):
    """Class 20. The passive half is written; activation copies it over the active half as a whole.

    A table is refused ("other-reason") that names something twice or is not in the order of its
    starts; activation, while the passive half names a week, a day or a script that there is not. As
    its clock passes a day action's start, the script the action names is executed.
    """

    class_id = 20

    def __init__(self, meter: Meter, name: str, calendar: list[Typed]) -> None:
        """`calendar`: name, seasons, weeks, days: what both halves start with."""
        super().__init__(meter, name)
        halves = [
            (kinds.OCTETS, None),
            (kinds.array(SEASON, 12), self._set_seasons),
            (kinds.array(WEEK, 12), self._set_weeks),
            (kinds.array(DAY, 32), self._set_days),
        ]
        for offset, ((kind, change), value) in enumerate(zip(halves, calendar, strict=True)):
            self.attribute(2 + offset, kind, value)
            self.attribute(6 + offset, kind, value, set=change, writable=True)
        self.attribute(10, kinds.DATE_TIME, (axdr.OCTET_STRING, NEVER), set=self._set_activation)
        self.method(1, kinds.NOTHING, lambda _: self.activate())

    def activate(self) -> None:
        _, (_, seasons), (_, weeks), (_, days) = (self.value(index) for index in range(6, 10))
        week_names = [week[1][0] for week in weeks]
        day_ids = [day[1][0] for day in days]
        complete = all(season[1][2] in week_names for season in seasons) and all(
            day in day_ids for week in weeks for day in week[1][1:]
        )
        complete = complete and all(
            self._has_script(action[1][1][1], action[1][2][1])
            for day in days
            for action in day[1][1][1]
        )
        if not complete:
            raise Refused("other-reason")
        for index in range(2, 6):
            self.attributes[index].value = self.value(index + 4)

    def _has_script(self, table: bytes, selector: int) -> bool:
        if selector == 0:  # none, by the Blue Book
            return True
        try:
            scripts = self.meter.find(9, obis.text(table)).value(2)[1]
        except Refused:
            return False
        return selector in [script[1][0][1] for script in scripts]

    def _set_seasons(self, typed: Typed) -> None:
        starts = []
        for season in typed[1]:
            octets = season[1][1][1]
            check_date_time(octets)
            starts.append(octets[:4] + bytes(0 if each == ANY8 else each for each in octets[5:8]))
        self._set_sorted(7, typed, starts)

    def _set_weeks(self, typed: Typed) -> None:
        self._set_sorted(8, typed, [])

    def _set_days(self, typed: Typed) -> None:
        for day in typed[1]:
            starts = []
            for action in day[1][1][1]:
                octets = action[1][0][1]
                check_time(octets)
                if ANY8 in octets[:2]:
                    raise Refused("other-reason")
                starts.append(bytes(0 if each == ANY8 else each for each in octets))
            if starts != sorted(set(starts)):
                raise Refused("other-reason")
        self._set_sorted(9, typed, [])

    def _set_sorted(self, index: int, typed: Typed, starts: list[bytes]) -> None:
        """A table whose rows have different names, and begin one after the other."""
        names = [row[1][0] for row in typed[1]]
        if starts != sorted(set(starts)) or any(
            name in names[:at] for at, name in enumerate(names)
        ):
            raise Refused("other-reason")
        self.attributes[index].value = typed

    def _set_activation(self, typed: Typed) -> None:
        """A time that is all wildcards means at once; one in the past, too."""
        if typed[1][:9] == NOW:
            self.activate()
            typed = (axdr.OCTET_STRING, NEVER)
        elif typed[1] != NEVER:
            check_date_time(typed[1])
            try:
                self._clock().moment(typed[1])
            except ValueError:
                raise Refused("other-reason") from None
        self.attributes[10].value = typed

    def tick(self, before: int, now: int) -> None:
        planned = self.value(10)[1]
        if planned != NEVER and self._clock().moment(planned) <= now:
            self.attributes[10].value = (axdr.OCTET_STRING, NEVER)
            try:
                self.activate()
            except Refused:
                pass  # the calendar stays as it was; the HES sees it by its name
        if 0 < now - before <= 86400:
            self._run_day_actions(before, now)

    def _run_day_actions(self, before: int, now: int) -> None:
        """The actions whose local start time lies in (before, now]."""
        start, end = self._clock().local(before), self._clock().local(now)
        day = start.date()
        while day <= end.date():
            for action in self.day_schedule(day):
                (_, octets), (_, script), (_, selector) = action[1]
                hour, minute, second = (0 if b == 0xFF else b for b in octets[:3])
                midnight = start.replace(
                    year=day.year, month=day.month, day=day.day, hour=0, minute=0, second=0
                )
                due = midnight + timedelta(hours=hour, minutes=minute, seconds=second)
                if start < due <= end:
                    run_script(self.meter, script, selector)
            day += timedelta(days=1)

    def day_schedule(self, day: date) -> list[Typed]:
        """The day actions in force on this day: a special day's, else those of the season's
        week."""
        day_id = self._special_day(day)
        if day_id is None:
            week = self._season_week(day)
            for entry in self.value(4)[1]:
                if entry[1][0][1] == week:
                    day_id = entry[1][day.isoweekday()][1]
        for entry in self.value(5)[1]:
            if entry[1][0][1] == day_id:
                return list(entry[1][1][1])
        return []

    def _special_day(self, day: date) -> int | None:
        try:
            table = self.meter.find(11, "0.0.11.0.0.255")
        except Refused:
            return None
        assert isinstance(table, SpecialDaysTable)
        return table.day_id(day)

    def _season_week(self, day: date) -> bytes:
        """The week of the season that started last; seasons recur every year unless theirs is
        given."""
        best: tuple[tuple[int, int, int], bytes] | None = None
        for season in self.value(3)[1]:
            _, (_, start), (_, week) = season[1]
            year = int.from_bytes(start[0:2], "big")
            month = 1 if start[2] > 12 else start[2]
            day_of_month = 1 if start[3] > 31 else start[3]
            if year == 0xFFFF:
                started = (month, day_of_month) <= (day.month, day.day)
                year = day.year if started else day.year - 1
            key = (year, month, day_of_month)
            if key <= (day.year, day.month, day.day) and (best is None or key > best[0]):
                best = (key, week)
        return best[1] if best else b""

    def _clock(self) -> Clock:
        clock = self.meter.find(8, "0.0.1.0.0.255")
        assert isinstance(clock, Clock)
        return clock
