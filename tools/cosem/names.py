"""One attribute or method, as people write it: class, logical name, member, on one line.

    profile_generic 1.0.99.1.0.255 capture_period
    7 1.0.99.1.0.255 4

Names are those of the Blue Book (gateway/dlms/data/cosem.py); hyphens, underscores and capitals
make no difference. A class that is not known there is written by its number, and so are its
members.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dlms.data import cosem, obis
from tools.cosem.source import Item, nearest

ATTRIBUTE = "attribute"
METHOD = "method"


@dataclass(frozen=True)
class Member:
    """`kind` ATTRIBUTE or METHOD; `type` the Blue Book's type name of an attribute, "" when not
    known.
    """

    kind: str
    class_id: int
    obis: bytes
    index: int
    type: str = ""

    @property
    def key(self) -> tuple[int, bytes, int]:
        return self.class_id, self.obis, self.index

    def __str__(self) -> str:
        return "%s %s %s" % (
            class_name(self.class_id),
            obis.text(self.obis),
            member_name(self.kind, self.class_id, self.index),
        )


class NameProblem(ValueError):
    """`offset` is where in the text the word at fault starts."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(text)
        self.offset = offset


def parse(text: str, kind: str) -> Member:
    """Read `CLASS OBIS MEMBER`. NameProblem says which word, what was expected, and the nearest
    name.
    """
    words = _words(text)
    if len(words) != 3:
        raise NameProblem(
            0,
            "expected a class, an OBIS code and %s (`%s`), got %d words"
            % (_ONE[kind], _EXAMPLE[kind], len(words)),
        )
    (class_at, class_word), (obis_at, obis_word), (member_at, member_word) = words
    class_id = _class(class_at, class_word)
    name = _obis(obis_at, obis_word)
    index, type_name = _member(member_at, member_word, kind, class_id)
    return Member(kind, class_id, name, index, type_name)


def parse_object(text: str) -> tuple[int, bytes]:
    """Read `CLASS OBIS`: (class_id, logical name). NameProblem as parse()."""
    words = _words(text)
    if len(words) != 2:
        raise NameProblem(
            0,
            "expected a class and an OBIS code (`profile_generic 1.0.99.1.0.255`), got %d words"
            % len(words),
        )
    (class_at, class_word), (obis_at, obis_word) = words
    return _class(class_at, class_word), _obis(obis_at, obis_word)


def member(item: Item, kind: str) -> Member:
    """The attribute or method that the text in a file names. Problem."""
    text = item.text("a class, an OBIS code and the name of the %s" % kind)
    try:
        return parse(text, kind)
    except NameProblem as problem:
        raise item.problem(str(problem), problem.offset) from None


def class_name(class_id: int) -> str:
    known = cosem.CLASSES.get(class_id)
    return known.name if known else "class %d" % class_id


def member_name(kind: str, class_id: int, index: int) -> str:
    for number, name, _ in _members(kind, class_id):
        if number == index:
            return name
    return "%s %d" % (kind, index)


_ONE = {ATTRIBUTE: "an attribute", METHOD: "a method"}
_EXAMPLE = {
    ATTRIBUTE: "profile_generic 1.0.99.1.0.255 capture_period",
    METHOD: "activity_calendar 0.0.13.0.0.255 activate_passive_calendar",
}


def _words(text: str) -> list[tuple[int, str]]:
    found = []
    position = 0
    for word in text.split():
        position = text.index(word, position)
        found.append((position, word))
        position += len(word)
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _number(word: str, most: int) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and 1 <= int(word) <= most else None


def _class(offset: int, word: str) -> int:
    if word.isascii() and word.isdigit():
        number = _number(word, 65535)
        if number is None:
            raise NameProblem(offset, "expected a class id 1..65535, got '%s'" % word)
        return number
    names = {known.name: class_id for class_id, known in cosem.CLASSES.items()}
    if _plain(word) not in names:
        raise NameProblem(
            offset,
            "expected a COSEM class (%s) or a class id, got '%s'%s"
            % (", ".join(names), word, nearest(_plain(word), names)),
        )
    return names[_plain(word)]


def _obis(offset: int, word: str) -> bytes:
    try:
        return obis.parse(word)
    except ValueError as error:
        raise NameProblem(
            offset, "expected an OBIS code such as 1.0.99.1.0.255, got '%s': %s" % (word, error)
        ) from None


def _members(kind: str, class_id: int) -> list[tuple[int, str, str]]:
    """(index, name, type name) of what is known."""
    known = cosem.CLASSES.get(class_id)
    if known is None:
        return []
    if kind == ATTRIBUTE:
        return [(index, name, type_name) for index, name, type_name in known.attributes]
    return [(index, name, "") for index, name in known.methods]


def _member(offset: int, word: str, kind: str, class_id: int) -> tuple[int, str]:
    members = _members(kind, class_id)
    if word.isascii() and word.isdigit():
        number = _number(word, 127)
        if number is None:
            raise NameProblem(offset, "expected %s number 1..127, got '%s'" % (kind, word))
        if members and number not in [index for index, _, _ in members]:
            raise NameProblem(
                offset,
                "expected %s of %s (%s), got '%s'"
                % (_ONE[kind], class_name(class_id), _listing(members), word),
            )
        return number, next((t for index, _, t in members if index == number), "")
    for index, name, type_name in members:
        if name == _plain(word):
            return index, type_name
    if class_id not in cosem.CLASSES:
        raise NameProblem(
            offset,
            "expected the %s as a number 1..127 (names of class %d are not known here), got '%s'"
            % (kind, class_id, word),
        )
    raise NameProblem(
        offset,
        "expected %s of %s (%s), got '%s'%s"
        % (
            _ONE[kind],
            class_name(class_id),
            _listing(members) or "it has none",
            word,
            nearest(_plain(word), [name for _, name, _ in members]),
        ),
    )


def _listing(members: list[tuple[int, str, str]]) -> str:
    return ", ".join("%d %s" % (index, name) for index, name, _ in members)
