"""The whole way, on a small project: what its tests notice, and what they do not."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.mutants import __main__ as command

PRODUCT = '''
def grade(points):
    """Pass at 10 points and above."""
    if points >= 10:
        return True
    return False


def forever(count):
    while count > 0:
        count -= 1


def untested(a):
    return a == 1
'''
TESTS = """
from hal.grades import forever, grade


def test_grade():
    assert grade(11) is True
    assert grade(2) is False


def test_forever():
    forever(3)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "tools" / "mutants", tmp_path / "tools" / "mutants")
    for name, text in {
        ".gitignore": ".cache/\n__pycache__/\n",
        "pyproject.toml": "[tool.pytest.ini_options]\n",
        "tools/__init__.py": "",
        "tools/bootstrap.py": (ROOT / "tools/bootstrap.py").read_text(),
        "hal/grades.py": PRODUCT,
        "tests/unit/test_grades.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "CACHE", tmp_path / ".cache")
    monkeypatch.setattr(command, "FIRST", 1)
    return tmp_path


def test_what_is_noticed_and_what_is_not(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (project / "hal/grades.py").read_bytes()
    report = project / "report.json"
    monkeypatch.setattr(command, "choose", lambda candidates, count, seed: candidates)
    assert command.main(["--mutants", "99", "--json", str(report), "-j", "2"]) == 1
    written = json.loads(report.read_text())
    verdicts = {(each["fault"]["function"], each["change"]): each for each in written["faults"]}
    assert {key: each["verdict"] for key, each in verdicts.items()} == {
        ("grade", "points >= 10 -> points < 10"): "noticed",
        ("grade", "points >= 10 -> points > 10"): "survived",
        ("grade", "points >= 10 -> points >= 11"): "survived",
        ("grade", "True -> False"): "noticed",
        ("grade", "False -> True"): "noticed",
        ("forever", "count > 0 -> count >= 0"): "survived",
        ("forever", "count > 0 -> count <= 0"): "survived",
        ("forever", "count > 0 -> count > 1"): "survived",
        ("forever", "count -= 1 -> pass"): "timed out",
        ("forever", "count -= 1 -> count -= 2"): "survived",
        ("untested", "a == 1 -> a != 1"): "survived",
        ("untested", "a == 1 -> not (a == 1)"): "survived",
        ("untested", "return a == 1 -> return a == 2"): "survived",
    }
    assert verdicts["grade", "True -> False"]["test"] == "tests/unit/test_grades.py::test_grade"
    assert verdicts["forever", "count > 0 -> count > 1"]["ran"] == 1
    assert verdicts["untested", "return a == 1 -> return a == 2"]["ran"] == 0
    assert written["rooms"] == [
        {
            "room": "hal",
            "planted": 13,
            "noticed": 3,
            "survived": 9,
            "timed_out": 1,
            "share": 4 / 13,
            "good": False,
        }
    ]
    text = capsys.readouterr().out
    assert "no fast test runs it" in text
    assert "below its goal" in text
    assert (project / "hal/grades.py").read_bytes() == before, "the checkout is never touched"
    copies = sorted((project / ".cache/mutants").glob("copy-*"))
    assert [copy.name for copy in copies] == ["copy-0", "copy-1"]
    assert all((copy / "hal/grades.py").read_bytes() == before for copy in copies)


def test_two_runs_do_not_share_their_copies(project: Path) -> None:
    import fcntl

    (project / ".cache/mutants").mkdir(parents=True)
    with (project / ".cache/mutants/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SystemExit) as told:
            command.main(["--mutants", "1"])
    assert "another run is at work" in str(told.value)


def test_nothing_to_plant_is_said(project: Path) -> None:
    with pytest.raises(SystemExit) as told:
        command.main(["--mutants", "1", "--room", "gateway/nothing"])
    text = "error: nothing to plant in gateway/nothing; name a folder or file of the three"
    assert str(told.value) == text
