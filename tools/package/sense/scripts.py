"""Scripts (class 9): they act on what there is, and come to an end; whoever names a script names
one there is.
"""

from __future__ import annotations

from typing import Any

from gateway.dlms.data import obis
from tools.cosem import names, shapes
from tools.cosem.shapes import Path
from tools.cosem.values import Typed
from tools.package.entry import WRITE, Entry
from tools.package.sense.whole import Found, Whole, known_member, listed, rows_of, unique

SCRIPTS = 9
_WRITE_ATTRIBUTE, _EXECUTE_METHOD = 1, 2  # service_id of a script's action
_NO_SCRIPT = 0


def scripts(whole: Whole, entry: Entry) -> Found:
    rows = rows_of(entry)
    yield from unique([row[0] for row in rows], 0, "script")
    calls: dict[int, set[int]] = {}
    for at, (number, actions) in enumerate(rows):
        if number == _NO_SCRIPT:
            yield (at, 0), "expected a script from 1 on (0 means none), got 0"
        for place, (_, fields) in enumerate(actions):
            yield from _action(whole, (at, 1, place), fields)
            (_, service), (_, class_id), (_, name), (_, index), parameter = fields
            again = (service, class_id, name, index) == (_EXECUTE_METHOD, SCRIPTS, entry.obis, 1)
            if again and isinstance(parameter[1], int):
                calls.setdefault(number, set()).add(parameter[1])
    for at, (number, _) in enumerate(rows):
        if _reaches(calls, number, number):
            yield (
                (at,),
                "expected a script that comes to an end, got %d, which executes itself" % number,
            )


def _action(whole: Whole, path: Path, fields: list[Typed]) -> Found:
    """One action of a script: it names what there is, with a value that fits."""
    (_, service), (_, class_id), (_, name), (_, index), parameter = fields
    if service == _WRITE_ATTRIBUTE:
        yield from known_member((*path, 3), names.ATTRIBUTE, class_id, index)
        shape = shapes.attribute(class_id, index)
    else:
        yield from known_member((*path, 3), names.METHOD, class_id, index)
        shape = shapes.parameter(class_id, index)
    wrong = list(shapes.faults(shape, parameter, (*path, 4)))
    yield from wrong
    if not wrong and service == _EXECUTE_METHOD and (class_id, index) == (SCRIPTS, 1):
        yield from reference(whole, (*path, 4), name, parameter[1], direct=True)


def execute(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    yield from reference(whole, (), entry.obis, entry.typed[1], direct=True)


def script_reference(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    (_, table), (_, selector) = entry.typed[1]
    yield from reference(whole, (), table, selector, first=0)


def action_sets(whole: Whole, entry: Entry) -> Found:
    for at, pair in enumerate(rows_of(entry)):
        yield from _pair(whole, (at,), pair)


def action_set(whole: Whole, entry: Entry) -> Found:
    assert entry.typed is not None
    yield from _pair(whole, (), [fields for _, fields in entry.typed[1]])


def _pair(whole: Whole, path: Path, pair: list[Any]) -> Found:
    for side, fields in enumerate(pair):
        (_, table), (_, selector) = fields
        yield from reference(whole, (*path, side), table, selector, first=0)


def reference(
    whole: Whole, path: Path, table: bytes, selector: int, first: int = 1, direct: bool = False
) -> Found:
    """The script has to be there; 0 is none. The path leads to the structure whose elements from
    `first` on are table and selector, or, `direct`, to the selector.
    """
    if selector == _NO_SCRIPT:
        return
    place = path if direct else (*path, first + 1)
    written = whole.last(SCRIPTS, table, 2, WRITE)
    if written is not None:
        known = [row[0] for row in rows_of(written)]
    else:
        known = sorted(whole.held.scripts.get(table, ()))
    if not known:
        yield (
            place,
            "expected a script that is known; this package does not write the table %s, "
            "so say `meter: {scripts: {%s: [%d]}}` if the meter has it"
            % (obis.text(table), obis.text(table), selector),
        )
    elif selector not in known:
        yield (
            place,
            "expected one of the scripts %s of %s, got %d"
            % (listed(known), obis.text(table), selector),
        )


def _reaches(calls: dict[int, set[int]], start: int, wanted: int) -> bool:
    seen: set[int] = set()
    waiting = list(calls.get(start, ()))
    while waiting:
        number = waiting.pop()
        if number == wanted:
            return True
        if number not in seen:
            seen.add(number)
            waiting += calls.get(number, ())
    return False
