"""A calendar as people look at it: a bar of hours for each day, a letter for each tariff."""

from __future__ import annotations

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gateway.dlms.data import obis
from tools.cosem import render
from tools.package.calendar import Calendar
from tools.package.forms.words import WEEKDAYS, Words
from tools.package.held import TARIFF_SCRIPTS

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STYLES = ("green", "bold red", "yellow", "cyan", "magenta", "blue")
_BEFORE = "."  # before the first switching time: the tariff of the day before holds on
_NO_SCRIPT = 0
_CELLS = 48  # half hours of a day

Script = tuple[bytes, int]  # table, number


def tables(calendar: Calendar, known: Words) -> list[RenderableType]:
    """Of the parts that are told."""
    letters = _letters(calendar)
    made: list[RenderableType] = []
    if calendar.name is not None or letters:
        name = "" if calendar.name is None else render.octets(calendar.name)
        made.append(Text("Tariff %s" % name, "bold"))
    if letters:
        made.append(_legend(letters, known))
    if calendar.days is not None:
        made.append(_days(calendar, letters))
    if calendar.weeks is not None:
        made.append(_weeks(calendar))
    if calendar.seasons is not None:
        made.append(_seasons(calendar))
    if calendar.special is not None:
        made.append(_special_days(calendar))
    return made


def bar(actions: list[tuple[bytes, bytes, int]], letters: dict[Script, str]) -> str:
    """A letter for each half hour: the tariff that holds at its end. A time that is not at a half
    hour is in the list of times."""
    cells = [_BEFORE] * _CELLS
    for start, table, script in actions:
        first = start[0] * 2 + start[1] // 30
        cells[first:] = [letters[table, script]] * (_CELLS - first)
    return "".join(cells)


def ruler() -> str:
    """The hours over a bar."""
    return "".join("%-6d" % hour for hour in range(0, 24, 3))


def _letters(calendar: Calendar) -> dict[Script, str]:
    scripts = sorted(
        {(table, script) for _, actions in calendar.days or [] for _, table, script in actions},
        key=lambda each: (each[1], each[0]),
    )
    found: dict[Script, str] = {}
    for at, each in enumerate(scripts):
        found[each] = _LETTERS[at] if at < len(_LETTERS) else "?"
    return found


def _legend(letters: dict[Script, str], known: Words) -> Text:
    names = {number: word for word, number in known.plan.held.tariffs.items()}
    text = Text()
    for (table, script), letter in letters.items():
        word = names.get(script, "") if table == TARIFF_SCRIPTS else ""
        where = "" if table == TARIFF_SCRIPTS else " of %s" % obis.text(table)
        number = "no script" if script == _NO_SCRIPT else "script %d%s" % (script, where)
        text.append("  %s" % letter, _style(letter))
        text.append(" %s" % ("%s (%s)" % (word, number) if word else number))
    return text


def _style(letter: str) -> str:
    return _STYLES[_LETTERS.find(letter) % len(_STYLES)] if letter in _LETTERS else "dim"


def _days(calendar: Calendar, letters: dict[Script, str]) -> Table:
    made = _table("day", ruler())
    for number, actions in calendar.days or []:
        hours = Text()
        for letter in bar(actions, letters):
            hours.append(letter, _style(letter))
        times = ["%s %s" % (_time(start), letters[table, script])
                 for start, table, script in actions]  # fmt: skip
        hours.append("\n" + "  ".join(times), "dim")
        made.add_row(str(number), hours)
    return made


def _time(start: bytes) -> str:
    text = render.moment(start)
    return text[:5] if start[2] in (0, 0xFF) and start[3] in (0, 0xFF) else text


def _weeks(calendar: Calendar) -> Table:
    made = _table("week", *WEEKDAYS)
    for name, days in calendar.weeks or []:
        made.add_row(render.octets(name), *["day %d" % day for day in days])
    return made


def _seasons(calendar: Calendar) -> Table:
    made = _table("season", "from", "week")
    for name, start, week in calendar.seasons or []:
        made.add_row(*map(render.octets, (name,)), render.moment(start), render.octets(week))
    return made


def _special_days(calendar: Calendar) -> Table:
    made = _table("special day", "", "")
    for number, date, day in calendar.special or []:
        made.add_row(str(number), render.moment(date), "day %d" % day)
    return made


def _table(*columns: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, no_wrap=column == ruler())
    return made
