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
        line.settimeout(60)
        yield line


def fenced() -> None:
    """NoNewPrivileges, and MemoryDenyWriteExecute where the kernel has it (6.3)."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)


def test_the_manager_hears_ready_the_watchdog_and_the_end(
    tmp_path: Path, manager: socket.socket
) -> None:
    settings = {
        "concentrator": "street-1",
        "system_title": "414d490000000001",
        "uplink": {"host": "127.0.0.1", "port": find_free_port()},
        "signers": [{"kid": "01", "key": "ab" * 64}],
        "modems": [{"driver": "ip"}, {"driver": "udp", "kind": "plc"}],
    }
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(settings))
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
        assert gateway.wait(20) == 0
    finally:
        gateway.kill()
        gateway.wait()
    assert gateway.stderr is not None
    log = gateway.stderr.read().decode()
    assert "ERROR" not in log.upper().replace("ERRNO", ""), log
