"""Configure attempts over emulated Meters and More and Amber modems, on both runtimes: `ami-meter
population` at the other end of the line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.contract.conftest import RunCase, cases

SPEED = 60  # times faster than real
MODEMS = {"meters-and-more": "plc", "amber": "rf"}


@pytest.fixture
def street(driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kind = MODEMS[driver]
    command = [sys.executable, "-m", "tools.meter", "population", "--meters", "3", "--loss", "0.02"]
    command += ["--speed", str(SPEED), "--inventory", str(tmp_path), "--%s-modem" % kind, driver]
    command += ["--dead", "0", "--refuses-write", "0", "--other-firmware", "0"]
    for each in ("plc", "rf", "both", "ip"):
        command += ["--" + each, "1" if each == kind else "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        monkeypatch.setenv("MODEM_URL", "tcp://127.0.0.1:%d" % ports[kind])
        monkeypatch.setenv("MODEM_DATA", str(tmp_path))
        monkeypatch.setenv("MODEM_DRIVER", driver)
        yield
        process.terminate()


@pytest.mark.parametrize("driver", list(MODEMS))
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_modems"))
def test_modems(runtime: str, case: str, run_case: RunCase, street: None) -> None:
    run_case(runtime, "portable_modems", case)
