"""`./tools/demo`, as people run it: its exit status, what it shows, what it writes for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.mosquitto import Mosquitto
from tools.demonstration.acts import FIRMWARE
from tools.demonstration.stage import RUNTIMES


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.demonstration.__main__", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def outcome_of(done: subprocess.CompletedProcess[str], file: Path) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(file.read_text())
    assert outcome["complaints"] == []
    reasons = outcome["configuration"]["summary"]["reasons"]
    assert reasons == {"applied": 3, "no-answer": 1, "access-denied": 1, "wrong-firmware": 1}
    assert outcome["reading"]["summary"]["value"] == 3
    return outcome


@pytest.mark.long
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_whole(tmp_path: Path, micropython: str, runtime: str) -> None:
    file = tmp_path / "outcome.json"
    done = demo("--meters", "6", "--seed", "5", "--runtime", runtime, "--json", str(file))
    outcome = outcome_of(done, file)
    assert outcome["configuration"]["canary"] == {"meters": 3, "percent": 100}
    (value,) = outcome["dry_run"]["meters"][0]["values"]
    assert (value["text"], value["wanted"]) == (
        "double-long-unsigned 3600",
        "double-long-unsigned 900",
    )
    image = outcome["image"]
    assert image["summary"]["ok"] == len(image["meters"]) == 3
    for words in ("cover", "a wrong clock", "street-1      night"):
        assert words in done.stdout
    for words in ("it runs %s" % FIRMWARE, "PRIME base node on /dev/", "good: records 1 to"):
        assert words in done.stdout


@pytest.mark.long
def test_the_short_one_over_a_broker_that_is_there(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        file = tmp_path / "outcome.json"
        options = ["--quick", "--meters", "6", "--seed", "5", "--broker", broker.url]
        done = demo(*options, "--json", str(file))
    finally:
        broker.stop()
    assert not {"dry_run", "image"} & set(outcome_of(done, file))


def test_what_it_cannot_do_it_says_at_once() -> None:
    done = demo("--meters", "5")
    assert done.returncode == 2
    assert "expected 6 to 2000 meters" in done.stderr
    done = demo("--broker", "mqtt://127.0.0.1:1")
    assert done.returncode == 1
    assert "error: no broker at 127.0.0.1:1" in done.stdout
