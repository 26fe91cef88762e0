"""The watchdogs of a Linux machine, at a real datagram socket and a device that is a file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hal.cpython.watchdog import DeviceWatchdog, SystemdWatchdog


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_ready_once_then_the_watchdog_and_each_new_status(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "@ami-test-%d" % os.getpid() if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if abstract else address)
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "90000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        watchdog = SystemdWatchdog.of_environment()
        assert watchdog is not None and watchdog.timeout_ms == 90_000
        for status in ("3 jobs", "3 jobs", "2 jobs\nREADY=0\x1b" + "x" * 1000):
            watchdog.feed(status)
        watchdog.stop("bye")
        heard = [manager.recv(65536).decode() for _ in range(4)]
    assert heard[0] == "READY=1\nWATCHDOG=1\nSTATUS=3 jobs"
    assert heard[1] == "WATCHDOG=1"
    assert heard[2].startswith("WATCHDOG=1\nSTATUS=2 jobs READY=0 xxx") and len(heard[2]) < 300
    assert heard[3] == "STOPPING=1\nSTATUS=bye"


def test_no_manager_no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert SystemdWatchdog.of_environment() is None


@pytest.mark.parametrize("usec,pid", [("", ""), ("x", "1"), ("60000000", "1"), ("0", "")])
def test_a_limit_that_is_not_ours_is_none(
    usec: str, pid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nobody/there")
    watchdog = SystemdWatchdog.of_environment()
    assert watchdog is not None and watchdog.timeout_ms == 86_400_000
    watchdog.feed()  # a manager that is gone is no reason to die


def test_the_device_is_fed_and_closed_with_the_magic_letter(tmp_path: Path) -> None:
    device = tmp_path / "watchdog"
    device.touch()
    watchdog = DeviceWatchdog(str(device), 30)
    assert watchdog.timeout_ms == 30_000
    watchdog.feed("all well")
    watchdog.feed()
    watchdog.stop()
    assert device.read_bytes() == b"\n\nV"
    with pytest.raises(OSError):
        DeviceWatchdog(str(tmp_path / "none"))
