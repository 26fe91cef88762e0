"""The client of NTP on both runtimes, over real UDP."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.contract.conftest import RunCase, cases

DATE = 1_800_000_000


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_ntp"))
def test_ntp(runtime: str, case: str, run_case: RunCase, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(600)

        def serve() -> None:
            request, sender = server.recvfrom(100)
            stamp = (DATE + 2208988800).to_bytes(4, "big") + bytes(4)
            server.sendto(b"\x24\x01" + bytes(22) + request[40:48] + stamp * 2, sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("NTP_PORT", str(server.getsockname()[1]))
        monkeypatch.setenv("NTP_DATE", str(DATE))
        run_case(runtime, "portable_ntp", case)
        thread.join()
