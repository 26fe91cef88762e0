"""The README's commands, run as they stand there (but for the ports, which may be taken)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from tests.conftest import ROOT, find_free_port

MARK = "<!-- tests/system/test_readme.py runs this block -->"


def test_by_hand(tmp_path: Path, micropython: str) -> None:
    text = (ROOT / "README.md").read_text()
    found = re.search(re.escape(MARK) + r"\n```sh\n(.*?)```", text, re.DOTALL)
    assert found, "the README has no block marked for this test"
    script = found[1]
    for port in ("1883", "7001", "7002"):
        script = script.replace(port, str(find_free_port()))
    path = os.pathsep.join([str(Path(micropython).parent), os.environ["PATH"], "/usr/sbin"])
    log = tmp_path / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            ["sh", "-eu", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "AMI": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(150)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    shown = log.read_text(errors="replace")
    assert status == 0, shown
    report = json.loads((tmp_path / "report.json").read_text())
    reasons = sorted(meter["reason"] for meter in report["meters"])
    assert reasons == ["applied"] * 3 + ["no-answer", "write-refused", "wrong-firmware"], shown
    assert "VALUE value read" in shown, shown
