"""A whole gateway whose clock counts as unset, over real TLS: its last known time lies in the
future, by a mistake. Certificates are judged by that time; nothing but the time is taken; a time
signed by a key for orders sets the clock and brings the last known time back.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, micropython_environment
from tests.mosquitto import Mosquitto
from tests.openssl_ca import OpensslCa
from tests.unit.hes.orders import CONCENTRATOR, read
from tools.demonstration.stage import RUNTIMES
from tools.hes.line.broker import Broker
from tools.hes.line.service import Service
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

PATIENCE = 300  # seconds; only a defect takes so long
_2040, _2046 = 2208988800, 2400000000  # the certificates end in 2045


class Scene:
    def __init__(self, folder: Path, broker: Mosquitto, authority: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.key = SigningKey.generate()
        self.store = Store(str(folder / "hes.sqlite"))
        files = [authority / name for name in ("ca.pem", "hes.pem", "hes.key.pem")]
        self.broker = Broker.parse("mqtts://localhost:%d" % broker.port, *files)
        self.log = folder / "log"
        uplink = {"host": "localhost", "port": broker.port, "ca": "ca.pem"}
        uplink |= {"certificate": "board.pem", "key": "board.key.pem"}
        for name in ("ca.pem", "board.pem", "board.key.pem"):
            (folder / name).write_bytes((authority / name).read_bytes())
        settings = {
            "concentrator": CONCENTRATOR,
            "system_title": "414d490000000001",
            "uplink": uplink,
            "plain": True,
            "signers": [json.loads(self.key.public_json())],
        }
        (folder / "gateway.json").write_text(json.dumps(settings))

    def floor(self, seconds: int) -> None:
        self.data.mkdir(mode=0o700)
        octets = seconds.to_bytes(4, "big")
        whole = octets + zlib.crc32(b"time" + octets).to_bytes(4, "big")
        (self.data / "time.0").write_bytes(whole)

    def kept(self) -> int:
        files = self.data.glob("time.*")
        return max(int.from_bytes(path.read_bytes()[:4], "big") for path in files)

    def gateway(self, runtime: str, micropython: str) -> subprocess.Popen[bytes]:
        settings = str(self.folder / "gateway.json")
        command = [sys.executable, "-m", "board.linux", "--settings", settings]
        environment = None
        if runtime == "micropython":
            command = [micropython, "-m", "board.unix", settings]
            environment = micropython_environment()
        with open(self.log, "wb") as log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)

    async def logs(self, words: str) -> None:
        await self.comes(words, lambda: words in self.log.read_text())

    async def comes(self, what: str, holds) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, what + "\n" + self.log.read_text()
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ca = OpensslCa(tmp_path_factory.mktemp("authority"))
    ca.issue("server", "localhost")
    ca.issue("hes")
    ca.issue("board")
    return ca.folder


@pytest.fixture
def scene(tmp_path: Path, authority: Path) -> Iterator[Scene]:
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(
        tmp_path / "broker",
        f"allow_anonymous true\ncafile {authority}/ca.pem\ncertfile {authority}/server.pem\n"
        f"keyfile {authority}/server.key.pem\nrequire_certificate true\n",
    )
    broker.start()
    scene = Scene(tmp_path, broker, authority)
    yield scene
    scene.store.close()
    broker.stop()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_signed_time_is_the_way_out(scene: Scene, runtime: str, micropython: str) -> None:
    scene.floor(_2040)

    job = read(scene.store, scene.key, "clock 0.0.1.0.0.255 time")

    async def without_signature() -> None:
        """The clock stays unset, and the job waits."""
        running = asyncio.create_task(Service(scene.store.line, scene.broker, plain=True).run())
        await scene.logs("job: not taken until the clock is set")
        await scene.logs("unsigned-time")
        assert scene.kept() == _2040
        await ended(running)

    async def with_signature() -> None:
        service = Service(scene.store.line, scene.broker, time_key=scene.key, plain=True)
        running = asyncio.create_task(service.run())
        await scene.comes("the job's end", lambda: scene.store.reports.finished(job))
        await ended(running)
        assert scene.kept() < time.time() < scene.kept() + 86400

    with_gateway(scene, runtime, micropython, without_signature())
    with_gateway(scene, runtime, micropython, with_signature())  # its start brings a hello


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_certificate_that_ended_before_the_last_known_time(
    scene: Scene, runtime: str, micropython: str
) -> None:
    scene.floor(_2046)

    async def body() -> None:
        await scene.logs("TLS: the broker's certificate has expired")
        text = scene.log.read_text()
        assert "the clock is unset" in text and "2045-01-01" in text
        assert "the board's clock says" in text

    with_gateway(scene, runtime, micropython, body())


def with_gateway(scene: Scene, runtime: str, micropython: str, body) -> None:  # type: ignore[no-untyped-def]
    process = scene.gateway(runtime, micropython)
    try:
        asyncio.run(body)
    finally:
        process.kill()
        process.wait()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
