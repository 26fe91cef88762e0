"""A calendar that a meter holds, written as the form it could have been (tariff.py)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.dlms.data import obis
from tools.cosem import names, render
from tools.cosem.values import Typed
from tools.package.calendar import USUAL, Key, calendars
from tools.package.forms import words
from tools.package.forms.words import WEEKDAYS, Words
from tools.package.held import TARIFF_SCRIPTS

SCRIPTS, TABLE = 9, 2


def lines(values: Mapping[Key, Typed], known: Words) -> list[str]:
    """The form for the calendar in these values, [] where it is not whole or has no words for it:
    compiled again, it has to give the same.
    """
    found = [each for each in calendars(values) if each.obis == USUAL]
    if not found or None in (found[0].name, found[0].seasons, found[0].weeks, found[0].days):
        return []
    made = found[0]
    assert made.name is not None and made.seasons and made.weeks and made.days
    tables = {table for _, actions in made.days for _, table, _ in actions}
    numbered = [number for number, _, _ in made.special or []]
    if len(tables) > 1 or numbered != list(range(1, len(numbered) + 1)):
        return []
    (table,) = tables or {TARIFF_SCRIPTS}
    own = table == TARIFF_SCRIPTS
    names_of = {number: word for word, number in known.plan.held.tariffs.items()} if own else {}
    text = ["tariff:", "  name: %s" % _octets_text(made.name)]
    if not own:
        text.append("  table: %s" % obis.text(table))
    if (SCRIPTS, table, TABLE) in values:
        text += _script_lines(values[SCRIPTS, table, TABLE], names_of)
    text.append("  seasons:")
    for name, start, week in made.seasons:
        text.append(
            "    %s: {from: %s, week: %s}"
            % (_octets_text(name), words.quoted(render.moment(start)), _octets_text(week))
        )
    text.append("  weeks:")
    for name, days in made.weeks:
        text.append("    %s: {%s}" % (_octets_text(name), _week_text(days)))
    text.append("  days:")
    for number, actions in made.days:
        times = [
            "%s: %s"
            % (words.quoted(words.time_text(start)), names_of.get(script) or _numbered(script))
            for start, _, script in actions
        ]
        text.append("    %d: {%s}" % (number, ", ".join(times)))
    if made.special is not None:
        text.append("  holidays:" + ("" if made.special else " {}"))
        for _, date, day in made.special:
            text.append("    %s: %d" % (words.quoted(render.moment(date)), day))
    return text


def _numbered(script: int) -> str:
    return "script %d" % script


def _script_lines(typed: Typed, names_of: Mapping[int, str]) -> list[str]:
    text = ["  scripts:"]
    for _, ((_, number), (_, actions)) in typed[1]:
        made = []
        for _, ((_, service), (_, class_id), (_, name), (_, index), parameter) in actions:
            kind = names.ATTRIBUTE if service == 1 else names.METHOD
            member = words.member_text(names.Member(kind, class_id, name, index))
            word, value = ("write", "value") if service == 1 else ("call", "parameter")
            made.append("{%s: %s, %s: %s}" % (word, member, value, words.typed_text(parameter)))
        word = names_of.get(number) or "script-%d" % number
        text.append("    %s: {number: %d, do: [%s]}" % (word, number, ", ".join(made)))
    return text


def _octets_text(octets: bytes) -> str:
    """A name as octet_string() reads it."""
    if octets and all(0x20 <= octet < 0x7F for octet in octets):
        text = octets.decode()
        if text == text.strip() and not text.lower().startswith("0x"):
            return words.quoted(text)
    return "0x" + octets.hex()


def _week_text(days: list[int]) -> str:
    """Equal days together: `mon-fri: 1, sat-sun: 2`."""
    spans: list[tuple[int, int]] = []
    for at, day in enumerate(days):
        if spans and days[spans[-1][0]] == day:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at, at))
    if len(spans) == 1:
        return "every: %d" % days[0]
    return ", ".join(
        "%s: %d"
        % (
            WEEKDAYS[first] if first == last else "%s-%s" % (WEEKDAYS[first], WEEKDAYS[last]),
            days[first],
        )
        for first, last in spans
    )
