"""Choosing: the same for the same seed, even over the rooms, equivalents and --since."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.mutants import choose
from tools.mutants.choose import Equivalent, goal_of, room_of


@pytest.mark.parametrize(
    ("file", "room", "goal"),
    [
        ("gateway/journal.py", "gateway", 0.95),
        ("gateway/dlms/apdu/get.py", "gateway/dlms", 0.95),
        ("hal/modem/mam/mam.py", "hal/modem", 0.95),
        ("hal/cpython/storage.py", "hal/cpython", 0.95),
        ("tools/hes/store/jobs.py", "tools/hes", 0.90),
    ],
)
def test_rooms_and_goals(file: str, room: str, goal: float) -> None:
    assert room_of(file) == room
    assert goal_of(room) == goal


def test_the_same_seed_plants_the_same_evenly() -> None:
    found, _ = choose.possible(ROOT, "", None)
    chosen = choose.choose(found, 120, 7)
    assert chosen == choose.choose(found, 120, 7)
    assert chosen != choose.choose(found, 120, 8)
    assert len(chosen) == len({(fault.file, fault.first) for fault in chosen}) == 120
    per_room = Counter(room_of(fault.file) for fault in chosen)
    assert len(per_room) >= 12
    assert max(per_room.values()) - min(per_room.values()) <= 1
    assert not any(fault.file.startswith("hal/micropython/") for fault in chosen)


def test_one_room_or_one_file() -> None:
    in_room, _ = choose.possible(ROOT, "gateway/jobs", None)
    assert {room_of(fault.file) for fault in in_room} == {"gateway/jobs"}
    in_file, _ = choose.possible(ROOT, "gateway/jobs/queue.py", None)
    assert {fault.file for fault in in_file} == {"gateway/jobs/queue.py"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of one file with a commit."""
    (tmp_path / "hal").mkdir()
    (tmp_path / "hal" / "a.py").write_text("def f(a, b):\n    c(1)\n    return a < b\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *name, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_only_lines_changed_since(tree: Path) -> None:
    assert choose.possible(tree, "", "HEAD")[0] == []
    path = tree / "hal" / "a.py"
    path.write_text(path.read_text().replace("c(1)", "c(2)\n    d(3)"))
    changes = {fault.change() for fault in choose.possible(tree, "", "HEAD")[0]}
    assert changes == {"c(2) -> c(3)", "c(2) -> pass", "d(3) -> d(4)", "d(3) -> pass"}


def test_equivalents_are_not_planted_and_stale_ones_are_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Equivalent("hal/a.py", "f", "a < b -> a <= b", "an example")
    stale = Equivalent("hal/a.py", "g", "a < b -> a <= b", "of a function that is gone")
    monkeypatch.setattr(choose, "equivalents", lambda: [known, stale])
    found, told = choose.possible(tree, "", None)
    changes = {fault.change() for fault in found}
    assert "a < b -> a <= b" not in changes
    assert "a < b -> a >= b" in changes
    assert told == [stale]


def test_the_list_of_equivalents_can_be_read() -> None:
    for each in choose.equivalents():
        assert each.reason
        assert " -> " in each.change
