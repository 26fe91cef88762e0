"""Where two packages differ for a meter: what they write, invoke and demand, element by element.
How they were written makes no difference, nor does the order of their writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.cosem import render, shapes
from tools.cosem.names import ATTRIBUTE, METHOD, Member
from tools.cosem.shapes import Path
from tools.cosem.values import Typed
from tools.package.calendar import CALENDAR, NAME, PASSIVE, Key

_NOTHING = "nothing"


def headings(first: Package, second: Package) -> list[str]:
    """What they say of themselves, where it differs."""
    found = []
    for what in ("name", "version", "description", "targets", "model", "permits"):
        one, other = getattr(first, what), getattr(second, what)
        if one != other:
            found.append("%s: %s -> %s" % (what, _heading(one), _heading(other)))
    return found


def differences(first: Package, second: Package) -> list[str]:
    """A line each; [] where a meter ends up the same. A calendar's passive half is told only where
    it differs otherwise than the active one.
    """
    told: list[tuple[Key, str]] = []
    for one, other in ((first.checks, second.checks), (_sets(first), _sets(second))):
        wanted, came = _by_key(one), _by_key(other)
        for key in dict.fromkeys([*wanted, *came]):
            for text in _differing(key, wanted.get(key), came.get(key)):
                if (_active(key), text) not in told:
                    told.append((key, text))
    lines = ["%s: %s" % (Member(ATTRIBUTE, *key), text) for key, text in told]
    return lines + list(_calls(first, second))


def _elements(one: Typed, other: Typed, path: Path) -> Iterator[tuple[Path, str, str]]:
    """Each element that differs, with both values in words."""
    if one == other:
        return
    if one[0] != other[0] or one[0] not in (axdr.ARRAY, axdr.STRUCTURE):
        yield path, render.text(one), render.text(other)
        return
    both = min(len(one[1]), len(other[1]))
    for at in range(both):
        yield from _elements(one[1][at], other[1][at], (*path, at))
    for at in range(both, len(one[1])):
        yield (*path, at), render.text(one[1][at]), _NOTHING
    for at in range(both, len(other[1])):
        yield (*path, at), _NOTHING, render.text(other[1][at])


def elements(class_id: int, index: int, one: bytes, other: bytes) -> list[str]:
    """Where two values of an attribute differ, in its words: "day 1, day_id: unsigned 1 ->
    unsigned 2"; without a place where it is the value as a whole.
    """
    try:
        pair = axdr.decode(one), axdr.decode(other)
    except ProtocolError:
        return [] if one == other else ["%s -> %s" % (_data(one), _data(other))]
    shape = shapes.attribute(class_id, index)
    found = []
    for path, was, now in _elements(*pair, ()):
        place = shapes.place(shape, path)
        found.append("%s%s -> %s" % (place + ": " if place else "", was, now))
    return found


def _differing(key: Key, one: bytes | None, other: bytes | None) -> list[str]:
    if one is None or other is None:
        return ["%s -> %s" % (_data(one), _data(other))]
    return elements(key[0], key[2], one, other)


def _calls(first: Package, second: Package) -> Iterator[str]:
    one = [step for step in first.steps if isinstance(step, Action)]
    other = [step for step in second.steps if isinstance(step, Action)]
    for at in range(max(len(one), len(other))):
        was = _call(one[at]) if at < len(one) else _NOTHING
        now = _call(other[at]) if at < len(other) else _NOTHING
        if was != now:
            yield "call %d: %s -> %s" % (at + 1, was, now)


def _call(step: Action) -> str:
    until = Member(ATTRIBUTE, step.check.class_id, step.check.obis, step.check.attribute)
    return "%s (%s) until %s is %s" % (
        Member(METHOD, step.class_id, step.obis, step.method),
        "no parameter" if step.data is None else render.data(step.data),
        until,
        render.data(step.check.data),
    )


def _sets(package: Package) -> list[Set]:
    return [step for step in package.steps if isinstance(step, Set)]


def _by_key(entries: list[Check] | list[Set]) -> dict[Key, bytes]:
    """The last one counts."""
    return {(each.class_id, bytes(each.obis), each.attribute): each.data for each in entries}


def _active(key: Key) -> Key:
    class_id, name, index = key
    passive = class_id == CALENDAR and index >= NAME + PASSIVE
    return (class_id, name, index - PASSIVE) if passive else key


def _data(data: bytes | None) -> str:
    return _NOTHING if data is None else render.data(data)


def _heading(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_heading, value)) or "none"
    if isinstance(value, tuple):
        model, prefixes = value
        return "%s %s" % (model, " or ".join(prefixes) or "any firmware")
    return str(value) or "none"
