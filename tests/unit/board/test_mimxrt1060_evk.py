"""The i.MX RT1060 board on the unix port of MicroPython: its wiring and the gateway behind it, with
modems on pseudo-terminals. Only the modules `machine` and `network` are played (evk/)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT, find_free_port, micropython_environment

EVK = Path(__file__).with_name("evk")
MAIN = "from board import mimxrt1060_evk; mimxrt1060_evk.main(%r, %r)"


def wait_until(process: subprocess.Popen[bytes], log: Path, error: Path, *wanted: str) -> None:
    deadline = time.monotonic() + 300
    while True:
        text = (log.read_text() if log.exists() else "") + error.read_text()
        if all(line in text for line in wanted):
            return
        assert process.poll() is None and time.monotonic() < deadline, text
        time.sleep(0.1)


def start(tmp_path: Path, micropython: str, settings: dict[str, object]) -> subprocess.Popen[bytes]:
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(settings))
    environment = {
        **micropython_environment(),
        "EVK_LOG": str(tmp_path / "chip"),
        "EVK_UART_1": str(tmp_path / "plc"),
        "EVK_UART_2": str(tmp_path / "rf"),
    }
    environment["MICROPYPATH"] = "%s:%s" % (EVK, environment["MICROPYPATH"])
    with open(tmp_path / "stderr", "wb") as error:
        return subprocess.Popen(
            [micropython, "-c", MAIN % (str(path), str(tmp_path / "data"))],
            cwd=ROOT,
            env=environment,
            stdout=error,
            stderr=error,
        )


def settings_with(*modems: dict[str, str]) -> dict[str, object]:
    return {
        "concentrator": "street-1",
        "system_title": "414d490000000001",
        "uplink": {"host": "127.0.0.1", "port": find_free_port()},
        "signers": [{"kid": "01", "key": "ab" * 64}],
        "plain": True,
        "modems": list(modems),
    }


def test_the_gateway_runs_on_its_uarts(tmp_path: Path, micropython: str) -> None:
    street = subprocess.Popen(
        [sys.executable, "-m", "tools.meter", "population", "--meters", "4", "--inventory"]
        + [str(tmp_path / "data"), "--plc-pty", str(tmp_path / "plc")]
        + ["--rf-pty", str(tmp_path / "rf")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    board = None
    try:
        assert street.stdout is not None and street.stdout.readline()
        board = start(
            tmp_path,
            micropython,
            settings_with(
                {"driver": "prime-usi", "url": "uart:plc"},
                {"driver": "imst", "url": "uart:rf?baud=57600"},
                {"driver": "ip"},
            ),
        )
        chip, error = tmp_path / "chip", tmp_path / "stderr"
        wait_until(
            board,
            chip,
            error,
            "lan 0\nlan active True\n",
            "wdt 120000\n",
            "feed\n",
            "uart 1 [('baudrate', 115200), ('bits', 8), ('parity', None), ('rxbuf', 2048)",
            "uart 2 [('baudrate', 57600), ('bits', 8)",
            "board: Ethernet: 192.0.2.2",
            "modem plc: line open",
            "modem rf: line open",
            "4 meters",
        )
    finally:
        for process in (board, street):
            if process is not None:
                process.send_signal(signal.SIGKILL)
                process.wait()


def test_whatever_ends_the_gateway_restarts_the_board(tmp_path: Path, micropython: str) -> None:
    """And says first what it was."""
    board = start(tmp_path, micropython, settings_with({"driver": "imst", "url": "uart:lora"}))
    try:
        assert board.wait(300) == 0
    finally:
        board.kill()
    assert (tmp_path / "chip").read_text().splitlines()[-1] == "reset"
    assert (
        "modems[0].url: expected a UART of this board (optical, plc, rf), came 'lora'"
        in (tmp_path / "stderr").read_text()
    )
