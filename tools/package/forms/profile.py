"""What a load profile records, and how often (class 7).

    profile:
      load-profile:                       # a word of the model's, or an OBIS code
        period: 15 min                    # 0 s: only when it is told to
        columns:                          # attribute, and an element of it in brackets
          - clock 0.0.1.0.0.255 time
          - register 1.0.1.8.0.255 value
        entries: 960                      # rows it keeps

Each may be left out. A change of columns or period empties the profile of most meters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich.text import Text

from gateway.dlms.data import axdr, obis
from tools.cosem import names, shapes, values
from tools.cosem.names import ATTRIBUTE, Member
from tools.cosem.source import Item, Problem
from tools.cosem.values import Typed
from tools.package.calendar import Key
from tools.package.forms import words
from tools.package.forms.words import Words

PROFILE = 7
COLUMNS, PERIOD, ENTRIES = 3, 4, 8
_COLUMN = re.compile(r"(.*?)(?:\[(\d+)\])?$")


def compile(item: Item, known: Words) -> None:
    for key, body in item.pairs("profiles, such as `load-profile: {period: 15 min}`"):
        try:
            _compile(key, body, known)
        except Problem as problem:
            known.plan.problems.append(problem)


def _compile(key: Item, body: Item, known: Words) -> None:
    name = words.named_object(key, known, PROFILE)
    fields = body.fields("a profile", [], ["columns", "period", "entries"])
    columns, period, entries = (fields.get(word) for word in ("columns", "period", "entries"))
    if columns is None and period is None and entries is None:
        raise body.problem("expected `period:`, `columns:` or `entries:` in a profile, got none")
    if columns is not None:
        listed = [_column(each) for each in columns.items("a list of columns")]
        typed: Typed = (axdr.ARRAY, listed)
        known.plan.write(words.attribute(PROFILE, name, COLUMNS), typed, columns, columns)
    if period is not None:
        number = words.seconds(period)
        typed = (axdr.DOUBLE_LONG_UNSIGNED, number)
        known.plan.write(words.attribute(PROFILE, name, PERIOD), typed, period, period)
    if entries is not None:
        limits = values.INTEGERS[axdr.DOUBLE_LONG_UNSIGNED]
        typed = (axdr.DOUBLE_LONG_UNSIGNED, values.integer(entries, "a number of rows", *limits))
        known.plan.write(words.attribute(PROFILE, name, ENTRIES), typed, entries, entries)


def _column(item: Item) -> Typed:
    found = _COLUMN.match(item.text("a column such as `register 1.0.1.8.0.255 value`"))
    assert found is not None
    try:
        column = names.parse(found[1], ATTRIBUTE)
    except names.NameProblem as problem:
        raise item.problem(str(problem), problem.offset) from None
    element = int(found[2] or 0)
    if element > 0xFFFF:
        raise item.expected("an element of at most 65535 in brackets")
    return axdr.STRUCTURE, [
        (axdr.LONG_UNSIGNED, column.class_id),
        (axdr.OCTET_STRING, column.obis),
        (axdr.INTEGER, column.index),
        (axdr.LONG_UNSIGNED, element),
    ]


def lines(values: Mapping[Key, Typed], known: Words) -> list[str]:
    """The form for the profiles in these values, [] for none."""
    made = ["profile:"]
    for name in dict.fromkeys(name for class_id, name, _ in values if class_id == PROFILE):
        own = {index: typed for (class_id, of, index), typed in values.items()
               if (class_id, of) == (PROFILE, name)}  # fmt: skip
        body = []
        if PERIOD in own:
            body.append("    period: %s" % words.seconds_text(own[PERIOD][1]))
        if COLUMNS in own and not any(
            shapes.faults(shapes.attribute(PROFILE, COLUMNS), own[COLUMNS])
        ):
            body.append("    columns:")
            body += ["      - %s" % _column_text(fields) for _, fields in own[COLUMNS][1]]
        if ENTRIES in own:
            body.append("    entries: %d" % own[ENTRIES][1])
        if body:
            made += ["  %s:" % (known.tables.word_of(name) or obis.text(name)), *body]
    return made if len(made) > 1 else []


def _column_text(fields: list[Typed]) -> str:
    (_, class_id), (_, name), (_, index), (_, element) = fields
    text = words.member_text(Member(ATTRIBUTE, class_id, name, index))
    return text + ("[%d]" % element if element else "")


def shown(values: Mapping[Key, Typed], known: Words) -> Text | None:
    made = lines(values, known)
    return Text("\n".join(made)) if made else None
