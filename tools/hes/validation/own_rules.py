"""Rules of the utility's own: a Python file that `ami-hes serve --rules FILE.py` names.

It has one function, and may import what is installed:

    def check(meter, profile, columns, rows):
        '''`meter` is a serial, `profile` and `columns` are OBIS codes ("1.0.99.1.0.255"). Each of
        `rows` is (unix seconds, [value, ...]) by time, with values as the meter has them. Returns
        {place in rows: why it is not valid}.'''

It is the utility's code, and runs with all rights of `serve`; it is only kept from harming the
intake: whatever it raises, or returns that is nothing of the kind, is told as an event, and the
rows are taken as if there were no such rules.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from gateway.dlms.data import obis
from hal.rt import log
from tools.hes.validation.row import OWN_RULE, Row, Shape

MAX_WORDS = 64  # characters of what a rule says

Check: TypeAlias = "Callable[[str, str, list[str], list[tuple[int, list[Any]]]], dict[int, str]]"


class RulesProblem(Exception):
    """The file has no rules that can be used; the text says what was expected."""


class OwnRules:
    """`check` None: there are none."""

    def __init__(self, check: Check | None = None) -> None:
        self._check = check

    @classmethod
    def load(cls, path: Path) -> OwnRules:
        """RulesProblem; OSError."""
        path.read_bytes()
        spec = importlib.util.spec_from_file_location("ami_hes_own_rules", path)
        if spec is None or spec.loader is None:
            raise RulesProblem("%s: expected a Python file, named *.py" % path)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            text = "%s: it cannot be loaded: %s: %s"
            raise RulesProblem(text % (path, type(error).__name__, error)) from error
        check = getattr(module, "check", None)
        if not callable(check):
            raise RulesProblem(
                "%s: expected a function check(meter, profile, columns, rows)" % path
            )
        return cls(check)

    def judge(self, serial: str, shape: Shape, rows: Sequence[Row]) -> str:
        """Write into the rows what the rules say of them; returns what went wrong, or ""."""
        for row in rows:
            row.words = ""
        if self._check is None:
            return ""
        columns = [obis.text(column.obis) for column in shape.columns]
        given = [(row.time, list(row.values)) for row in rows]
        try:
            found = self._check(serial, obis.text(shape.obis), columns, given)
            said = [(rows[place], str(why)) for place, why in dict(found or {}).items()]
        except Exception as error:  # the utility's code: whatever it does is its own fault
            return "%s: %s" % (type(error).__name__, error)
        for row, why in said:
            row.reasons |= OWN_RULE
            row.words = log.printable(why)[:MAX_WORDS]
        return ""
