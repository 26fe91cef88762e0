"""The map of lines to tests: which tests run a line, also after the text has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants.touched import Touched

FILE = "hal/a.py"
BEFORE = "A = 1\n\n\ndef f():\n    one()\n    two()\n\n\ndef g():\n    three()\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        FILE: BEFORE,
        "hal/b.py": "B = 2\n",
        "hal/c.py": "from hal.b import B\n\n\ndef h():\n    return B\n",
        "tests/unit/test_a.py": "tests of a",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def bits(*lines: int) -> str:
    return "%x" % sum(1 << line for line in lines)


def measured(root: Path, folder: Path) -> Touched:
    """test_f runs f, test_g runs f and g, test_h runs hal/c.py; one failed and one was slow."""
    touched = Touched(root, folder)

    def test(name: str, lines: dict[str, str], **other: object) -> dict[str, object]:
        name = "tests/unit/test_a.py::" + name
        return {"name": name, "seconds": 0.1, "passed": True, "lines": lines} | other

    touched.save(
        "tests/unit/test_a.py",
        [
            test("test_g", {FILE: bits(5, 6, 10)}),
            test("test_f", {FILE: bits(5, 6)}),
            test("test_h", {"hal/c.py": bits(5)}),
            test("test_failed", {FILE: bits(5)}, passed=False),
            test("test_slow", {FILE: bits(5)}, seconds=99.0),
        ],
        {FILE: bits(1, 4, 14)},
        {FILE: (root / FILE).read_text(), "hal/c.py": (root / "hal/c.py").read_text()},
    )
    touched.load()
    return touched


def names(touched: Touched, file: str, first: int, last: int, at_import: bool = False) -> list[str]:
    return [test.name.split("::")[1] for test in touched.by(file, first, last, at_import)]


def test_the_most_particular_test_first(root: Path, tmp_path: Path) -> None:
    touched = measured(root, tmp_path / "map")
    assert names(touched, FILE, 5, 5) == ["test_f", "test_g"]
    assert names(touched, FILE, 10, 10) == ["test_g"]
    assert names(touched, FILE, 6, 10) == ["test_f", "test_g"]
    assert names(touched, FILE, 9, 9) == []
    assert names(touched, "hal/unknown.py", 1, 9) == []
    assert names(touched, "hal/b.py", 1, 1) == ["test_h"], "nobody knows it but who imports it"


def test_unhappy_and_slow_tests_are_not_asked(root: Path, tmp_path: Path) -> None:
    unusable = measured(root, tmp_path / "map").unusable
    assert [name.split("::")[1] for name in unusable] == ["test_failed", "test_slow"]


def test_what_runs_at_import(root: Path, tmp_path: Path) -> None:
    touched = measured(root, tmp_path / "map")
    assert names(touched, FILE, 1, 1, at_import=True) == ["test_f", "test_g"]
    assert names(touched, "hal/b.py", 1, 1, at_import=True) == ["test_h"]


def test_a_constant_is_asked_of_who_imports_it_too(root: Path, tmp_path: Path) -> None:
    """Though another test runs a function beside it."""
    (root / "hal/c.py").write_text("from hal import a\n\n\ndef h():\n    return a.A\n")
    touched = measured(root, tmp_path / "map")
    assert names(touched, FILE, 1, 1, at_import=True) == ["test_h", "test_f", "test_g"]
    assert names(touched, FILE, 5, 5) == ["test_f", "test_g"]


def test_a_function_that_is_called_at_import_only(root: Path, tmp_path: Path) -> None:
    """No test runs it, yet they all read what it made."""
    called = "\n\ndef table():\n    return 1\n\n\nTABLE = table()\n"
    (root / FILE).write_text(BEFORE + called)
    touched = measured(root, tmp_path / "map")
    assert names(touched, FILE, 14, 14) == ["test_f", "test_g"]
    assert names(touched, FILE, 17, 17) == []


def test_a_line_that_everybody_runs_is_asked_of_the_most_particular(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.mutants.touched.LONGEST", 0.15)
    touched = measured(root, tmp_path / "map")
    assert names(touched, FILE, 1, 1, at_import=True) == ["test_f"]
    assert names(touched, FILE, 5, 5) == ["test_f"]
    assert names(touched, FILE, 10, 10) == ["test_g"]


def test_lines_are_found_again_after_a_change(root: Path, tmp_path: Path) -> None:
    touched = measured(root, tmp_path / "map")
    (root / FILE).write_text("# A remark.\n" + BEFORE.replace("three()", "three()\n    four()"))
    assert names(touched, FILE, 11, 11) == ["test_g"]
    assert names(touched, FILE, 12, 12) == ["test_f", "test_g"], "who runs a new line is not known"
    assert names(touched, FILE, 6, 6) == ["test_f", "test_g"]


def test_only_changed_test_files_are_measured_again(root: Path, tmp_path: Path) -> None:
    touched = Touched(root, tmp_path / "map")
    assert touched.stale() == ["tests/unit/test_a.py"]
    touched = measured(root, tmp_path / "map")
    assert touched.stale() == []
    (root / "tests/unit/test_a.py").write_text("other tests of a")
    assert touched.stale() == ["tests/unit/test_a.py"]
