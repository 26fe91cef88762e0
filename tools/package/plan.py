"""Steps and checks of a package as they come together, from typed values and from forms alike."""

from __future__ import annotations

from gateway.activities import protected_objects
from gateway.contract.limits import MAX_DATA
from gateway.contract.package import Action, Check, Set
from gateway.dlms.data import axdr
from tools.cosem import shapes, values
from tools.cosem.names import Member
from tools.cosem.source import Item, Problem
from tools.cosem.values import Typed
from tools.package.entry import CALL, READ, WRITE, Entry
from tools.package.held import Held
from tools.package.sense.judge import faults

Key = tuple[int, bytes, int]


class Plan:
    """Keeps the problems it meets, so that an author sees them all at once. `permits`: what may be
    touched that others may not. A value is either `raw`, written at its item element by element, or
    made by a form that stands there.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.steps: list[Set | Action] = []
        self.checks: dict[Key, Check] = {}
        self.permits: list[str] = []
        self.held = Held()
        self._entries: list[Entry] = []

    def write(
        self,
        attribute: Member,
        typed: Typed,
        item: Item,
        where: Item,
        raw: bool = False,
        check: bool = True,
    ) -> None:
        """`where` names the attribute. Problem."""
        if not self._fits(shapes.attribute(attribute.class_id, attribute.index), typed, item, raw):
            return
        data = encoded(item, typed)
        twice = [each for each in self._entries if (each.kind, each.key) == (WRITE, attribute.key)]
        if twice and not (raw and twice[-1].raw):
            raise where.problem(
                "expected %s to be written once, got it a second time; the first is at %s"
                % (attribute, twice[-1].item.path)
            )
        self._add(Set(*attribute.key, data), where)
        self._entries.append(Entry(WRITE, *attribute.key, typed, item, raw, check))
        self._keep(Check(*attribute.key, data), check)

    def call(
        self,
        method: Member,
        parameter: Typed | None,
        parameter_item: Item,
        attribute: Member,
        typed: Typed,
        until: Item,
        where: Item,
        raw: bool = False,
        check: bool = True,
    ) -> None:
        """`attribute` has the value `typed` once the method has worked. Problem."""
        shape = shapes.parameter(method.class_id, method.index)
        sent = (axdr.NULL, None) if parameter is None else parameter
        fits = self._fits(shape, sent, parameter_item, raw and parameter is not None)
        shape = shapes.attribute(attribute.class_id, attribute.index)
        if not self._fits(shape, typed, until, raw) or not fits:
            return
        data = None if parameter is None else encoded(parameter_item, parameter)
        proof = Check(*attribute.key, encoded(until, typed))
        self._add(Action(*method.key, data, proof), where)
        called = Entry(CALL, *method.key, parameter, parameter_item, raw)
        self._entries += [called, Entry(READ, *attribute.key, typed, until, raw, check)]
        self._keep(proof, check)

    def verify(
        self, attribute: Member, typed: Typed, item: Item, where: Item, raw: bool = False
    ) -> None:
        """`where`: the whole entry. Problem."""
        if not self._fits(shapes.attribute(attribute.class_id, attribute.index), typed, item, raw):
            return
        check = Check(*attribute.key, encoded(item, typed))
        if self.checks.get(attribute.key, check).data != check.data:
            raise where.problem(
                "expected the value that a step or an earlier check gives this attribute,"
                " got another one"
            )
        self._entries.append(Entry(READ, *attribute.key, typed, item, raw))
        self.checks[attribute.key] = check

    def judge(self) -> None:
        """Adds the problems of what makes no sense; only for a plan that is whole."""
        for entry, path, text in faults(self._entries, self.held):
            place = values.located(entry.item, path) if entry.raw else entry.item
            self.problems.append(place.problem(text))

    def _fits(self, shape: shapes.Shape, typed: Typed, item: Item, raw: bool) -> bool:
        wrong = list(shapes.faults(shape, typed))
        for path, text in wrong:
            self.problems.append((values.located(item, path) if raw else item).problem(text))
        return not wrong

    def _add(self, step: Set | Action, where: Item) -> None:
        word = protected_objects.touches(step, isinstance(step, Action))
        if word and word not in self.permits:
            raise where.problem(
                "this touches the meter's %s; if that is meant, say `permits: [%s]`" % (word, word)
            )
        self.steps.append(step)

    def _keep(self, check: Check, wanted: bool) -> None:
        key = (check.class_id, check.obis, check.attribute)
        if wanted:
            self.checks[key] = check
        else:
            self.checks.pop(key, None)  # an earlier step's wish is overtaken


def encoded(item: Item, typed: Typed) -> bytes:
    data = axdr.encode(typed)
    if len(data) > MAX_DATA:
        raise item.problem("expected a value of at most %d bytes, got %d" % (MAX_DATA, len(data)))
    return data
