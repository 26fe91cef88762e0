"""Every module of the firmware is MicroPython's too, also one that no test there imports: it
compiles, it can be imported by itself, and whatever it imports later is there as well.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, micropython_environment

CPYTHON = (
    "hal/cpython/",
    "board/check",
    "board/devkit",
    "board/linux",
    "board/service",
    "board/systemd",
)
HARDWARE = ("board/mimxrt1060_evk.py",)  # imports what the unix port has not
TWO_FACED = ("hal/rt/",)  # asks which runtime it is on, then imports
FIRMWARE = sorted(
    name
    for folder in ("gateway", "hal", "board")
    for name in (str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py"))
    if not name.startswith(CPYTHON)
)
TESTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/portable").rglob("*.py"))
ROOMS = sorted({str(Path(name).parent) for name in FIRMWARE})
ON_CPYTHON = ("tests/portable/on_micropython.py",)


def said(micropython: str, *arguments: str) -> str:
    """What MicroPython complains of; nothing if all is well."""
    done = subprocess.run(
        [micropython, *arguments],
        cwd=ROOT,
        env=micropython_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("room", [*ROOMS, "tests/portable"])
def test_it_compiles(room: str, micropython: str) -> None:
    names = TESTS if room == "tests/portable" else of(room)
    complaints = [
        name + ": " + said(micropython, "-X", "compile-only", name)
        for name in names
        if name not in ON_CPYTHON
    ]
    assert [text for text in complaints if not text.endswith(": ")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_each_module_can_be_imported_first(room: str, micropython: str) -> None:
    for name in of(room):
        if name not in HARDWARE and not name.startswith("hal/micropython/lib/"):
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            assert said(micropython, "-c", "import " + module) == "", module


def test_what_is_imported_later_is_there_too(micropython: str) -> None:
    wanted: dict[str, str] = {}
    for name in FIRMWARE:
        if name not in HARDWARE and not name.startswith(TWO_FACED):
            tree = ast.parse((ROOT / name).read_text())
            wanted.update((module, name) for module in at_run_time(tree))
    missing = {
        module: name
        for module, name in wanted.items()
        if said(micropython, "-c", "import " + module)
    }
    assert missing == {}


def of(room: str) -> list[str]:
    return [name for name in FIRMWARE if str(Path(name).parent) == room]


def at_run_time(node: ast.AST) -> Iterator[str]:
    """The modules outside the firmware that are imported here, at whatever depth; those that only a
    type checker sees are none.
    """
    if isinstance(node, ast.Import):
        yield from outside([name.name for name in node.names])
    elif isinstance(node, ast.ImportFrom):
        yield from outside([node.module or ""])
    for_types = isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    for child in node.orelse if for_types else ast.iter_child_nodes(node):
        yield from at_run_time(child)


def outside(modules: list[str]) -> list[str]:
    ours = ("gateway", "hal", "board", "__future__")
    return [module for module in modules if module.split(".")[0] not in ours]


def test_what_a_type_checker_sees_is_left_out() -> None:
    """And nothing else is, wherever it stands."""
    text = "if TYPE_CHECKING:\n    import typing\nelse:\n    import a.b\nimport gateway.work\n"
    text += "def f():\n    from c import d\n"
    assert list(at_run_time(ast.parse(text))) == ["a.b", "c"]


@pytest.mark.parametrize("text", ["match 1:\n    case 1: pass\n", "type A = int\n", "def f(\n"])
def test_what_does_not_compile_is_found(micropython: str, tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)
    assert "SyntaxError" in said(micropython, "-X", "compile-only", str(path))
