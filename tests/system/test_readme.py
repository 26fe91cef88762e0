"""The README's commands, run as they stand there (but for the ports, which may be taken)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from tests.conftest import ROOT, find_free_port

BY_HAND = "<!-- tests/system/test_readme.py runs this block -->"
ONE_METER = "<!-- tests/system/test_readme.py runs this one too -->"


def run(mark: str, ports: list[str], folder: Path, micropython: str) -> str:
    """Runs the block after `mark` in `folder`, with free ports in place of those named; what it
    showed. All its background processes end with it."""
    text = (ROOT / "README.md").read_text()
    found = re.search(re.escape(mark) + r"\n```sh\n(.*?)```", text, re.DOTALL)
    assert found, "the README has no block marked %s" % mark
    script = found[1]
    script = re.sub(r"^sleep \d+", "sleep 20", script, flags=re.M)  # on a busy machine
    for port in ports:
        script = script.replace(port, str(find_free_port()))
    path = os.pathsep.join([str(Path(micropython).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "AMI": str(ROOT), "XDG_STATE_HOME": str(folder)}
    log = folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            ["sh", "-eu", "-c", script],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(600)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    shown = log.read_text(errors="replace")
    assert status == 0, shown
    return shown


def test_by_hand(tmp_path: Path, micropython: str) -> None:
    shown = run(BY_HAND, ["1883", "7001", "7002"], tmp_path, micropython)
    report = json.loads((tmp_path / "report.json").read_text())
    reasons = sorted(meter["reason"] for meter in report["meters"])
    assert reasons == ["applied"] * 3 + ["no-answer", "write-refused", "wrong-firmware"], shown
    assert "VALUE value read" in shown, shown


def test_one_meter(tmp_path: Path, micropython: str) -> None:
    shown = run(ONE_METER, ["4059", "4060"], tmp_path, micropython)
    (firmware,) = json.loads((tmp_path / "firmware.json").read_text())
    assert firmware["value"] == {"octet-string": "V03.00.00"}, shown
    for words in (
        "logical device name",
        " Wh",
        "read back the same: double-long-unsigned 900",
        "profile_generic 1.0.99.1.0.255, ",
        "adjust_to_quarter",
        "as this computer",
        "set-request",
        "7 activated",
    ):
        assert words in shown, shown
    keys = json.loads((tmp_path / "data" / "keys.jsonl").read_text().splitlines()[0])
    assert keys["ek"] not in shown
    assert keys["ak"] not in shown
