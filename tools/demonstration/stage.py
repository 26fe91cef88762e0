"""Everything a gateway needs around it, as real processes on this machine: a broker, a street of
virtual meters behind emulated modems, the HES. Used by the demo and by the tests that kill things.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bootstrap import ROOT, VENV
from tools.hes.orders import fingerprint
from tools.hes.store.reports import Reports
from tools.hes.store.store import Store
from tools.meter.control import Control
from tools.package.keys import SigningKey

CONCENTRATOR = "street-1"
RUNTIMES = ("cpython", "micropython")
READY = 60  # seconds a process has to say that it is ready
# Patience fit for the emulated channel, so that a dead meter does not keep anybody waiting.
PATHS = {
    "plc": {"timeout_ms": 3000, "tries": 3},
    "rf": {"timeout_ms": 3000, "tries": 4},
}


def complaints(store: Reports) -> list[tuple[str, str]]:
    """(name, detail) of the events, but for those that the stage itself brings about."""
    ours = ("enrolled", "service-started")
    return [(each.name, each.detail) for each in store.events() if each.name not in ours]


class StageProblem(Exception):
    """A process did not start or ended early; the text holds the end of what it wrote."""


class Stage:
    """Use as a context manager; `folder` keeps every process's log, the HES's database, and the
    gateway's data. `plain`: nothing protects the line, so that it can be read.
    """

    def __init__(self, folder: Path, plain: bool = False) -> None:
        self.plain = plain
        self.folder = folder
        self.data = folder / "data"
        self.key_file = folder / "operator.pem"
        self.database = folder / "hes.sqlite"
        self.key = SigningKey.generate()
        self.key.save(self.key_file)
        self.line_key_file = folder / "line.pem"
        self.line_key = SigningKey.generate()
        self.line_key.save(self.line_key_file)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._broker = urllib.parse.urlsplit("")
        self._ports: dict[str, Any] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._processes)):
            self.stop(name)

    # Each starts one process.

    def start_broker(self, url: str | None = None) -> None:
        """An embedded one, or with a URL (mqtt://[user:password@]host[:port]) the one that is
        there.
        """
        if url is None:
            port = int(self._start("broker", [sys.executable, "-m", "tools.demonstration.broker"]))
            url = "mqtt://127.0.0.1:%d" % port
        self._broker = urllib.parse.urlsplit(url)
        if self._broker.scheme != "mqtt" or not self._broker.hostname:
            raise StageProblem("expected a broker such as mqtt://user:password@localhost:1883")
        host, port = self._broker.hostname, self._broker.port or 1883
        try:
            socket.create_connection((host, port), READY).close()
        except OSError as error:
            raise StageProblem("no broker at %s:%d: %s" % (host, port, error)) from None

    def start_meters(self, meters: int, seed: int, loss: float, speed: float) -> None:
        """`speed`: how many times faster than real the channel is."""
        command = [sys.executable, "-m", "tools.meter", "population", "--control", "0"]
        command += ["--inventory", str(self.data), "--meters", str(meters), "--seed", str(seed)]
        command += ["--loss", str(loss), "--speed", str(speed)]
        command += ["--plc-pty", str(self.folder / "plc"), "--rf-pty", str(self.folder / "rf")]
        self._ports = json.loads(self._start("meters", command))

    def start_hes(self, *more: str) -> None:
        """`more` arguments of its command."""
        command = [sys.executable, "-m", "tools.hes", "--db", str(self.database), "serve"]
        protection = ["--plain"] if self.plain else ["--line-key", str(self.line_key_file)]
        command += [*protection, *more]
        self._start("hes", command, {"AMI_HES_BROKER": self._broker.geturl()}, wait=False)

    def start_gateway(self, runtime: str, **more: Any) -> None:
        """`runtime` is one of RUNTIMES; its meters and broker are running already. `more` settings
        of its uplink.
        """
        uplink: dict[str, Any] = {"host": self._broker.hostname, "port": self._broker.port or 1883}
        if self._broker.username:
            password = self.folder / "uplink.password"
            password.touch(mode=0o600)
            password.write_text(urllib.parse.unquote(self._broker.password or ""))
            uplink["username"] = urllib.parse.unquote(self._broker.username)
            uplink["password_file"] = password.name
        uplink.update(more)
        settings = {
            "concentrator": CONCENTRATOR,
            "system_title": "414d490000000001",
            "uplink": uplink,
            "signers": [{"kid": self.key.kid.hex(), "key": self.key.public.hex()}],
            **({"plain": True} if self.plain else {"hes_keys": self.hes_keys()}),
            "modems": [
                {"driver": "prime-usi", "url": "serial:%s?baud=115200" % (self.folder / "plc")},
                {"driver": "imst", "url": "serial:%s?baud=57600" % (self.folder / "rf")},
                {"driver": "ip"},
            ],
            "paths": PATHS,
        }
        path = self.folder / "gateway.json"
        path.write_text(json.dumps(settings, indent=2) + "\n")
        if not self.plain:
            self.enrol(path)
        if runtime == "micropython":
            command = [str(VENV / "bin/micropython"), "-m", "board.unix", str(path), str(self.data)]
        else:
            command = [sys.executable, "-m", "board.linux"]
            command += ["--settings", str(path), "--data", str(self.data)]
        self._start("gateway", command, wait=False)

    def hes_keys(self) -> list[dict[str, str]]:
        """As a gateway's settings have them."""
        return [{"kid": self.line_key.kid.hex(), "key": self.line_key.public.hex()}]

    def enrol(self, settings: Path) -> None:
        """As people do it: the board with these settings tells its fingerprint, and the HES is told
        of it.
        """
        command = [sys.executable, "-m", "board.linux", "--settings", str(settings)]
        command += ["--data", str(self.data), "--identity"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        enrolment = self.store().enrolment
        if enrolment.get(CONCENTRATOR) is None:
            enrolment.add(CONCENTRATOR, fingerprint.parse(said.stdout))

    # While it runs.

    def store(self) -> Store:
        return Store(self.database)

    def control(self) -> Control:
        """The back door into the meters, open while they run."""
        return Control(self._ports["control"])

    def modem(self, kind: str) -> str:
        """The pseudo-terminal of the "plc" or "rf" modem."""
        return str(self._ports[kind + "_pty"])

    def wait_for_hello(self) -> None:
        """Until the concentrator is on the line."""
        store = self.store()
        self.wait_for(
            "the concentrator's hello",
            READY,
            lambda: any(place.online for place in store.reports.concentrators()),
        )

    def said(self, name: str, where: str) -> list[str]:
        """What the process has logged of this part of it, a text for each line."""
        text = (self.folder / (name + ".log")).read_text(errors="replace")
        mark = " %s: " % where
        return [line.partition(mark)[2] for line in text.splitlines() if mark in line]

    def resident(self, name: str) -> int:
        """Octets of memory that the process has in use now."""
        statm = Path("/proc/%d/statm" % self._processes[name].pid).read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def ensure_running(self) -> None:
        """StageProblem if a process has ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise self._problem(name, "ended with status %d" % process.returncode)

    def wait_for(self, what: str, seconds: float, holds: Any) -> None:
        """Until holds() is true; StageProblem when it takes longer, or a process ends."""
        deadline = time.monotonic() + seconds
        while not holds():
            self.ensure_running()
            if time.monotonic() > deadline:
                raise StageProblem(
                    "%s: not within %d s; logs are in %s" % (what, seconds, self.folder)
                )
            time.sleep(0.05)

    def stop(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, name: str) -> None:
        """SIGKILL: no goodbye of any kind."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def _start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> str:
        """Start a process; returns the first line it prints if `wait`."""
        with open(self.folder / (name + ".log"), "ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if wait else log,
                stderr=log,
            )
        self._processes[name] = process
        if not wait:
            return ""
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], READY)[0]:
            raise self._problem(name, "was not ready within %d s" % READY)
        line = process.stdout.readline().decode()
        if not line:
            process.wait()
            raise self._problem(name, "ended with status %d" % process.returncode)
        return line

    def _problem(self, name: str, what: str) -> StageProblem:
        text = (self.folder / (name + ".log")).read_text(errors="replace")
        last = "\n".join(text.splitlines()[-15:])
        return StageProblem("%s %s; its log ends:\n%s" % (name, what, last))
