"""A YAML file as a tree that remembers where everything stands, and problems that point there.

Scalars stay text as written (900 and "900" are the same); what they mean is decided by the type the
author names next to them, never by YAML's own guessing.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

DEPTH = 24  # deeper nesting than any COSEM value needs
LONG = 24  # characters: a file that is one longer text is not shown, it may be a key
SIZE = 1 << 20  # characters of a source file


class Problem(Exception):
    """Something the author has to change. `line` and `column` count from 1; `path` is the place in
    the tree, as in steps[0].value, "" for the whole.
    """

    def __init__(self, file: str, line: int, column: int, text: str, path: str = "") -> None:
        place = " (at %s)" % path if path else ""
        super().__init__("%s:%d:%d: %s%s" % (file, line, column, text, place))
        self.file = file
        self.line = line
        self.column = column
        self.text = text


class Problems(Exception):
    """Every problem found in one file, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.column))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Item:
    """A node of the file: a text, a list, a mapping, or nothing (`kind`). `path` as in Problem."""

    def __init__(self, file: str, node: Node, depth: int = 0, path: str = "") -> None:
        self.file = file
        self.path = path
        self.line = node.start_mark.line + 1
        self.column = node.start_mark.column + 1
        self._node = node
        self._depth = depth
        if depth > DEPTH:
            raise self.problem("expected at most %d levels of nesting, got more" % DEPTH)

    @property
    def kind(self) -> str:
        if isinstance(self._node, MappingNode):
            return "a mapping"
        if isinstance(self._node, SequenceNode):
            return "a list"
        return "nothing" if str(self._node.tag) == "tag:yaml.org,2002:null" else "a text"

    def problem(self, text: str, offset: int = 0) -> Problem:
        """A problem at this node, `offset` characters into it when it is a one-line text."""
        quoted = isinstance(self._node, ScalarNode) and self._node.style in ("'", '"')
        column = self.column + offset + (1 if quoted else 0)
        return Problem(self.file, self.line, column, text, self.path)

    def expected(self, what: str) -> Problem:
        """`expected WHAT, got ...` with what stands here instead."""
        got = self.kind
        if got == "a text" and not self._depth and len(self.raw) > LONG:
            got = "a text of %d characters" % len(self.raw)  # of another file, and may be a key
        elif got == "a text":
            got = "'%s'" % self.raw
        return self.problem("expected %s, got %s" % (what, got))

    @property
    def raw(self) -> str:
        return str(self._node.value) if isinstance(self._node, ScalarNode) else ""

    def text(self, what: str) -> str:
        """The text that stands here; `what` says in the problem what was expected."""
        if self.kind != "a text" or not self.raw.strip():
            raise self.expected(what)
        return self.raw.strip()

    def items(self, what: str) -> list[Item]:
        if not isinstance(self._node, SequenceNode):
            raise self.expected(what)
        return [
            Item(self.file, node, self._depth + 1, "%s[%d]" % (self.path, at))
            for at, node in enumerate(self._node.value)
        ]

    def pairs(self, what: str) -> list[tuple[Item, Item]]:
        """Keys (texts, none twice) and values in the order of the file."""
        if not isinstance(self._node, MappingNode):
            raise self.expected(what)
        pairs: list[tuple[Item, Item]] = []
        seen: set[str] = set()
        for key_node, value_node in self._node.value:
            key = Item(self.file, key_node, self._depth + 1, self.path)
            name = key.text("a name before the colon")
            if name in seen:
                raise key.problem("'%s' stands here a second time; expected it once" % name)
            seen.add(name)
            path = "%s.%s" % (self.path, name) if self.path else name
            pairs.append((key, Item(self.file, value_node, self._depth + 1, path)))
        return pairs

    def fields(self, what: str, required: Iterable[str], optional: Iterable[str]) -> Fields:
        """A mapping with exactly known keys."""
        required = list(required)
        known = required + list(optional)
        found: dict[str, Item] = {}
        for key, value in self.pairs(what):
            if key.raw not in known:
                raise key.problem(
                    "expected one of %s in %s, got '%s'%s"
                    % (", ".join(known), what, key.raw, nearest(key.raw, known))
                )
            found[key.raw] = value
        for name in required:
            if name not in found:
                raise self.problem("expected '%s:' in %s, but it is missing" % (name, what))
        return Fields(found)


class Fields:
    def __init__(self, found: dict[str, Item]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Item:
        return self._found[name]

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def get(self, name: str) -> Item | None:
        return self._found.get(name)


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" when something known is close to the word, else ""."""
    plain = {each.lower(): each for each in known}
    close = difflib.get_close_matches(word.lower(), list(plain), n=1, cutoff=0.5)
    return "; did you mean '%s'?" % plain[close[0]] if close else ""


def load(path: Path) -> Item:
    """Read one YAML document. Raises Problem with the place for anything that is not YAML, OSError
    for the file.
    """
    name = str(path)
    data = path.read_bytes()
    if len(data) > SIZE:
        raise Problem(name, 1, 1, "expected at most %d bytes, got %d" % (SIZE, len(data)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise Problem(
            name, line, column, "expected UTF-8 text, got byte 0x%02x" % data[error.start]
        )
    return parse(text, name)


def parse(text: str, name: str) -> Item:
    """One YAML value, as on a command line; `name` stands for the file in problems."""
    try:
        node = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Problem(name, line, column, "expected YAML: %s" % error.problem)
    except RecursionError:
        raise Problem(name, 1, 1, "expected at most %d levels of nesting, got far more" % DEPTH)
    except YAMLError as error:
        raise Problem(name, 1, 1, "expected YAML: %s" % str(error).splitlines()[0])
    if node is None:
        raise Problem(name, 1, 1, "expected a configuration, got an empty file")
    return Item(name, node)
