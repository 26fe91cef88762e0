"""`ami-meter population --scenario`: the same file in real time, the modems on pseudo-terminals."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hal.cpython.clock import SystemClock
from hal.cpython.serial import SerialPort
from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from hal.ports import Joined, ModemReset
from tools.meter.__main__ import main

SCENARIO = """
population: {meters: 12, shares: {plc: 1, both: 1}, late: {share: 25 %, within: 100s}}
timeline:
  - {at: 3m, do: reset, modem: plc}
"""


def test_a_scenario_in_real_time_on_a_pseudo_terminal(tmp_path: Path) -> None:
    (tmp_path / "street.yaml").write_text(SCENARIO)
    command = [sys.executable, "-m", "tools.meter", "population", "--speed", "50"]
    command += ["--scenario", str(tmp_path / "street.yaml"), "--plc-pty", str(tmp_path / "plc")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["meters"] == 12 and ready["rf"] > 0 and ready["plc_pty"]
            asyncio.run(_everybody_comes(str(tmp_path / "plc")))
        finally:
            process.terminate()
    assert not (tmp_path / "plc").is_symlink()


async def _everybody_comes(device: str) -> None:
    modem = Attached(Prime(), lambda: SerialPort.open(device, 115200), SystemClock())
    for turn in range(2):  # at first, and after the modem's reset
        joined: set[str] = set()
        while len(joined) < 12:
            event = await asyncio.wait_for(modem.event(), 60)
            if isinstance(event, Joined):
                joined.add(event.address)
        while not turn and not isinstance(await asyncio.wait_for(modem.event(), 60), ModemReset):
            pass
    await modem.close()


def test_mistakes_name_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "street.yaml"
    file.write_text("population:\n  meters: 5\n  shares: {fax: 1}\n")
    assert main(["population", "--scenario", str(file)]) == 2
    assert "street.yaml:3:12: expected one of plc, rf, both, ip" in capsys.readouterr().err
