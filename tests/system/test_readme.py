"""The commands of the READMEs, run as they stand there (but for the ports, which may be taken)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port
from tests.system.readmes import block

MARK = "<!-- tests/system/test_readme.py runs this block -->"
ROOMS = ("gateway", "hal", "board", "tools", "tests")
READMES = [ROOT / "README.md", *sorted(p for r in ROOMS for p in (ROOT / r).rglob("README.md"))]
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(readme: Path) -> None:
    for link in LINK.findall(readme.read_text()):
        assert (readme.parent / link).exists(), "%s: no %s" % (readme.relative_to(ROOT), link)


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def run(script: str, ports: list[str], folder: Path, micropython: str) -> str:
    """Runs the script in `folder`, with free ports in place of those named; what it showed. All its
    background processes end with it."""
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
    shown = run(block("README.md", MARK), ["1883", "7001", "7002"], tmp_path, micropython)
    report = json.loads((tmp_path / "report.json").read_text())
    reasons = sorted(meter["reason"] for meter in report["meters"])
    assert reasons == ["access-denied"] + ["applied"] * 3 + ["no-answer", "wrong-firmware"], shown
    assert "VALUE value read" in shown, shown


def test_one_meter(tmp_path: Path, micropython: str) -> None:
    shown = run(block("tools/README.md", MARK), ["4059", "4060"], tmp_path, micropython)
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
