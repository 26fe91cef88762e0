"""The gateway as systemd starts it: told where the manager listens, and with the fences of the unit
that a process can put around itself."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 38, 65  # Linux, include/uapi/linux/prctl.h
MDWE_REFUSE_EXEC_GAIN = 1
WATCHDOG_US = 1_500_000


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(300)
        yield line


def fenced() -> None:
    """NoNewPrivileges, and MemoryDenyWriteExecute where the kernel has it (6.3)."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)


def settings_in(folder: Path) -> Path:
    settings = {
        "concentrator": "street-1",
        "system_title": "414d490000000001",
        "uplink": {"host": "127.0.0.1", "port": find_free_port()},
        "signers": [{"kid": "01", "key": "ab" * 64}],
        "plain": True,
        "modems": [{"driver": "ip"}, {"driver": "udp", "kind": "plc"}],
    }
    path = folder / "gateway.json"
    path.write_text(json.dumps(settings))
    return path


def test_the_manager_hears_ready_the_watchdog_and_the_end(
    tmp_path: Path, manager: socket.socket
) -> None:
    path = settings_in(tmp_path)
    gateway = subprocess.Popen(
        [sys.executable, "-m", "board.linux", "--settings", str(path)],
        cwd=ROOT,
        preexec_fn=fenced,
        env={
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": str(WATCHDOG_US),
        },
        stderr=subprocess.PIPE,
    )
    try:
        first = manager.recv(4096).decode().splitlines()
        assert "READY=1" in first and "WATCHDOG=1" in first
        assert any(line.startswith("STATUS=") and len(line) > 10 for line in first), first
        # Three in time for the manager's limit, else it would have killed us.
        manager.settimeout(WATCHDOG_US / 1e6 + 5)
        for _ in range(3):
            assert "WATCHDOG=1" in manager.recv(4096).decode().splitlines()
        gateway.send_signal(signal.SIGTERM)
        heard = manager.recv(4096).decode()
        while "STOPPING=1" not in heard:
            heard = manager.recv(4096).decode()
        assert gateway.wait(60) == 0
    finally:
        gateway.kill()
        gateway.wait()
    assert gateway.stderr is not None
    log = gateway.stderr.read().decode()
    assert "ERROR" not in log.upper().replace("ERRNO", ""), log


def test_the_kernels_watchdog_is_fed_and_stopped_at_the_end(tmp_path: Path) -> None:
    """A file stands for /dev/watchdog, which machines for tests do not have."""
    device = tmp_path / "watchdog"
    device.touch()
    arguments = ["--settings", str(settings_in(tmp_path)), "--watchdog", str(device)]
    gateway = subprocess.Popen([sys.executable, "-m", "board.linux", *arguments], cwd=ROOT)
    try:
        deadline = time.monotonic() + 300
        while not device.read_bytes():
            assert gateway.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(60) == 0
    finally:
        gateway.kill()
        gateway.wait()
    fed = device.read_bytes()
    assert fed == b"\n" * (len(fed) - 1) + b"V"
    (tmp_path / "gateway.json").write_text("{}")
    again = [sys.executable, "-m", "board.linux", *arguments]
    assert subprocess.run(again, cwd=ROOT, capture_output=True).returncode == 2
    assert device.read_bytes() == fed  # wrong settings are found before it is armed
