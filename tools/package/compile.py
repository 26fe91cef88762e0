"""From the YAML an author wrote to the package a gateway carries out (gateway/contract/package.py).

    name: calendar
    version: "1.0"
    description: what it is for              # may be left out
    for:
      - model: AMI-E450
        firmware: [V02.]                     # prefixes; left out: any firmware
    steps:
      - write: activity_calendar 0.0.13.0.0.255 calendar_name_passive
        value: {octet-string: SUMMER26}
        check: false                         # it need not read back so at the end
      - call: activity_calendar 0.0.13.0.0.255 activate_passive_calendar
        parameter: {integer: 0}              # may be left out
        until:
          read: activity_calendar 0.0.13.0.0.255 calendar_name_active
          equals: {octet-string: SUMMER26}
    verify:                                  # what else must hold at the end; may be left out
      - read: ...
        equals: ...
    permits: [switch, billing]               # only for one that touches the meter's switch, or data
                                             # that bills are made from; else left out
    meter: {scripts: ..., days: ...}         # what it refers to and the meter has already (held.py)

Instead of steps, or before them, there may be forms: `clock:`, `tariff:`, `profile:`, `alarms:`,
`limits:` (forms/). They use the words of the model that is named in `model:`, or of ours; then the
package is for meters of this model only.

What a step writes, and the `until` of a call, must hold at the end too, unless the step says
`check: false`. When several steps touch one attribute, the last one counts.

Every value has to have the shape of its attribute (tools/cosem/shapes.py), and the whole has to
make sense (sense/).
"""

from __future__ import annotations

from pathlib import Path

from gateway.activities import protected_objects
from gateway.contract.limits import MAX_CHECKS, MAX_PERMITS, MAX_STEPS, MAX_TARGETS
from gateway.contract.model import OWN
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.dlms.data import axdr
from tools.cosem import names, values
from tools.cosem.source import Fields, Item, Problem, Problems, load, nearest
from tools.package import held
from tools.package.forms.all import FORMS
from tools.package.forms.words import Words
from tools.package.model import file
from tools.package.model.tables import Tables
from tools.package.plan import Plan


def compile_file(path: Path) -> Package:
    """The package described by the file. Raises Problems with all that is wrong in it, OSError for
    the file.
    """
    try:
        root = load(path)
        fields = root.fields(
            "a configuration",
            ["name", "version", "for"],
            ["steps", *FORMS, "verify", "description", "permits", "meter", "model"],
        )
    except Problem as problem:
        raise Problems([problem]) from None
    compiler = _Compiler()
    plan = compiler.plan
    name = compiler.text(fields["name"], "a name", 64)
    if not all("!" <= character <= "~" for character in name):
        plan.problems.append(fields["name"].expected("a name of ASCII without spaces"))
    version = compiler.text(fields["version"], "a version", 32)
    written = fields.get("description")
    description = compiler.text(written, "a description", 1024) if written else ""
    targets = compiler.targets(fields["for"])
    tables = compiler.tables(fields.get("model"))
    compiler.held(tables, fields.get("meter"))
    permits = fields.get("permits")
    if permits is not None:
        compiler.permit(permits)
    compiler.forms(fields, tables)
    steps = fields.get("steps")
    if steps is not None:
        for item in compiler.entries(steps, "a list of steps", MAX_STEPS):
            compiler.step(item)
    verify = fields.get("verify")
    if verify is not None:
        for item in compiler.entries(verify, "a list of checks", MAX_CHECKS):
            compiler.verify(item)
    if not plan.problems:
        plan.judge()
    if not plan.problems and not plan.checks:
        plan.problems.append(
            (steps or root).problem(
                "expected at least one write without `check: false`, or an entry in `verify:`; "
                "as it is, nothing proves that the configuration arrived"
            )
        )
    if len(plan.checks) > MAX_CHECKS:
        plan.problems.append(
            root.problem(
                "expected at most %d attributes to check, got %d; split the configuration"
                % (MAX_CHECKS, len(plan.checks))
            )
        )
    if plan.problems:
        raise Problems(plan.problems)
    checks = list(plan.checks.values())
    model = compiler.model
    return Package(name, version, description, targets, plan.steps, checks, plan.permits, model)


class _Compiler:
    """Keeps the problems it meets and goes on with the next entry. `model`: of the meters that the
    package is for, "" for any.
    """

    def __init__(self) -> None:
        self.plan = Plan()
        self.model = ""

    def text(self, item: Item, what: str, most: int) -> str:
        try:
            text = item.text(what)
            if len(text.encode()) > most:
                raise item.problem(
                    "expected %s of at most %d bytes, got %d" % (what, most, len(text.encode()))
                )
            return text
        except Problem as problem:
            self.plan.problems.append(problem)
            return ""

    def entries(self, item: Item, what: str, most: int) -> list[Item]:
        try:
            entries = item.items(what)
            if not 1 <= len(entries) <= most:
                raise item.problem("expected %s, 1 to %d, got %d" % (what, most, len(entries)))
            return entries
        except Problem as problem:
            self.plan.problems.append(problem)
            return []

    def targets(self, item: Item) -> list[tuple[str, list[str]]]:
        targets = []
        what = "a list such as `- {model: AMI-E450, firmware: [V02.]}`"
        for entry in self.entries(item, what, MAX_TARGETS):
            try:
                fields = entry.fields("a target meter", ["model"], ["firmware"])
                model = self.text(fields["model"], "a model", 32)
                firmware = fields.get("firmware")
                listed = firmware.items("a list of firmware prefixes") if firmware else []
                targets.append((model, [self.text(each, "a prefix", 32) for each in listed]))
            except Problem as problem:
                self.plan.problems.append(problem)
        return targets

    def held(self, tables: Tables, item: Item | None) -> None:
        self.plan.held = held.of_tables(tables)
        if item is not None:
            try:
                held.add(self.plan.held, item)
            except Problem as problem:
                self.plan.problems.append(problem)

    def forms(self, fields: Fields, tables: Tables) -> None:
        """The parts that are written as forms."""
        present = [name for name in FORMS if name in fields]
        if not present and "steps" not in fields:
            self.plan.problems.append(
                fields["name"].problem(
                    "expected `steps:`, or a form (%s), got neither" % ", ".join(FORMS)
                )
            )
        words = Words(self.plan, tables)
        for name in present:
            try:
                FORMS[name].compile(fields[name], words)
            except Problem as problem:
                self.plan.problems.append(problem)
        if words.used or "model" in fields:
            self.model = tables.name

    def tables(self, item: Item | None) -> Tables:
        """Of the model that is named; ours, if none is."""
        if item is not None:
            try:
                return file.find(item.text("a model")).tables
            except (file.ModelProblem, Problems, Problem, Refused, OSError) as error:
                self.plan.problems.append(item.problem("expected a model: %s" % error))
        return file.find(OWN).tables

    def permit(self, item: Item) -> None:
        known = " or ".join(protected_objects.WORDS)
        for entry in self.entries(
            item, "a list such as `[%s]`" % protected_objects.SWITCH, MAX_PERMITS
        ):
            word = self.text(entry, known, 16)
            if word and word not in protected_objects.WORDS:
                self.plan.problems.append(entry.expected(known))
            self.plan.permits.append(word)

    def step(self, item: Item) -> None:
        try:
            keys = [key.raw for key, _ in item.pairs("a step (`write:` or `call:`)")]
            if "write" in keys:
                self._write(item)
            elif "call" in keys:
                self._call(item)
            else:
                raise item.problem(
                    "expected a step with `write:` or `call:`, got %s%s"
                    % (", ".join(keys), nearest(keys[0] if keys else "", ["write", "call"]))
                )
        except Problem as problem:
            self.plan.problems.append(problem)

    def _write(self, item: Item) -> None:
        fields = item.fields("a write step", ["write", "value"], ["check"])
        attribute, typed = _value(fields["write"], fields["value"])
        check = _wanted(fields.get("check"))
        self.plan.write(attribute, typed, fields["value"], fields["write"], True, check)

    def _call(self, item: Item) -> None:
        fields = item.fields("a call step", ["call", "until"], ["parameter", "check"])
        method = names.member(fields["call"], names.METHOD)
        parameter = fields.get("parameter")
        typed = None if parameter is None else values.typed(parameter)
        until = fields["until"].fields("the check in `until:`", ["read", "equals"], [])
        proof = _value(until["read"], until["equals"])
        where = fields["call"]
        self.plan.call(
            method,
            typed,
            where if parameter is None else parameter,
            *proof,
            until["equals"],
            where,
            True,
            _wanted(fields.get("check")),
        )

    def verify(self, item: Item) -> None:
        try:
            fields = item.fields("an entry of `verify:`", ["read", "equals"], [])
            attribute, typed = _value(fields["read"], fields["equals"])
            self.plan.verify(attribute, typed, fields["equals"], item, True)
        except Problem as problem:
            self.plan.problems.append(problem)


def _wanted(check: Item | None) -> bool:
    return check is None or values.boolean(check)


def _value(where: Item, value: Item) -> tuple[names.Member, values.Typed]:
    """The attribute named at `where` and the value written at `value`, whose type fits it."""
    attribute = names.member(where, names.ATTRIBUTE)
    typed = values.typed(value)
    got = axdr.TAGS[typed[0]]
    if attribute.type not in ("", "any", got):
        raise value.problem("expected %s for %s, got %s" % (attribute.type, attribute, got))
    return attribute, typed
