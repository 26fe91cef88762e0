"""Which alarms the meter reports: its alarm filters, by the names of the model's tables.

alarms: [overvoltage, cover opened]         # in all filters of the model; no others
alarms:
  alarm-filter-1: [overvoltage, bit 31]     # only this one; a bit without a name by its number
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich.text import Text

from gateway.dlms.data import axdr
from tools.cosem.source import Item, Problem
from tools.cosem.values import Typed
from tools.package.calendar import Key
from tools.package.forms import words
from tools.package.forms.words import Words
from tools.package.model.tables import Table, set_bits

DATA, VALUE = 1, 2
_FILTER = "alarm-filter"
_BITS = 32
_BIT = re.compile(r"bit (\d+)$")


def compile(item: Item, known: Words) -> None:
    known.used = True  # the same bit is another alarm in another model
    if item.kind != "a mapping":
        _all(item, known)
        return
    filters = _filters(known)
    for key, body in item.pairs("alarm filters"):
        try:
            word = words.known(key, key.raw, filters, "an alarm filter of %s" % known.tables.name)
            number = 0
            for each in body.items("a list of alarms"):
                number |= 1 << _bit(each, [filters[word]], known)[1]
            _write(word, number, body, known)
        except Problem as problem:
            known.plan.problems.append(problem)


def _all(item: Item, known: Words) -> None:
    filters = _filters(known)
    numbers = dict.fromkeys(filters, 0)
    for each in item.items("a list of alarms, such as [overvoltage]"):
        try:
            table, bit = _bit(each, list(filters.values()), known)
            numbers[table.word] |= 1 << bit
        except Problem as problem:
            known.plan.problems.append(problem)
    if not filters:
        raise item.problem("expected a model with alarm filters, %s has none" % known.tables.name)
    for word, number in numbers.items():
        _write(word, number, item, known)


def _filters(known: Words) -> dict[str, Table]:
    return {table.word: table for table in known.tables.alarms if table.word.startswith(_FILTER)}


def _bit(item: Item, tables: list[Table], known: Words) -> tuple[Table, int]:
    word = item.text("an alarm")
    numbered = _BIT.match(word)
    if numbered and len(tables) == 1 and int(numbered[1]) < _BITS:
        return tables[0], int(numbered[1])
    found = {}
    for table in tables:
        for meaning in table.meanings:
            for name in (meaning.spanish, meaning.english):
                found[name] = (table, meaning.number)
    english = [meaning.english for table in tables for meaning in table.meanings]
    if word.lower() in [name.lower() for name in found]:
        return found[words.known(item, word, found, "an alarm")]
    words.known(item, word, english, "an alarm of the model %s" % known.tables.name)
    raise AssertionError("words.known() knows no more than `found`")


def _write(word: str, number: int, item: Item, known: Words) -> None:
    name = next(name for each, _, name in known.tables.objects if each == word)
    typed = (axdr.DOUBLE_LONG_UNSIGNED, number)
    known.plan.write(words.attribute(DATA, name, VALUE), typed, item, item)


def lines(values: Mapping[Key, Typed], known: Words) -> list[str]:
    """The form for the alarm filters in these values, [] for none."""
    made = ["alarms:"]
    for word, table in _filters(known).items():
        name = next(name for each, _, name in known.tables.objects if each == word)
        typed = values.get((DATA, name, VALUE))
        if typed is None or typed[0] != axdr.DOUBLE_LONG_UNSIGNED:
            continue
        found = []
        for bit in set_bits(typed):
            meaning = table.find(bit)
            found.append("bit %d" % bit if meaning is None else meaning.english)
        made.append("  %s: [%s]" % (word, ", ".join(map(words.quoted, found))))
    return made if len(made) > 1 else []


def shown(values: Mapping[Key, Typed], known: Words) -> Text | None:
    made = lines(values, known)
    return Text("\n".join(made).replace('"', "")) if made else None
