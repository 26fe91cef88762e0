"""ami-audit on a copy of a concentrator's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.audit import Audit
from hal.cpython.storage import FolderStorage
from hal.sim.clock import ManualClock
from tools.audit.__main__ import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    audit = Audit(FolderStorage(str(tmp_path)), ManualClock(1_800_000_000, 0), 1 << 16)
    audit.note("start", ["0.1.0"])
    audit.note("job", [bytes(16), b"kid", bytes(32), 1, 2])
    for serial in ("AMI1", "AMI2"):
        audit.note("done", [bytes(16), serial, 1, "OK", "applied", "plc"])
    return tmp_path


def head_of(folder: Path) -> str:
    return Audit(FolderStorage(str(folder)), ManualClock(0, 0), 1 << 16).head.hex()


def test_a_good_trail(folder, capsys) -> None:
    before = (folder / "audit.00000001").read_bytes()
    head = head_of(folder)
    assert main(["verify", str(folder), "--records", "4", "--head", head]) == 0
    out = capsys.readouterr().out
    assert "good: records 1 to 4" in out and head in out
    assert main(["verify", str(folder / "audit.00000001")]) == 0
    assert (folder / "audit.00000001").read_bytes() == before
    capsys.readouterr()
    assert main(["show", str(folder)]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["kind"] for one in shown] == ["start", "job", "done", "done"]
    assert shown[3]["details"][1] == "AMI2"


def test_the_first_break_is_named(folder, capsys) -> None:
    segment = folder / "audit.00000001"
    content = segment.read_bytes()
    # Without its CRC put right, a change is damage of the file already.
    segment.write_bytes(content.replace(b"AMI1", b"AMI9"))
    assert main(["verify", str(folder)]) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_a_shortened_trail_against_what_the_hes_heard(folder, capsys) -> None:
    head = head_of(folder)
    copy = Audit(FolderStorage(str(folder / "copy")), ManualClock(0, 0), 1 << 16)
    copy.note("start", ["0.1.0"])
    assert main(["verify", str(folder / "copy")]) == 0
    assert main(["verify", str(folder / "copy"), "--records", "4", "--head", head]) == 1
    assert "BROKEN: the HES heard of record 4" in capsys.readouterr().out
    for _ in range(3):
        copy.note("start", ["0.1.0"])
    assert main(["verify", str(folder / "copy"), "--records", "4", "--head", head]) == 1
    assert "record 4 has the hash" in capsys.readouterr().out


def test_nothing_to_check(tmp_path, capsys) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "audit.00000001" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "absent")]) == 2
