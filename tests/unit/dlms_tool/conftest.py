"""A virtual meter on real lines, and the tool run against it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.dlms.hdlc.mode_e import Identification
from tools.dlms.__main__ import main
from tools.meter.device import build_meter, derive_test_keys
from tools.meter.hdlc import MeterHdlc
from tools.meter.model import Meter
from tools.meter.server import CONFORMANCE, MeterServer
from tools.meter.tcp import MeterTcp
from tools.meter.udp import MeterUdp

SERIAL = "AMI0000000001"
PASSWORD = "open sesame 42"
KEYS = derive_test_keys(7, SERIAL)
SECRETS = [PASSWORD, PASSWORD.encode().hex(), KEYS.ek.hex(), KEYS.ak.hex(), KEYS.master.hex()]

T = TypeVar("T")


class World:
    """An event loop in a thread, where meters live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._ends: list[Callable[[], Awaitable[None]]] = []

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def at_end(self, end: Callable[[], Awaitable[None]]) -> None:
        self._ends.append(end)

    def stop(self) -> None:
        async def stop() -> None:
            for end in reversed(self._ends):
                await end()

        self.run(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.stop()


class Stand:
    """One meter on TCP and UDP, at `tcp` and `udp`; on HDLC lines when asked."""

    def __init__(self, world: World, meter: Meter, conformance: int = CONFORMANCE) -> None:
        self.world = world
        self.meter = meter
        self.server = MeterServer(meter, conformance=conformance)
        self.tcp = self._start(MeterTcp(self.server), "tcp")
        self.udp = self._start(MeterUdp(self.server), "udp")

    @property
    def hdlc(self) -> str:
        return self._start(MeterHdlc(self.server), "hdlc+tcp")

    @property
    def pty(self) -> str:
        return self._open_pty(MeterHdlc(self.server))

    @property
    def mode_e(self) -> str:
        probe = Identification("AMI", 9600, True, "E450")
        return self._open_pty(MeterHdlc(self.server, mode_e=probe)) + "?mode_e=1"

    def _open_pty(self, line: MeterHdlc) -> str:
        async def open_pty() -> str:
            return line.open_pty()

        device = self.world.run(open_pty())
        self.world.at_end(line.stop)
        return "hdlc+serial:" + device

    def _start(self, line: MeterTcp | MeterUdp | MeterHdlc, scheme: str) -> str:
        port = self.world.run(line.start(0))
        self.world.at_end(line.stop)
        return "%s://127.0.0.1:%d" % (scheme, port)


@pytest.fixture
def stand(world: World) -> Stand:
    return Stand(world, build_meter(SERIAL, keys=KEYS))


@pytest.fixture
def lls_stand(world: World) -> Stand:
    return Stand(world, build_meter(SERIAL, password=PASSWORD.encode()))


class Ran:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tool = Callable[..., Ran]


@pytest.fixture
def tool(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tool:
    """Runs `ami-dlms` and gives status and output; no secret is ever in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("AMI_DLMS_PASSWORD", "AMI_DLMS_EK", "AMI_DLMS_AK"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        try:
            status = main(list(arguments))
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        for secret in SECRETS:
            assert secret not in (out + err).lower(), "a secret was shown"
        assert "Traceback" not in err, err
        return Ran(status, out, err)

    return run


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """The options that give the management client its keys, by a keys.jsonl."""
    path = tmp_path / "keys.jsonl"
    row = {"serial": SERIAL, "ek": KEYS.ek.hex(), "ak": KEYS.ak.hex()}
    other = {"serial": "AMI0000000009", "ek": "00" * 16, "ak": "11" * 16}
    path.write_text(json.dumps(other) + "\n" + json.dumps(row) + "\n")
    return ["--keys", str(path), "--serial", SERIAL]
