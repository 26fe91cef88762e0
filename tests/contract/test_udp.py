"""The UDP link on both runtimes, over IPv4 and IPv6."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from hal.modem.wrapper import unwrap, wrap
from tests.contract.conftest import RunCase, cases


def echo(line: socket.socket, stopped: threading.Event) -> None:
    line.settimeout(0.05)
    while not stopped.is_set():
        try:
            datagram, peer = line.recvfrom(65535)
        except TimeoutError:
            continue
        client, server, apdu = unwrap(datagram)
        if apdu == b"silence":
            continue
        line.sendto(b"", peer)
        line.sendto(b"\x00\x01\x00\x01no wrapper", peer)
        line.sendto(wrap(server, client + 1, b"for another client"), peer)
        line.sendto(wrap(server, client, apdu), peer)


@pytest.fixture
def peer(host: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    stopped = threading.Event()
    with (
        socket.socket(family, socket.SOCK_DGRAM) as line,
        socket.socket(family, socket.SOCK_DGRAM) as other,
    ):
        try:
            line.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no %s" % host)
        other.bind((host, 0))
        free = other.getsockname()[1]
        other.close()
        monkeypatch.setenv("UDP_HOST", host)
        monkeypatch.setenv("UDP_PORT", str(line.getsockname()[1]))
        monkeypatch.setenv("FREE_UDP_PORT", str(free))
        thread = threading.Thread(target=echo, args=(line, stopped), daemon=True)
        thread.start()
        yield
        stopped.set()
        thread.join(10)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_udp"))
def test_udp(runtime: str, case: str, host: str, run_case: RunCase, peer: None) -> None:
    run_case(runtime, "portable_udp", case)
