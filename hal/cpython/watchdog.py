"""Watchdogs of a Linux machine: systemd's for the service, and the kernel's for the whole board."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from hal.rt import log

WHERE = "watchdog"

# Linux, include/uapi/linux/watchdog.h
_WDIOC_SETTIMEOUT = 0xC0045706
_MAGIC_CLOSE = b"V"
_NO_LIMIT_MS = 86_400_000
_LONGEST_STATUS = 200


class SystemdWatchdog:
    """See hal.ports.Watchdog: the service manager's, over its socket (sd_notify(3)).

    systemd restarts the service when WatchdogSec of its unit passes without feed(). The first one
    says READY=1 too, which Type=notify waits for."""

    def __init__(self, address: str, timeout_ms: int) -> None:
        """`address`: a path, or with a leading @ a name in Linux' abstract space."""
        self.timeout_ms = timeout_ms
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._ready = False
        self._status = ""

    @classmethod
    def of_environment(cls) -> SystemdWatchdog | None:
        """None when no service manager started this process."""
        address = os.environ.get("NOTIFY_SOCKET", "")
        if not address:
            return None
        timeout_ms = _NO_LIMIT_MS
        try:
            if int(os.environ.get("WATCHDOG_PID", os.getpid())) == os.getpid():
                timeout_ms = int(os.environ.get("WATCHDOG_USEC", "0")) // 1000 or _NO_LIMIT_MS
        except ValueError:
            log.warning(WHERE, "WATCHDOG_USEC or WATCHDOG_PID is no number: no time limit")
        return cls(address, timeout_ms)

    def feed(self, status: str = "") -> None:
        """See hal.ports.Watchdog."""
        lines = ["WATCHDOG=1"]
        if not self._ready:
            self._ready = True
            lines.insert(0, "READY=1")
        if status != self._status:
            self._status = status
            lines.append("STATUS=" + _one_line(status))
        self._send(lines)

    def stop(self, status: str = "") -> None:
        """The service ends in good order, for this reason."""
        self._send(["STOPPING=1", "STATUS=" + _one_line(status)])

    def _send(self, lines: list[str]) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.connect(self._address)
                line.send("\n".join(lines).encode())
        except OSError as error:
            log.warning(WHERE, "the service manager does not hear us: %s" % error)


class DeviceWatchdog:
    """See hal.ports.Watchdog: the kernel's (/dev/watchdog), which restarts the board.

    It runs from the making on. Without stop() it bites even when the process ends."""

    def __init__(self, path: str = "/dev/watchdog", timeout_s: int = 60) -> None:
        """OSError when there is none, or somebody has it."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self.timeout_ms = timeout_s * 1000
        try:
            answer = fcntl.ioctl(self._fd, _WDIOC_SETTIMEOUT, struct.pack("@i", timeout_s))
            self.timeout_ms = struct.unpack("@i", answer)[0] * 1000
        except OSError:
            log.warning(
                WHERE, "%s has a timeout of its own, %d s are hoped for" % (path, timeout_s)
            )

    def feed(self, status: str = "") -> None:
        """See hal.ports.Watchdog."""
        self._write(b"\n")

    def stop(self, status: str = "") -> None:
        """Stop it, unless the kernel was built never to (nowayout)."""
        self._write(_MAGIC_CLOSE)
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._fd, data)
        except OSError as error:
            log.warning(WHERE, "the watchdog device takes nothing: %s" % error)


def _one_line(text: str) -> str:
    printable = "".join([c if c.isprintable() else " " for c in text])
    return printable[:_LONGEST_STATUS]
