"""Where small faults can be planted in a source text, and the text with one of them planted.

A fault is the kind of slip that a reviewer overlooks: `<` for `<=`, a number off by one, one clause
of a condition forgotten, `and` for `or`, a statement left out, two arguments the wrong way round, a
boolean answer inverted. What the log says is for people, so its lines are left alone; so are
annotations, docstrings, the signatures of a Protocol, and what a runtime other than this one would
run.
"""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass

FLIPS: dict[type[ast.cmpop], tuple[str, list[str]]] = {
    ast.Lt: ("<", ["<=", ">="]),
    ast.LtE: ("<=", ["<", ">"]),
    ast.Gt: (">", [">=", "<="]),
    ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: (r"is\s+not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: (r"not\s+in", ["in"]),
}
EITHER_WAY_ROUND = ("min", "max", "gather")  # the order of their arguments does not matter
LONGEST_SHOWN = 160  # characters of a statement
OTHER_RUNTIME = re.compile(
    r"\bMICROPYTHON\b|implementation\.name|\bTYPE_CHECKING\b|__name__|\bhasattr\(\w+, \""
)
# What such a condition is asked with: this runtime, on which nothing is a type checker.
HERE: dict[str, object] = {"MICROPYTHON": False, "TYPE_CHECKING": False, "__name__": "imported"}
HERE |= {name: importlib.import_module(name) for name in ("asyncio", "binascii", "gc", "os", "sys")}
COMPOUND = (
    ast.If,
    ast.While,
    ast.For,
    ast.AsyncFor,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)


@dataclass(frozen=True)
class Fault:
    """One change of one file: the octets from `start` to `end` become `after`."""

    file: str  # relative to the project's root
    function: str  # "Class.method", "" for the module itself
    kind: str
    first: int  # the lines of the statement it is in; of a compound statement, of its head
    last: int
    line: int
    at_import: bool  # the statement runs when the module is imported, not in a test
    start: int
    end: int
    before: str
    after: str

    def change(self) -> str:
        """How the list of equivalent faults names it: "before -> after", on one line."""
        return "%s -> %s" % (" ".join(self.before.split()), " ".join(self.after.split()))

    def planted(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def faults(file: str, source: bytes) -> list[Fault]:
    """Every fault that can be planted in `source`, in the order of the file."""
    reader = _Reader(file, source)
    reader.block(ast.parse(source).body)
    return sorted(reader.found, key=lambda fault: (fault.start, fault.end, fault.after))


class _Reader:
    def __init__(self, file: str, source: bytes) -> None:
        self.file = file
        self.source = source
        self.found: list[Fault] = []
        self.names: list[str] = []
        self.functions = 0
        self.head = (0, 0)
        self.whole: ast.expr | ast.stmt = ast.Pass()  # what a number is shown in
        self.line_starts = [0]
        for line in source.splitlines(keepends=True):
            self.line_starts.append(self.line_starts[-1] + len(line))

    # Positions

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.line_starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.line_starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, start: int, end: int) -> str:
        return self.source[start:end].decode()

    def words(self, node: ast.expr | ast.stmt) -> str:
        return self.text(self.start(node), self.end(node))

    def add(
        self,
        kind: str,
        node: ast.expr | ast.stmt,
        after: str,
        part: tuple[int, int] | None = None,
        line: int = 0,
    ) -> None:
        """`after` takes the place of `node`, or of `part` of it. The fault names all of the node:
        that is what a reader recognises.
        """
        start, end = self.start(node), self.end(node)
        if part is not None:
            after = self.text(start, part[0]) + after + self.text(part[1], end)
        self.found.append(
            Fault(
                self.file,
                ".".join(self.names),
                kind,
                self.head[0],
                self.head[1],
                line or node.lineno,
                self.functions == 0,
                start,
                end,
                self.text(start, end),
                after.strip(),
            )
        )

    # Statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        self.head = (node.lineno, _last_line_of_head(node))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.functions += 1
            # Who runs the function notices a default; the head itself runs at import.
            self.head = (node.lineno, node.end_lineno or node.lineno)
            for default in [*node.args.defaults, *node.args.kw_defaults]:
                if default is not None:
                    self.whole = default
                    self.expression(default)
            self.names.append(node.name)
            if node.name != "__repr__":
                self.block(node.body)
            self.functions -= 1
            self.names.pop()
        elif isinstance(node, ast.ClassDef) and _is_protocol(node):
            pass  # for the type checker: nobody calls it, not for its defaults either
        elif isinstance(node, ast.ClassDef):
            self.names.append(node.name)
            self.block(node.body)
            self.names.pop()
        elif isinstance(node, ast.If) and OTHER_RUNTIME.search(self.words(node.test)):
            self.block(node.body if _true_here(node.test) else node.orelse)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            pass  # a docstring, or the dots of a Protocol
        elif _is_declaration(node):
            pass
        else:
            self.simple_or_compound(node)

    def simple_or_compound(self, node: ast.stmt) -> None:
        if _can_be_left_out(node):
            self.add("statement left out", node, "pass")
        if isinstance(node, ast.Return) and node.value is not None:
            self.returned(node.value)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "type_comment"):
                continue
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.expr):
                    self.whole = part if isinstance(node, COMPOUND) else node
                    self.expression(part)
                elif isinstance(part, ast.withitem):
                    self.whole = part.context_expr
                    self.expression(part.context_expr)
        for name in ("body", "handlers", "orelse", "finalbody"):
            for part in getattr(node, name, []):
                if isinstance(part, ast.stmt):
                    self.statement(part)
                elif isinstance(part, ast.ExceptHandler):
                    self.block(part.body)

    def returned(self, value: ast.expr) -> None:
        if isinstance(value, ast.Constant) and isinstance(value.value, bool):
            self.add("boolean inverted", value, str(not value.value))
        elif isinstance(value, (ast.Compare, ast.BoolOp)):
            self.add("boolean inverted", value, "not (%s)" % self.words(value))

    # Expressions

    def expression(self, node: ast.AST | None) -> None:
        if node is None or _is_log(node):
            return
        if isinstance(node, ast.Compare):
            self.compare(node)
        elif isinstance(node, ast.BoolOp):
            self.condition(node)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            start = self.start(node)
            self.add("condition inverted", node, "", (start, start + 3))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
                self.number(node, repr(node.value + 1))
        elif isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, ast.JoinedStr):
            return  # its parts have no positions of their own before Python 3.12
        for part in ast.iter_child_nodes(node):
            self.expression(part)

    def number(self, node: ast.Constant, after: str) -> None:
        """A number alone tells a reader nothing: it is shown in its statement."""
        whole = self.whole if len(self.words(self.whole)) <= LONGEST_SHOWN else node
        self.add("number off by one", whole, after, (self.start(node), self.end(node)), node.lineno)

    def compare(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            symbol, others = FLIPS[type(operator)]
            offset = self.end(left)
            found = re.search(symbol, self.text(offset, self.start(right)))
            assert found is not None
            for other in others:
                span = (offset + found.start(), offset + found.end())
                self.add("comparison flipped", node, other, span)
            left = right

    def condition(self, node: ast.BoolOp) -> None:
        both = isinstance(node.op, ast.And)
        for value in node.values:
            span = (self.start(value), self.end(value))
            self.add("clause dropped", node, "True" if both else "False", span)
        for left, right in zip(node.values, node.values[1:], strict=False):
            offset = self.end(left)
            between = self.text(offset, self.start(right))
            found = re.search(r"\band\b" if both else r"\bor\b", between)
            if found and "#" not in between:
                span = (offset + found.start(), offset + found.end())
                self.add("and for or", node, "or" if both else "and", span)

    def call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in EITHER_WAY_ROUND:
            return
        for left, right in zip(node.args, node.args[1:], strict=False):
            if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
                continue
            one, other = self.words(left), self.words(right)
            if one != other:
                between = self.text(self.end(left), self.start(right))
                span = (self.start(left), self.end(right))
                self.add("arguments swapped", node, other + between + one, span)


def _last_line_of_head(node: ast.stmt) -> int:
    if isinstance(node, COMPOUND) and node.body:
        return max(node.lineno, node.body[0].lineno - 1)
    return node.end_lineno or node.lineno


def _true_here(test: ast.expr) -> bool:
    try:
        return bool(eval(compile(ast.Expression(test), "", "eval"), dict(HERE)))
    except NameError:
        return True  # of an object of the code's own: both runtimes come by


def _is_declaration(node: ast.stmt) -> bool:
    """Names for the type checker, for `import *`, or for the layout of objects."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in ("__slots__", "__all__", "TYPE_CHECKING", "MICROPYTHON")
    return False


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def _is_log(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
    )


def _can_be_left_out(node: ast.stmt) -> bool:
    if isinstance(node, ast.Raise):
        # Of a class that only its children are made of, nobody comes here.
        return not (isinstance(node.exc, ast.Name) and node.exc.id == "NotImplementedError")
    if isinstance(node, ast.Expr):
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        return isinstance(value, ast.Call) and not _is_log(value)
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], (ast.Attribute, ast.Subscript))
    return isinstance(node, (ast.AugAssign, ast.Continue, ast.Break, ast.Delete))
