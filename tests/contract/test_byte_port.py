"""The BytePort contract on both runtimes, over loopback TCP and over a pty."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator

import pytest

from tests.contract.conftest import RunCase, cases


class Echo:
    """The other end of a line: sends everything back (see portable_byte_port)."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.threads: list[threading.Thread] = []

    def serve(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(10)

    def echo(self, fd: int) -> None:
        """Until "bye", the end of the line, or stop()."""
        waiting = b""
        while not self.stopped.is_set():
            readable, writable, _ = select.select([fd], [fd] if waiting else [], [], 0.05)
            try:
                if readable:
                    data = os.read(fd, 4096)
                    if not data or data.endswith(b"bye"):
                        return
                    if data == b"quiet":
                        self.stopped.wait(5)
                        return
                    waiting += data
                if writable:
                    waiting = waiting[os.write(fd, waiting[:1024]) :]
            except OSError:
                return

    def pty(self, leader: int) -> None:
        self.echo(leader)
        os.close(leader)

    def tcp(self, listener: socket.socket) -> None:
        listener.settimeout(0.05)
        while not self.stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.setblocking(False)
            with connection:
                self.echo(connection.fileno())


@pytest.fixture
def line(
    kind: str, free_port: int, monkeypatch: pytest.MonkeyPatch, micropython: str
) -> Iterator[None]:
    """Sets BYTE_PORT to a line of the kind wanted, with an Echo at its other end."""
    echo = Echo()
    monkeypatch.setenv("FREE_PORT", str(free_port))
    if kind == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            monkeypatch.setenv("BYTE_PORT", "tcp://127.0.0.1:%d" % listener.getsockname()[1])
            echo.serve(echo.tcp, listener)
            yield
            echo.stop()
        return
    leader, follower = os.openpty()
    tty.setraw(follower)
    os.set_blocking(leader, False)
    monkeypatch.setenv("BYTE_PORT", "serial:%s?baud=57600" % os.ttyname(follower))
    echo.serve(echo.pty, leader)
    yield
    echo.stop()
    os.close(follower)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_byte_port"))
def test_byte_port(runtime: str, case: str, kind: str, run_case: RunCase, line: None) -> None:
    run_case(runtime, "portable_byte_port", case)
