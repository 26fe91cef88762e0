"""Planting: every kind of fault by an example, and that each of them still compiles."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import ROOT
from tools.mutants.choose import source_files
from tools.mutants.plant import Fault, faults


def planted(text: str) -> list[str]:
    """The text of a function's body with each of its faults."""
    source = ("def f():\n    " + text + "\n").encode()
    return [
        fault.planted(source).decode().removeprefix("def f():\n    ").removesuffix("\n")
        for fault in faults("x.py", source)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = a < b", ["x = a <= b", "x = a >= b"]),
        ("x = a <= b", ["x = a < b", "x = a > b"]),
        ("x = a is not None", ["x = a is None"]),
        ("x = a not in b", ["x = a in b"]),
        ("x = (a) == (b)", ["x = (a) != (b)"]),
        ("x = a < b < c", ["x = a < b <= c", "x = a < b >= c", "x = a <= b < c", "x = a >= b < c"]),
        ("x = 4", ["x = 5"]),
        ("x = True", []),
        ("x = 'text'", []),
        ("raise NotImplementedError", []),
        ("x = a and b", ["x = True and b", "x = a and True", "x = a or b"]),
        ("x = a or b", ["x = False or b", "x = a and b", "x = a or False"]),
        ("if not (a): pass", ["if (a): pass"]),
        ("f(a, b)", ["f(b, a)", "pass"]),
        ("x = f(a, *b)", []),
        ("x = max(a, b)", []),
        ("await f()", ["pass"]),
        ("raise E('a')", ["pass"]),
        ("self.a = b", ["pass"]),
        ("a += b", ["pass"]),
        ("return True", ["return False"]),
        ("return a in b", ["return a not in b", "return not (a in b)"]),
        ("log.info('%d', 1)", []),
        ("x: f(1) = a", []),
        ("if TYPE_CHECKING: x = 1", []),
        (
            'if hasattr(sys, "maxsize"): x = 1\n    else: x = 3',
            ['if hasattr(sys, "maxsize"): x = 2\n    else: x = 3'],
        ),
        ("if sys.implementation.name == 'micropython': x = 1", []),
    ],
)
def test_every_kind(text: str, expected: list[str]) -> None:
    assert sorted(planted(text)) == sorted(expected)


def test_a_fault_says_where_it_is() -> None:
    source = (
        b'class A:\n    """Doc."""\n    B = 1\n\n    def c(self):\n        d(1,\n          2)\n'
    )
    at_class, *in_method = faults("x.py", source)
    assert at_class == Fault(
        "x.py", "A", "number off by one", 3, 3, 3, True, source.index(b"B"), 33, "B = 1", "B = 2"
    )
    assert {fault.function for fault in in_method} == {"A.c"}
    assert {(fault.first, fault.last) for fault in in_method} == {(6, 7)}
    assert not any(fault.at_import for fault in in_method)
    left_out = next(fault for fault in in_method if fault.kind == "statement left out")
    assert left_out.change() == "d(1, 2) -> pass"


def test_the_head_of_a_compound_statement_is_not_its_body() -> None:
    source = b"def f():\n    if (a and\n            b):\n        c()\n"
    heads = {(f.kind, f.first, f.last) for f in faults("x.py", source)}
    assert heads == {
        ("clause dropped", 2, 3),
        ("and for or", 2, 3),
        ("statement left out", 4, 4),
    }


def test_a_default_is_noticed_by_who_runs_the_function() -> None:
    (fault,) = faults("x.py", b"def f(\n    a=1,\n):\n    return a\n")
    assert (fault.first, fault.last, fault.at_import) == (1, 4, False)


def test_a_protocol_is_for_the_type_checker() -> None:
    source = (
        b"class A(Protocol):\n    B = 1\n\n    def c(self, d: int = 2) -> int:\n        return 3\n"
    )
    assert faults("x.py", source) == []
    assert len(faults("x.py", source.replace(b"(Protocol)", b"(Other)"))) == 3


def test_octets_not_characters_are_counted() -> None:
    source = "def f():\n    return 'é' + g('é', 1)\n".encode()
    texts = {fault.planted(source).decode() for fault in faults("x.py", source)}
    assert texts == {
        "def f():\n    return 'é' + g(1, 'é')\n",
        "def f():\n    return 'é' + g('é', 2)\n",
    }


def test_every_fault_of_the_product_compiles() -> None:
    count = 0
    for file in source_files(ROOT):
        source = (ROOT / file).read_bytes()
        found = faults(file, source)
        for fault in found[:: max(1, len(found) // 15)]:
            ast.parse(fault.planted(source))
            count += 1
    assert count > 1000
