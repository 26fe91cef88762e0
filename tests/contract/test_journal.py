"""A service's log: to systemd's journal with priorities, to anything else with dates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port


@pytest.mark.parametrize("connected", [True, False], ids=["journal", "other"])
def test_priorities(connected: bool, tmp_path: Path) -> None:
    """Of `ami-hes serve`, whose broker is away; systemd names the journal's end in the
    environment."""
    written = tmp_path / "stderr"
    with written.open("wb") as stderr:
        found = os.fstat(stderr.fileno())
        inode = found.st_ino if connected else found.st_ino + 1
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.hes", "--db", str(tmp_path / "hes.sqlite"), "serve"]
            + ["--plain", "--broker", "mqtt://127.0.0.1:%d" % find_free_port()],
            cwd=ROOT,
            env={**os.environ, "JOURNAL_STREAM": "%d:%d" % (found.st_dev, inode)},
            stderr=stderr,
        )
    try:
        while b"not connected" not in written.read_bytes():
            assert process.poll() is None, written.read_text()
    finally:
        process.kill()
        process.wait()
    lines = written.read_text().splitlines()
    if connected:
        assert all(line.startswith(("<6>hes: ", "<4>hes: ")) for line in lines), lines
    else:
        assert all(line.startswith("20") for line in lines), lines
