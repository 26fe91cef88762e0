"""What all forms need: the words of the model, and how people spell periods."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.dlms.data import axdr, obis
from tools.cosem import names, render, values
from tools.cosem.names import ATTRIBUTE, METHOD, Member
from tools.cosem.source import Item, nearest
from tools.cosem.values import Typed
from tools.package.model.tables import Tables
from tools.package.plan import Plan

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}


@dataclass
class Words:
    """What a form is compiled with: the plan it goes into, and the tables of the model; `used`:
    whether what came of it depends on the model.
    """

    plan: Plan
    tables: Tables
    used: bool = False


def attribute(class_id: int, name: bytes, index: int) -> Member:
    return Member(ATTRIBUTE, class_id, name, index)


def method(class_id: int, name: bytes, index: int) -> Member:
    return Member(METHOD, class_id, name, index)


def known(item: Item, word: str, words: Iterable[str], what: str) -> str:
    """The word as it is known; capitals make no difference. Problem with the nearest one."""
    words = list(words)
    for each in words:
        if each.lower() == word.lower():
            return each
    listed = ", ".join(words) or "it has none"
    raise item.problem("expected %s (%s), got '%s'%s" % (what, listed, word, nearest(word, words)))


def logical_name(item: Item | None, usual: bytes) -> bytes:
    """Of the object a form is about; left out: the usual one."""
    return usual if item is None else values.logical_name(item)


def named_object(item: Item, words: Words, class_id: int) -> bytes:
    """A word of the model's for an object of the class, or its OBIS code."""
    try:
        return obis.parse(item.raw)
    except ValueError:
        pass
    words.used = True
    found = {word: name for word, of_class, name in words.tables.objects if of_class == class_id}
    what = "an OBIS code, or a %s of the model %s" % (names.class_name(class_id), words.tables.name)
    return found[known(item, item.raw, found, what)]


def seconds(item: Item, most: int = 0xFFFFFFFF) -> int:
    """`15 min`, `1 h`, `900 s`, `900`."""
    what = "a time such as 15 min, 1 h, 900 s"
    number, _, unit = item.text(what).partition(" ")
    unit = unit.strip() or "s"
    if not (number.isascii() and number.isdigit()) or unit not in UNITS:
        raise item.expected(what)
    found = int(number) * UNITS[unit]
    if found > most:
        raise item.expected("a time of at most %d s" % most)
    return found


def seconds_text(number: int) -> str:
    """As seconds() reads it, in the largest unit that fits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if number and number % size == 0:
            return "%d %s" % (number // size, unit)
    return "%d s" % number


def member_text(member: Member) -> str:
    """As names.parse() reads it, also of a class whose names are not known."""
    return re.sub(r"^class (\d+) (.*) (?:attribute|method) (-?\d+)$", r"\1 \2 \3", str(member))


def quoted(text: str) -> str:
    """A text as YAML takes it whatever is in it."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def time_text(octets: bytes) -> str:
    """A time without the seconds that are 0."""
    text = render.moment(octets)
    return text[:5] if octets[2:] == bytes(2) else text


def typed_text(typed: Typed) -> str:
    """A typed value as YAML takes it, on one line."""
    tag, value = typed
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        content = "[%s]" % ", ".join(map(typed_text, value))
    elif isinstance(value, bytes):
        content = "0x" + value.hex() if tag == axdr.OCTET_STRING else quoted(render.moment(value))
    elif isinstance(value, bool):
        content = "true" if value else "false"
    elif isinstance(value, str):
        content = quoted(value)
    else:
        content = "" if value is None else str(value)
    return "{%s: %s}" % (axdr.TAGS[tag], content)
