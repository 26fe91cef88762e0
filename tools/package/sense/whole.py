"""A package as a whole, as the rules of this room see it, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.dlms.data import cosem
from tools.cosem import names, render
from tools.cosem.shapes import Path
from tools.package.entry import READ, WRITE, Entry
from tools.package.held import Held

PUSH = 40

Fault = tuple[Entry, Path, str]
Found = Iterator[tuple[Path, str]]  # what is wrong in one value: where, and what


class Whole:
    """`held`: what the meter has already. `found` collects what is wrong."""

    def __init__(self, entries: Sequence[Entry], held: Held) -> None:
        self.entries = entries
        self.held = held
        self.found: list[Fault] = []

    def say(self, entry: Entry, path: Path, text: str) -> None:
        """Once for one value, however often it is used."""
        for known, at, told in self.found:
            if at == path and told == text and known.typed == entry.typed:
                return
        self.found.append((entry, path, text))

    def last(self, class_id: int, name: bytes, index: int, *kinds: str) -> Entry | None:
        """The last entry for this attribute: the one that counts."""
        kinds = kinds or (WRITE, READ)
        for entry in reversed(self.entries):
            if entry.key == (class_id, name, index) and entry.kind in kinds:
                return entry
        return None


def rows_of(entry: Entry | None) -> list[list[Any]]:
    """The values in each structure of an array, without their tags."""
    if entry is None or entry.typed is None:
        return []
    return [[value for _, value in fields] for _, fields in entry.typed[1]]


def unique(keys: list[Any], at: int, what: str) -> Found:
    for number, key in enumerate(keys):
        if key in keys[:number]:
            yield (number, at), "expected each %s once, got %s a second time" % (what, word_of(key))


def unknown(what: str, name: Any, known: Sequence[Any], written: bool) -> str:
    word = word_of(name)
    if known:
        return "expected one of the %ss %s, got %s" % (what, listed(known), word)
    if written:
        return "expected a %s that the calendar has, got %s; it has none" % (what, word)
    return (
        "expected a %s that is known; this package writes none, "
        "so say `meter: {%ss: [%s]}` if the meter has it" % (what, what, word)
    )


def word_of(name: Any) -> str:
    return render.octets(name) if isinstance(name, bytes) else str(name)


def listed(known: Sequence[Any]) -> str:
    return ", ".join(map(word_of, known))


def known_member(path: Path, kind: str, class_id: int, index: int) -> Found:
    """An attribute or method that the class has; 0 stands for all attributes, and those below for
    groups of them. Of a class that is not known here nothing is said.
    """
    known = cosem.find(class_id)
    if known is None:
        return
    members = len(known.attributes) if kind == names.ATTRIBUTE else len(known.methods)
    if class_id == PUSH and kind == names.ATTRIBUTE:
        members = len(cosem.VERSIONS[PUSH, 2].attributes)
    if index > members or (index < 1 and kind == names.METHOD):
        yield path, "expected %s 1..%d of %s, got %d" % (kind, members, known.name, index)
