"""Measuring: which test runs which line; a file that cannot be imported is no empty one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PRODUCT = "def f(a):\n    if a:\n        return 1\n    return 2\n"
TESTS = """
import pytest
from hal.a import f


def test_one():
    assert f(True) == 1


def test_two():
    assert f(False) == 2


def test_wrong():
    assert f(False) == 1


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_both(runtime):
    pass
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    content = {"hal/__init__.py": "", "hal/a.py": PRODUCT, "tests/unit/test_a.py": TESTS}
    for name, text in content.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tests/unit/test_bad.py").write_text("import nothing_of_this_name\n")
    return tmp_path


def measure(copy: Path, *files: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tools.mutants.measure", str(copy / "map"), *files],
        cwd=copy,
        env={"PYTHONPATH": f"{copy}:{ROOT}", "COVERAGE_CORE": "ctrace", "PATH": ""},
        capture_output=True,
        check=False,
    ).returncode


def test_which_test_runs_which_line(copy: Path) -> None:
    assert measure(copy, "tests/unit/test_a.py") == 0
    kept = json.loads((copy / "map/tests~unit~test_a.py.json").read_text())
    tests = {test["name"].split("::")[1]: test for test in kept["tests"]}
    assert sorted(tests) == ["test_both[cpython]", "test_one", "test_two", "test_wrong"]
    lines = {name: test["lines"].get("hal/a.py", "0") for name, test in tests.items()}
    assert int(lines["test_one"], 16) == 1 << 2 | 1 << 3
    assert int(lines["test_two"], 16) == int(lines["test_wrong"], 16) == 1 << 2 | 1 << 4
    assert lines["test_both[cpython]"] == "0"
    assert [name for name, test in tests.items() if not test["passed"]] == ["test_wrong"]


def test_a_file_that_cannot_be_imported_leaves_nothing(copy: Path) -> None:
    assert measure(copy, "tests/unit/test_a.py", "tests/unit/test_bad.py") != 0
    assert not list((copy / "map").glob("*.json"))
