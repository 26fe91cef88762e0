"""The fingerprint that a board shows: the same on both runtimes, and without a touch to what a
gateway that runs is just writing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from board import linux
from tests.conftest import ROOT, micropython_environment
from tests.unit.board.test_systemd_unit import SETTINGS


def test_it_is_shown_on_both_runtimes(
    tmp_path: Path, micropython: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(SETTINGS))
    assert linux.main(["--settings", str(path), "--identity"]) == 0
    made = capsys.readouterr().out
    data = tmp_path / "data"
    half_written = data / "_new"  # as a gateway that runs may have it just now
    half_written.write_bytes(b"")
    assert linux.main(["--settings", str(path), "--identity"]) == 0
    assert capsys.readouterr().out == made
    ran = shown_by(micropython, path)
    assert (ran.returncode, ran.stdout) == (0, made), ran.stderr
    assert half_written.exists()


def shown_by(micropython: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [micropython, "-m", "board.unix", "--identity", str(path)],
        cwd=ROOT,
        env=micropython_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
