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

What a step writes, and the `until` of a call, must hold at the end too, unless the step says
`check: false`. When several steps touch one attribute, the last one counts.
"""

from __future__ import annotations

from pathlib import Path

from gateway.activities import protected_objects
from gateway.contract.limits import MAX_CHECKS, MAX_DATA, MAX_PERMITS, MAX_STEPS, MAX_TARGETS
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import axdr
from tools.cosem import names, values
from tools.cosem.source import Item, Problem, Problems, load, nearest


def compile_file(path: Path) -> Package:
    """The package described by the file. Raises Problems with all that is wrong in it, OSError for
    the file.
    """
    try:
        root = load(path)
        fields = root.fields(
            "a configuration",
            ["name", "version", "for", "steps"],
            ["description", "verify", "permits"],
        )
    except Problem as problem:
        raise Problems([problem]) from None
    compiler = _Compiler()
    name = compiler.text(fields["name"], "a name", 64)
    if not all("!" <= character <= "~" for character in name):
        compiler.problems.append(fields["name"].expected("a name of ASCII without spaces"))
    version = compiler.text(fields["version"], "a version", 32)
    written = fields.get("description")
    description = compiler.text(written, "a description", 1024) if written else ""
    targets = compiler.targets(fields["for"])
    permits = fields.get("permits")
    if permits is not None:
        compiler.permit(permits)
    for item in compiler.entries(fields["steps"], "a list of steps", MAX_STEPS):
        compiler.step(item)
    verify = fields.get("verify")
    if verify is not None:
        for item in compiler.entries(verify, "a list of checks", MAX_CHECKS):
            compiler.verify(item)
    if not compiler.problems and not compiler.checks:
        compiler.problems.append(
            fields["steps"].problem(
                "expected at least one write without `check: false`, or an entry in `verify:`; "
                "as it is, nothing proves that the configuration arrived"
            )
        )
    if len(compiler.checks) > MAX_CHECKS:
        compiler.problems.append(
            root.problem(
                "expected at most %d attributes to check, got %d; split the configuration"
                % (MAX_CHECKS, len(compiler.checks))
            )
        )
    if compiler.problems:
        raise Problems(compiler.problems)
    return Package(
        name,
        version,
        description,
        targets,
        compiler.steps,
        list(compiler.checks.values()),
        compiler.permits,
    )


class _Compiler:
    """Keeps the problems it meets and goes on with the next entry, so that an author sees them all
    at once.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.steps: list[Set | Action] = []
        self.checks: dict[tuple[int, bytes, int], Check] = {}
        self.permits: list[str] = []

    def text(self, item: Item, what: str, most: int) -> str:
        try:
            text = item.text(what)
            if len(text.encode()) > most:
                raise item.problem(
                    "expected %s of at most %d bytes, got %d" % (what, most, len(text.encode()))
                )
            return text
        except Problem as problem:
            self.problems.append(problem)
            return ""

    def entries(self, item: Item, what: str, most: int) -> list[Item]:
        try:
            entries = item.items(what)
            if not 1 <= len(entries) <= most:
                raise item.problem("expected %s, 1 to %d, got %d" % (what, most, len(entries)))
            return entries
        except Problem as problem:
            self.problems.append(problem)
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
                self.problems.append(problem)
        return targets

    def permit(self, item: Item) -> None:
        known = " or ".join(protected_objects.WORDS)
        for entry in self.entries(
            item, "a list such as `[%s]`" % protected_objects.SWITCH, MAX_PERMITS
        ):
            word = self.text(entry, known, 16)
            if word and word not in protected_objects.WORDS:
                self.problems.append(entry.expected(known))
            self.permits.append(word)

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
            self.problems.append(problem)

    def _write(self, item: Item) -> None:
        fields = item.fields("a write step", ["write", "value"], ["check"])
        check = _check(fields["write"], fields["value"])
        self._add(Set(*check.to_array()), fields["write"])
        self._keep(check, fields.get("check"))

    def _call(self, item: Item) -> None:
        fields = item.fields("a call step", ["call", "until"], ["parameter", "check"])
        method = member(fields["call"], names.METHOD)
        parameter = fields.get("parameter")
        data = _data(parameter) if parameter else None
        until = _read(fields["until"], "the check in `until:`")
        action = Action(method.class_id, method.obis, method.index, data, until)
        self._add(action, fields["call"])
        self._keep(until, fields.get("check"))

    def _add(self, step: Set | Action, where: Item) -> None:
        word = protected_objects.touches(step, isinstance(step, Action))
        if word and word not in self.permits:
            raise where.problem(
                "this touches the meter's %s; if that is meant, say `permits: [%s]`" % (word, word)
            )
        self.steps.append(step)

    def _keep(self, check: Check, wanted: Item | None) -> None:
        if wanted is None or values.boolean(wanted):
            self.checks[_key(check)] = check
        else:
            self.checks.pop(_key(check), None)  # an earlier step's wish is overtaken

    def verify(self, item: Item) -> None:
        try:
            check = _read(item, "an entry of `verify:`")
            if self.checks.get(_key(check), check).data != check.data:
                raise item.problem(
                    "expected the value that a step or an earlier check gives this attribute,"
                    " got another one"
                )
            self.checks[_key(check)] = check
        except Problem as problem:
            self.problems.append(problem)


def _key(check: Check) -> tuple[int, bytes, int]:
    return check.class_id, check.obis, check.attribute


def member(item: Item, kind: str) -> names.Member:
    """The attribute or method that the text names."""
    text = item.text("a class, an OBIS code and the name of the %s" % kind)
    try:
        return names.parse(text, kind)
    except names.NameProblem as problem:
        raise item.problem(str(problem), problem.offset) from None


def _read(item: Item, what: str) -> Check:
    fields = item.fields(what, ["read", "equals"], [])
    return _check(fields["read"], fields["equals"])


def _check(where: Item, value: Item) -> Check:
    """The attribute named at `where` with the value written at `value`, whose type fits the
    attribute.
    """
    attribute = member(where, names.ATTRIBUTE)
    typed = values.typed(value)
    got = axdr.TAGS[typed[0]]
    if attribute.type not in ("", "any", got):
        raise value.problem("expected %s for %s, got %s" % (attribute.type, attribute, got))
    return Check(*attribute.key, _encoded(value, typed))


def _data(item: Item) -> bytes:
    return _encoded(item, values.typed(item))


def _encoded(item: Item, typed: values.Typed) -> bytes:
    data = axdr.encode(typed)
    if len(data) > MAX_DATA:
        raise item.problem("expected a value of at most %d bytes, got %d" % (MAX_DATA, len(data)))
    return data
