"""ami-audit on a copy of a concentrator's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import Audit
from gateway.jobs.ledger import NAME as LEDGER
from gateway.jobs.records import AUDIT
from gateway.journal import Journal
from hal.cpython.storage import FolderStorage
from hal.rt import cbor
from hal.sim.clock import ManualClock
from tools.audit.__main__ import main


def note(audit: Audit, kind: str, details: list[Any]) -> None:
    audit.draft(kind, details)
    audit.adopt()
    audit.sync()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    audit = Audit(FolderStorage(str(tmp_path)), ManualClock(1_800_000_000, 0), 1 << 16)
    note(audit, "start", ["0.1.0"])
    note(audit, "job", [bytes(16), b"kid", bytes(32), 1, 2])
    for serial in ("AMI1", "AMI2"):
        note(audit, "done", [bytes(16), serial, 1, "OK", "applied", "plc"])
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
    note(copy, "start", ["0.1.0"])
    assert main(["verify", str(folder / "copy")]) == 0
    assert main(["verify", str(folder / "copy"), "--records", "4", "--head", head]) == 1
    assert "BROKEN: the HES heard of record 4" in capsys.readouterr().out
    for _ in range(3):
        note(copy, "start", ["0.1.0"])
    assert main(["verify", str(folder / "copy"), "--records", "4", "--head", head]) == 1
    assert "record 4 has the hash" in capsys.readouterr().out


def test_the_newest_records_are_in_the_ledger_after_a_power_cut(folder, tmp_path, capsys) -> None:
    storage, clock = FolderStorage(str(folder)), ManualClock(1_800_000_000, 0)
    audit = Audit(storage, clock, 1 << 16)
    journal = Journal(storage, LEDGER)
    journal.recover(lambda position, record: None)
    for number in range(3):
        journal.append(cbor.encode([AUDIT, *audit.draft("start", ["0.1.%d" % number])]))
    journal.append(b"no record")
    journal.commit()
    good = (folder / "audit.00000001").read_bytes()
    audit.adopt()
    for left in (good, good.rstrip(b"\x00") + b"torn"):
        (folder / "audit.00000001").write_bytes(left)
        head = audit.head.hex()
        assert main(["verify", str(folder), "--records", "7", "--head", head]) == 0
        assert "good: records 1 to 7" in capsys.readouterr().out
    (folder / "ledger.00000001").unlink()
    assert main(["verify", str(folder), "--records", "7", "--head", head]) == 1


def test_nothing_to_check(tmp_path, capsys) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "audit.00000001" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "absent")]) == 2
