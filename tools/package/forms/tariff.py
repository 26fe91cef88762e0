"""A tariff: when which price holds (activity calendar, class 20; special days, class 11; scripts,
class 9).

    tariff:
      name: CHILE-2027.1
      tariffs: {normal: 1, peak: 2}             # names for scripts the meter has, if the model
                                                # tells none
      seasons:                                  # when each begins, in the order of the year
        WINTER: {from: 04-01, week: PEAK}
        SUMMER: {from: 10-01, week: FLAT}
      weeks:
        PEAK: {mon-fri: working, sat-sun: quiet}
        FLAT: {every: quiet}
      days:                                     # from when on which tariff
        working: {"00:00": normal, "18:00": peak, "22:00": normal}
        quiet: {"00:00": normal}
      holidays: {"01-01": quiet, "2027-04-02": quiet}     # each year, or once
      activate: now                             # or when, "2027-01-01 00:00", still to come
      scripts:                                  # only to write the table of scripts, all of it
        normal: {number: 1, do: [{write: data 0.0.96.14.0.255 value, value: {unsigned: 1}}]}

A day whose name is a number has that number in the meter; the others get the lowest ones that are
free. A tariff is a name, or `script 7`. `calendar:`, `special-days:` and `table:` name other
objects than 0.0.13.0.0.255, 0.0.11.0.0.255 and 0.0.10.0.100.255.

The passive half is written and then activated as a whole; what must hold at the end is the active
half, or the passive one where the moment is still to come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType

from gateway.dlms.data import axdr, datetime
from tools.cosem import names, render, values
from tools.cosem.source import Fields, Item, Problem, nearest
from tools.cosem.values import Typed
from tools.package.calendar import (
    ACTIVATE,
    ACTIVATION_TIME,
    CALENDAR,
    DAYS,
    ENTRIES,
    NAME,
    PASSIVE,
    SEASONS,
    SPECIAL_DAYS,
    USUAL,
    USUAL_SPECIAL_DAYS,
    WEEKS,
    Calendar,
    Key,
    calendars,
)
from tools.package.forms import hours, tariff_text, words
from tools.package.forms.tariff_text import SCRIPTS, TABLE
from tools.package.forms.words import WEEKDAYS, Words
from tools.package.held import TARIFF_SCRIPTS, script_number

_SCRIPT = re.compile(r"script (\d+)$")
_FIELDS = [
    "tariffs", "scripts", "holidays", "activate", "calendar", "special-days", "table",
]  # fmt: skip


def compile(item: Item, known: Words) -> None:
    fields = item.fields("a tariff", ["name", "seasons", "weeks", "days"], _FIELDS)
    before = len(known.plan.problems)
    form = _Form(fields, known)
    calendar = form.calendar()
    if len(known.plan.problems) == before:
        _emit(calendar, form, fields, item, known)


class _Form:
    """Reads the parts; keeps the problems and goes on with the next part."""

    def __init__(self, fields: Fields, known: Words) -> None:
        self._fields = fields
        self._plan = known.plan
        self._known = known
        self.table = words.logical_name(fields.get("table"), TARIFF_SCRIPTS)
        self.scripts: list[Typed] | None = None
        self._tariffs: dict[str, int] = {}
        own = self.table == TARIFF_SCRIPTS
        self._words = known.plan.held.tariffs if own else {}  # of the model, or of `meter:`
        self._numbers: set[int] | None = known.plan.held.scripts.get(self.table)
        self._day_ids: dict[str, int] = {}
        self._days_read = self._weeks_read = False

    def calendar(self) -> Calendar:
        self._each(self._read_scripts, self._fields.get("scripts"))
        self._each(self._read_tariffs, self._fields.get("tariffs"))
        made = Calendar(days=[], weeks=[], seasons=[])
        name = self._fields["name"]
        try:
            made.name = values.octet_string(name)
        except Problem as problem:
            self._plan.problems.append(problem)
        self._days_read = self._each(lambda item: self._read_days(item, made), self._fields["days"])
        self._weeks_read = self._each(
            lambda item: self._read_weeks(item, made), self._fields["weeks"]
        )
        self._each(lambda item: self._read_seasons(item, made), self._fields["seasons"])
        self._each(lambda item: self._read_holidays(item, made), self._fields.get("holidays"))
        return made

    def _each(self, read: Callable[[Item], None], item: Item | None) -> bool:
        """False: it could not be read; who refers to what stands there is not to blame then."""
        if item is None:
            return True
        try:
            read(item)
        except Problem as problem:
            self._plan.problems.append(problem)
            return False
        return True

    # ------------------------------------------------------------ scripts and their names

    def _read_scripts(self, item: Item) -> None:
        self.scripts = []
        self._numbers = set()
        for key, body in item.pairs("scripts, such as `normal: {number: 1, do: [...]}`"):
            fields = body.fields("a script", ["number", "do"], [])
            number = script_number(fields["number"])
            if number in self._numbers:
                raise fields["number"].problem(
                    "expected each number once, got %d a second time" % number
                )
            actions = [_action(each) for each in fields["do"].items("a list of actions")]
            self._numbers.add(number)
            self._tariffs[key.raw] = number
            fields_typed: list[Typed] = [(axdr.LONG_UNSIGNED, number), (axdr.ARRAY, actions)]
            self.scripts.append((axdr.STRUCTURE, fields_typed))

    def _read_tariffs(self, item: Item) -> None:
        for key, number in item.pairs("names of scripts, such as `peak: 2`"):
            script = script_number(number)
            self._check_number(number, script)
            self._tariffs[key.raw] = script
            if self._numbers is None:  # nobody else knows of this table
                self._plan.held.scripts.setdefault(self.table, set()).add(script)

    def _check_number(self, item: Item, script: int) -> None:
        if self._numbers and script not in self._numbers:
            listed = ", ".join(map(str, sorted(self._numbers)))
            raise item.problem("expected one of the scripts %s, got %d" % (listed, script))

    def _script(self, item: Item) -> int:
        word = item.text("a tariff")
        numbered = _SCRIPT.match(word)
        if numbered:
            script = int(numbered[1])
            if script > 0xFFFF:
                raise item.expected("a script of at most 65535")
            if script:
                self._check_number(item, script)
            return script
        if word in self._tariffs:
            return self._tariffs[word]
        words = [*self._tariffs, *self._words]
        if word not in self._words:
            listed = ", ".join(words) or "none is known: name them under `tariffs:`"
            raise item.problem(
                "expected one of the tariffs (%s), got '%s'%s"
                % (listed, word, nearest(word, words))
            )
        self._known.used |= word not in self._plan.held.told
        self._check_number(item, self._words[word])
        return self._words[word]

    # ------------------------------------------------------------ the calendar

    def _read_days(self, item: Item, made: Calendar) -> None:
        assert made.days is not None
        pairs = item.pairs("days, such as `working: {00:00: normal, 18:00: peak}`")
        numbered = {int(key.raw) for key, _ in pairs if _is_day_number(key.raw)}
        free = iter(number for number in range(1, 256) if number not in numbered)
        for key, body in pairs:
            number = int(key.raw) if _is_day_number(key.raw) else next(free, None)
            if number is None:
                raise key.problem("expected at most 255 days, got %d" % len(pairs))
            self._day_ids[key.raw] = number
            try:
                made.days.append((number, self._read_day(body)))
            except Problem as problem:
                self._plan.problems.append(problem)

    def _read_day(self, item: Item) -> list[tuple[bytes, bytes, int]]:
        found: list[tuple[bytes, bytes, int]] = []
        for key, tariff in item.pairs("times, such as `18:00: peak`"):
            try:
                start = datetime.parse_time(key.raw)
            except ValueError as error:
                raise key.problem(str(error))
            if datetime.ANY in start[:2]:
                raise key.problem("expected a time with hour and minute, got '%s'" % key.raw)
            if not found and start != bytes(4):
                raise key.problem("expected 00:00 first, got '%s'" % key.raw)
            if found and start <= found[-1][0]:
                raise key.problem(
                    "expected the times of a day in their order, got %s after %s"
                    % (render.moment(start), render.moment(found[-1][0]))
                )
            found.append((start, self.table, self._script(tariff)))
        if not found:
            raise item.problem("expected at least `00:00:` and the tariff from then on")
        return found

    def _read_weeks(self, item: Item, made: Calendar) -> None:
        assert made.weeks is not None
        for key, body in item.pairs("weeks, such as `WORK: {mon-fri: working, sat-sun: quiet}`"):
            days: dict[int, int] = {}
            for span, day in body.pairs("days of the week, such as `mon-fri: working`"):
                for at in _weekdays(span):
                    if at in days:
                        raise span.problem("expected each day of the week once, got %s a second"
                                           " time" % WEEKDAYS[at])  # fmt: skip
                    days[at] = self._day(day)
            missing = [word for at, word in enumerate(WEEKDAYS) if at not in days]
            if missing:
                raise body.problem("expected all days of the week, %s missing" % _are(missing))
            made.weeks.append((values.octet_string(key), [days[at] for at in range(7)]))

    def _day(self, item: Item) -> int:
        word = item.text("a day")
        if word not in self._day_ids:
            if not self._days_read:
                return 0
            raise item.problem(
                "expected one of the days %s, got '%s'%s"
                % (", ".join(self._day_ids), word, nearest(word, self._day_ids))
            )
        return self._day_ids[word]

    def _read_seasons(self, item: Item, made: Calendar) -> None:
        assert made.seasons is not None and made.weeks is not None
        weeks = [name for name, _ in made.weeks]
        pairs = item.pairs("seasons, such as `WINTER: {from: 04-01, week: WORK}`")
        if not pairs:
            raise item.problem("expected at least one season, got none")
        for key, body in pairs:
            fields = body.fields("a season", ["from", "week"], [])
            week = values.octet_string(fields["week"])
            if week not in weeks and self._weeks_read:
                shown = [name.decode(errors="replace") for name in weeks]
                raise fields["week"].problem(
                    "expected one of the weeks %s, got '%s'%s"
                    % (", ".join(shown), fields["week"].raw, nearest(fields["week"].raw, shown))
                )
            made.seasons.append((values.octet_string(key), _start(fields["from"]), week))

    def _read_holidays(self, item: Item, made: Calendar) -> None:
        made.special = []
        for number, (key, day) in enumerate(item.pairs("holidays, such as `12-25: quiet`"), 1):
            made.special.append((number, _date(key), self._day(day)))


def _emit(calendar: Calendar, form: _Form, fields: Fields, item: Item, known: Words) -> None:
    """Writes, activates and verifies; each problem at the part it is about."""
    plan = known.plan
    name = words.logical_name(fields.get("calendar"), USUAL)
    parts = {NAME: fields["name"], SEASONS: fields["seasons"], WEEKS: fields["weeks"],
             DAYS: fields["days"]}  # fmt: skip
    activate = fields.get("activate")
    later = None if activate is None or activate.raw == "now" else _moment(activate)
    if form.scripts is not None:
        where = fields["scripts"]
        typed = (axdr.ARRAY, form.scripts)
        plan.write(words.attribute(SCRIPTS, form.table, TABLE), typed, where, where)
    holidays = fields.get("holidays")
    if holidays is not None:
        table = words.logical_name(fields.get("special-days"), USUAL_SPECIAL_DAYS)
        special = calendar.special_days()
        plan.write(words.attribute(SPECIAL_DAYS, table, ENTRIES), special, holidays, holidays)
    tables = calendar.tables()
    for index in (DAYS, WEEKS, SEASONS, NAME):  # the name last: who sees it active knows the rest
        passive = words.attribute(CALENDAR, name, index + PASSIVE)
        plan.write(passive, tables[index], parts[index], item, check=later is not None)
    if later is not None and activate is not None:
        moment = words.attribute(CALENDAR, name, ACTIVATION_TIME)
        plan.write(moment, (axdr.OCTET_STRING, later), activate, activate)
        return
    active = words.attribute(CALENDAR, name, NAME)
    method = words.method(CALENDAR, name, ACTIVATE)
    plan.call(method, (axdr.INTEGER, 0), item, active, tables[NAME], parts[NAME], item)
    for index in (SEASONS, WEEKS, DAYS):
        plan.verify(words.attribute(CALENDAR, name, index), tables[index], parts[index], item)


def _action(item: Item) -> Typed:
    """Of a script: `{write: ATTRIBUTE, value: ...}` or `{call: METHOD, parameter: ...}`."""
    keys = [key.raw for key, _ in item.pairs("an action with `write:` or `call:`")]
    if "call" in keys:
        fields = item.fields("a call", ["call", "parameter"], [])
        kind, service, where, value = names.METHOD, 2, fields["call"], fields["parameter"]
    else:
        fields = item.fields("an action", ["write", "value"], [])
        kind, service, where, value = names.ATTRIBUTE, 1, fields["write"], fields["value"]
    member = names.member(where, kind)
    return axdr.STRUCTURE, [
        (axdr.ENUM, service),
        (axdr.LONG_UNSIGNED, member.class_id),
        (axdr.OCTET_STRING, member.obis),
        (axdr.INTEGER, member.index),
        values.typed(value),
    ]


def _is_day_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and int(word) < 256


def _weekdays(item: Item) -> list[int]:
    """`every`, `mon`, `mon-fri`, `mon,wed,fri`."""
    word = item.raw.lower()
    if word == "every":
        return list(range(7))
    found: list[int] = []
    for part in word.split(","):
        first, dash, last = part.strip().partition("-")
        for each in (first, last) if dash else (first,):
            if each not in WEEKDAYS:
                raise item.problem(
                    "expected days of the week (%s, mon-fri, every), got '%s'"
                    % (", ".join(WEEKDAYS), item.raw)
                )
        start = WEEKDAYS.index(first)
        end = WEEKDAYS.index(last) if dash else start
        if end < start:
            raise item.problem("expected a span from mon to sun, got '%s'" % item.raw)
        found += range(start, end + 1)
    return found


def _whole(text: str) -> str:
    """With the year that people leave out where a day returns each year: 04-01 is *-04-01."""
    date, space, rest = text.strip().partition(" ")
    if re.match(r"(\d|dst)[^-]*-[^-]+$", date) or re.match(r"(\d{1,2}|dst\w+)-\w+-[a-z]+$", date):
        date = "*-" + date
    return date + space + rest


def _date(item: Item) -> bytes:
    try:
        return datetime.parse_date(_whole(item.raw))
    except ValueError as error:
        raise item.problem(str(error))


def _start(item: Item) -> bytes:
    text = _whole(item.text("a date, such as 04-01"))
    try:
        start = datetime.parse_date_time(text if " " in text else text + " 00:00")
    except ValueError as error:
        raise item.problem(str(error))
    if start[:2] == b"\xff\xff" and start[2:4] == bytes((2, 29)):
        raise item.problem("expected a day that every year has, got 29 February")
    return start


def _moment(item: Item) -> bytes:
    try:
        return datetime.parse_date_time(item.text('now, or a moment such as "2027-01-01 00:00"'))
    except ValueError as error:
        raise item.problem("expected now, or a moment: %s" % error)


def _are(missing: list[str]) -> str:
    return "%s %s" % (", ".join(missing), "is" if len(missing) == 1 else "are")


def lines(values: Mapping[Key, Typed], known: Words) -> list[str]:
    """The form for the calendar in these values, [] for none."""
    return tariff_text.lines(values, known)


def shown(values: Mapping[Key, Typed], known: Words) -> RenderableType | None:
    """The calendars in these values as tables of hours."""
    parts = [table for calendar in calendars(values) for table in hours.tables(calendar, known)]
    return Group(*parts) if parts else None
