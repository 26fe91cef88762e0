"""A configuration of what a meter holds: to go back to it later, or to give it to others.

The meter is read by `ami-dlms get ... --json`, so every link and every option for keys of that
command serves here too; its values are spelt as packages spell them. What a form holds exactly
becomes that form, the rest typed values.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.activities import identity, protected_objects
from gateway.contract.package import Set
from gateway.contract.place import Place
from gateway.dlms.data import axdr, obis
from tools.cosem import shapes, source, values
from tools.cosem.names import ATTRIBUTE, METHOD, Member
from tools.cosem.source import Problem, Problems
from tools.cosem.values import Typed
from tools.package import held
from tools.package.calendar import ACTIVATE, CALENDAR, DAYS, NAME, PASSIVE, SEASONS, WEEKS, Key
from tools.package.compile import compile_file
from tools.package.forms import words
from tools.package.forms.all import FORMS
from tools.package.forms.words import Words
from tools.package.model.compile import Compiled
from tools.package.model.tables import Tables
from tools.package.opened import values_of
from tools.package.plan import Plan

SCRIPTS = "scripts"
PARTS = ("clock", SCRIPTS, "tariff", "profile", "alarms", "limits")
_SCRIPT_TABLE = (9, held.TARIFF_SCRIPTS, 2)
_OBJECTS: dict[str, list[tuple[int, str, tuple[int, ...]]]] = {  # class, OBIS, attributes
    "clock": [(8, "0.0.1.0.0.255", (3, 5, 6, 7, 8))],
    SCRIPTS: [(9, "0.0.10.0.100.255", (2,))],
    "tariff": [(20, "0.0.13.0.0.255", (NAME, SEASONS, WEEKS, DAYS)), (11, "0.0.11.0.0.255", (2,))],
    "profile": [],
    "alarms": [],
    "limits": [(21, "0.0.16.1.0.255", (3, 2, 4)), (71, "0.0.17.0.0.255", (4, 5, 6, 7, 11))],
}
_PROFILE, _COLUMNS, _PERIOD = 7, 3, 4
_RECORDED = ("load-profile", "daily-profile", "monthly-profile")  # words of models


class NotRead(Exception):
    """The meter, or the way to it, said no; ami-dlms has told why."""

    def __init__(self, status: int) -> None:
        super().__init__("the meter was not read")
        self.status = status


@dataclass
class Found:
    """What was read: `values`, and as they are `spelt` in JSON; `missing` in words."""

    serial: str = ""
    model: str = ""
    values: dict[Key, Typed] = field(default_factory=dict)
    spelt: dict[Key, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def read(url: str, parts: Sequence[str], model: Compiled, options: Sequence[str]) -> Found:
    """`options` are those of ami-dlms. NotRead."""
    wanted = members(parts, model.tables)
    serial, kind = _place(model.model.serial), _place(model.model.model)
    # its scripts are what a calendar may refer to
    extra = [each for each in [Member(ATTRIBUTE, *_SCRIPT_TABLE)] if each not in wanted]
    every = [each for each in (serial, kind) if each is not None] + wanted + extra
    command = [sys.executable, "-m", "tools.dlms", url, "get"]
    command += [words.member_text(each) for each in every]
    ran = subprocess.run([*command, "--json", *options], stdout=subprocess.PIPE)
    try:
        answers = json.loads(ran.stdout)
        assert isinstance(answers, list)
    except (ValueError, AssertionError):
        raise NotRead(ran.returncode or 1) from None
    found = Found()
    for member, answer in zip(every, answers, strict=True):
        try:
            typed = values.typed(source.parse(json.dumps(answer["value"]), str(member)))
        except (KeyError, Problem) as why:  # refused; no A-XDR, or nothing that can be written
            if member in wanted:
                found.missing.append("%s: %s" % (member, answer.get("error", why)))
            continue
        if member == serial:
            found.serial = _said(typed, model.model.serial)
        elif member == kind:
            found.model = _said(typed, model.model.model)
        elif wrong := list(shapes.faults(shapes.attribute(member.class_id, member.index), typed)):
            found.missing.append("%s: %s" % (member, wrong[0][1]))
        else:
            found.values[member.key] = typed
            found.spelt[member.key] = answer["value"]
    return found


def _place(place: Place | None) -> Member | None:
    """Where the meter says who it is."""
    return None if place is None else Member(ATTRIBUTE, *identity.key(place))


def members(parts: Sequence[str], tables: Tables) -> list[Member]:
    """What is read for these parts."""
    found = [
        Member(ATTRIBUTE, class_id, obis.parse(name), index)
        for part in parts
        for class_id, name, indexes in _OBJECTS[part]
        for index in indexes
    ]
    for word, class_id, name in tables.objects:
        if "profile" in parts and class_id == _PROFILE and word in _RECORDED:
            found += [Member(ATTRIBUTE, class_id, name, index) for index in (_COLUMNS, _PERIOD)]
        if "alarms" in parts and word.startswith("alarm-filter"):
            found.append(Member(ATTRIBUTE, class_id, name, 2))
    return found


def write(path: Path, found: Found, parts: Sequence[str], name: str, tables: Tables) -> None:
    """The file. Problems with what makes no sense in the meter itself; the file is there all the
    same."""
    plan = Plan()
    plan.held = held.of_tables(tables)
    known = Words(plan, tables)
    head = _head(found, name, tables.name, _scripts(found.values))
    wanted = {
        key: typed
        for key, typed in found.values.items()
        if key != _SCRIPT_TABLE or SCRIPTS in parts
    }
    forms: list[str] = []
    for form in FORMS.values():
        lines = form.lines(wanted, known)
        if lines and _same(path, [*head, *lines], wanted):
            forms += ["", *lines]
    made = _made(path, [*head, *forms]) if forms else {}
    rest = [key for key, typed in wanted.items() if made.get(key) != typed]
    path.write_text(
        "\n".join([*head, *forms, *_steps({key: found.spelt[key] for key in rest})]) + "\n"
    )
    compile_file(path)


def _head(found: Found, name: str, model: str, scripts: list[int]) -> list[str]:
    protected = sorted(
        {word for key, typed in found.values.items() if (word := _touched(key, typed))}
    )
    missing = list(found.missing)
    if not found.model:  # refused, or these meters do not tell it
        missing.append("the model that the meter itself tells; correct it below if it does")
    head = [
        "# What the meter %s holds, as `ami-package from-meter` read it."
        % (found.serial or "asked"),
        *["# Not read: %s" % each for each in missing],
        "name: %s" % words.quoted(name),
        'version: "1"',
        "for:",
        "  - model: %s" % words.quoted(found.model or model),
        "model: %s" % words.quoted(model),
    ]
    if protected:
        head.append("permits: [%s]" % ", ".join(protected))
    if scripts:
        table = obis.text(held.TARIFF_SCRIPTS)
        head.append("meter: {scripts: {%s: [%s]}}" % (table, ", ".join(map(str, scripts))))
    return head


def _touched(key: Key, typed: Typed) -> str:
    return protected_objects.touches(Set(*key, axdr.encode(typed)), False)


def _scripts(values: Mapping[Key, Typed]) -> list[int]:
    table = values.get(_SCRIPT_TABLE)
    if table is None:
        return []
    return [fields[0][1] for _, fields in table[1] if fields[0][1]]


def _same(path: Path, text: list[str], wanted: Mapping[Key, Typed]) -> bool:
    """Whether the form says nothing but what the meter holds."""
    made = _made(path, text)
    passive = {
        (class_id, name, index): typed
        for (class_id, name, index), typed in made.items()
        if class_id != CALENDAR or index < NAME + PASSIVE
    }
    return bool(made) and all(wanted.get(key) == typed for key, typed in passive.items())


def _made(path: Path, text: list[str]) -> dict[Key, Typed]:
    """What a configuration of these lines holds; {} where it does not pass."""
    part = path.with_name(path.name + ".part.yaml")
    try:
        part.write_text("\n".join(text) + "\n")
        return values_of(compile_file(part))
    except Problems:
        return {}
    finally:
        part.unlink(missing_ok=True)


def _steps(rest: Mapping[Key, Any]) -> list[str]:
    """Typed values, for what no form holds; `rest`: as they are spelt. What stands in the active
    half of a calendar is written to the passive one, and activated.
    """
    steps: list[str] = []
    proofs: list[str] = []
    activated: list[str] = []
    for key, spelt in sorted(rest.items(), key=lambda each: -each[0][2]):  # a name comes last
        class_id, name, index = key
        value = json.dumps(spelt)
        if class_id != CALENDAR:
            steps += ["  - write: %s" % _member(key), "    value: %s" % value]
            continue
        passive = (class_id, name, index + PASSIVE)
        steps += ["  - write: %s" % _member(passive), "    check: false", "    value: %s" % value]
        if index != NAME:
            proofs += ["  - read: %s" % _member(key), "    equals: %s" % value]
            continue
        activated += [
            "  - call: %s" % Member(METHOD, CALENDAR, name, ACTIVATE),
            "    parameter: {integer: 0}",
            "    until: {read: %s, equals: %s}" % (_member(key), value),
        ]
    if not steps:
        return []
    return ["", "steps:", *steps, *activated, *(["", "verify:", *proofs] if proofs else [])]


def _member(key: Key) -> str:
    return words.member_text(Member(ATTRIBUTE, *key))


def _said(typed: Typed, place: Place | None) -> str:
    assert place is not None
    return identity.text(axdr.encode(typed), place.reading) or ""
