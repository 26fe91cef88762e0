"""A meter behind a concentrator: what the command line wants for it. The whole way is in
tests/system/test_local_access.py."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from gateway.dlms import apdu
from gateway.dlms.protection.keyring import Keys
from gateway.local.objects import Objects
from gateway.local.server import LocalServer
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tests.portable.local.support import Times, kept
from tests.portable.local.test_server import AK, EK, OURS, THEIRS, Status
from tools.dlms.__main__ import main
from tools.dlms.via import LocalKey, ViaLink

READ = ["hdlc+serial:/dev/no-such-line", "get", "data 0.0.42.0.0.255 value"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*READ, *arguments]) == 2
    return capsys.readouterr().err


def test_the_local_key_is_wanted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "--via needs --local-key" in refused(capsys, "--via", "AMI1")
    key = tmp_path / "local.key"
    missing = refused(capsys, "--via", "AMI1", "--local-key", str(key))
    assert "%s: No such file" % key in missing
    for text in ("", "00" * 31, "zz" * 32):
        key.write_text(text)
        said = refused(capsys, "--via", "AMI1", "--local-key", str(key))
        assert "expected 64 hex digits" in said and (not text or text not in said)


class Concentrator:
    """A Link to a concentrator's local access, which has counted to `last` and names that."""

    max_apdu = 500

    def __init__(self, last: int) -> None:
        self._last = last
        self._server = LocalServer(
            Objects("street-1", Status(), kept(ManualClock()), Times()),
            Keys(THEIRS, EK, AK),
            SystemCrypto(),
            ManualClock(),
            itertools.count(1).__next__,
            lambda kind, details: None,
        )
        self._server._received[OURS] = last
        self._answers: list[bytes] = []

    async def send(self, data: bytes | memoryview) -> None:
        answer = self._server.answer(1, bytes(data))
        if answer == apdu.ExceptionResponse(1, 6, self._last + 1).encode():
            answer = apdu.ExceptionResponse(1, 6, self._last).encode()
        self._answers.append(answer)

    async def receive(self, timeout_ms: int) -> bytes:
        if not self._answers:
            raise asyncio.TimeoutError
        return self._answers.pop(0)

    async def close(self) -> None: ...


def test_a_concentrator_that_names_the_last_counter_it_has_accepted(tmp_path: Path) -> None:
    path = tmp_path / "local.key"
    path.write_text((EK + AK).hex())
    key = LocalKey(path, OURS, tmp_path / "counters.json")

    async def play() -> None:
        link = Concentrator(7000)
        via = await ViaLink.open(link, "M1", 1, key, ManualClock(), SystemCrypto(), 1000, 3)
        await via.close()

    asyncio.run(play())
    assert key.counter.next() > 7001
