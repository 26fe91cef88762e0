"""What is attacked: a street of meters, its concentrator on one of the runtimes, the HES, and a
real Mosquitto that the attacker has as well. Judged is by the meters and by the HES's store.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.contract.envelope import split
from gateway.contract.identity import FINGERPRINT_SIZE
from gateway.contract.messages import State
from tests.attack.attacker import Attacker
from tests.attack.line import HostileLine
from tests.mosquitto import Mosquitto
from tests.system.orders import normal_meters, period_package, signed
from tests.unit.hes.secured import Identity
from tools.bootstrap import ROOT, VENV
from tools.demonstration.stage import CONCENTRATOR, PATHS, READY, Stage
from tools.hes import report
from tools.hes.orders import order, typed
from tools.meter.population import OTHER_FIRMWARE, REFUSES_WRITE
from tools.package.keys import SigningKey

METERS = 5
SPEED = 50
PATIENCE = 300  # seconds; only a defect takes so long
PERIODS = (900, 1800)
OTHERS = ("street-2", "street-3")  # enrolled too, and the attacker has their keys
ODD = (REFUSES_WRITE, OTHER_FIRMWARE)


class Cell(Stage):
    """`secured`: the line is protected and the concentrator enrolled; else it is a plain one."""

    def __init__(self, folder: Path, runtime: str, secured: bool) -> None:
        super().__init__(folder)
        self.runtime = runtime
        self.secured = secured
        self.broker = Mosquitto(folder)
        self.line = HostileLine(self.broker.port)  # of the concentrator
        self.others = {name: Identity() for name in OTHERS}
        self._written: list[int] = []
        self._born = 0
        self._period = PERIODS[0]  # as the meters are made
        self.package = b""  # the one ordered last

    def __enter__(self) -> Cell:
        try:
            self._set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _set_up(self) -> None:
        self.line.__enter__()
        self.start_meters(METERS, seed=5, loss=0.0, speed=SPEED)
        self.meters = self.control()
        self.serials = normal_meters(self.meters)
        self._written = self.written()
        # Two that are not in the ordinary jobs.
        self.odd = [each["serial"] for each in self.meters.meters() if each["role"] in ODD]
        # The concentrator is enrolled before anybody can hear it.
        self.start_gateway(self.runtime)
        self.hes_store = self.store()
        if self.secured:
            self.wait_for("the fingerprint", READY, self.fingerprints)
            self.hes("concentrator", "add", CONCENTRATOR, self.fingerprints()[0])
            for name, other in self.others.items():
                self.hes_store.enrolment.add(name, other.fingerprint)
        self.freeze("gateway", True)  # it shall not say hello before anybody listens
        self.broker.start()
        self.attacker = Attacker(self.broker.port)
        self.start_hes()
        self.wait_for("the HES", READY, self._hes_listens)
        self.freeze("gateway", False)
        self.wait_for("the concentrator", READY, self._is_there)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.broker.stop()
        self.line.__exit__()

    # Its processes.

    def start_hes(self, *more: str) -> None:
        line = ["--line-key", str(self.folder / "line.pem")] if self.secured else ["--plain"]
        command = [sys.executable, "-m", "tools.hes", "--db", str(self.database), "serve"]
        environment = {"AMI_HES_BROKER": self.broker.url}
        self._start("hes", [*command, *line, *more], environment, wait=False)

    def start_gateway(self, runtime: str, **more: Any) -> None:
        line: dict[str, Any] = {"plain": True}
        if self.secured:
            line = {"plain": False, "hes_keys": [_public(self.line_key)]}
        settings = {
            "concentrator": CONCENTRATOR,
            "system_title": "414d490000000001",
            "uplink": {"host": "127.0.0.1", "port": self.line.port, **more},
            "signers": [_public(self.key)],
            "modems": [
                {"driver": "prime-usi", "url": "serial:%s?baud=115200" % (self.folder / "plc")},
                {"driver": "imst", "url": "serial:%s?baud=57600" % (self.folder / "rf")},
            ],
            "paths": PATHS,
            **line,
        }
        (self.folder / "gateway.json").write_text(json.dumps(settings, indent=2) + "\n")
        self._start("gateway", self.gateway_command(), wait=False)

    def gateway_command(self, data: Path | None = None, module: str = "") -> list[str]:
        """`data`: another folder than its own; `module`: another one than its board's."""
        settings, kept = str(self.folder / "gateway.json"), str(data or self.data)
        if self.runtime == "micropython":
            return [str(VENV / "bin/micropython"), "-m", module or "board.unix", settings, kept]
        command = [sys.executable, "-m", module or "board.linux"]
        return [*command, "--settings", settings, "--data", kept]

    def log(self, name: str) -> str:
        return (self.folder / (name + ".log")).read_text(errors="replace")

    def fingerprints(self) -> list[str]:
        """As the concentrator has shown them in its log."""
        mark = "fingerprint "
        lines = self.log("gateway").splitlines()
        found = [line.partition(mark)[2].split()[0] for line in lines if mark in line]
        return [each for each in found if len(each.replace("-", "")) == 2 * FINGERPRINT_SIZE]

    def hes(self, *arguments: str) -> str:
        """A command of `ami-hes`; what it prints."""
        command = [sys.executable, "-m", "tools.hes", "--db", str(self.database), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def answer_to(self, message_1: bytes, who: str) -> bytes:
        """The HES's, to a handshake that somebody begins by that name."""
        before = len(self.attacker.heard("edhoc"))
        self.attacker.say("edhoc", message_1, who=who)
        self.wait_for("an answer", PATIENCE, lambda: len(self.attacker.heard("edhoc")) > before)
        return self.attacker.heard("edhoc")[-1][1]

    def freeze(self, name: str, frozen: bool) -> None:
        """The process stops where it is, or goes on."""
        self._processes[name].send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def pids(self) -> list[int]:
        return [self._processes[name].pid for name in ("hes", "gateway")]

    def restart_gateway(self) -> None:
        """SIGKILL, and a new start."""
        self.kill("gateway")
        self.resume_gateway()

    def resume_gateway(self, module: str = "") -> None:
        self._born = len(self.sessions())
        self._start("gateway", self.gateway_command(module=module), wait=False)

    def slow(self, seconds: int) -> None:
        """Each of `serials` answers so much later; their time is 50 times as fast."""
        for serial in self.serials:
            self.meters.fault(serial, "slow_ms", seconds * 1000 * SPEED)

    # Orders, and judges.

    def configure(self) -> bytes:
        """A job that changes something in each meter; its id."""
        self._period = PERIODS[self._period == PERIODS[0]]
        package = self.package = signed(period_package(self._period), self.key)
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
        store = self.hes_store.orders
        return order.configure(store, self.key, CONCENTRATOR, self.serials, terms, package)

    def read_clock(self, serial: str, tries: int = 10) -> bytes:
        """A job that reads one meter's clock; its id."""
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=tries, backoff=1)
        clock = [typed.parse_attribute("clock 0.0.1.0.0.255 time")]
        return order.read(self.hes_store.orders, self.key, CONCENTRATOR, [serial], terms, clock)

    def finished(self, job: bytes) -> bool:
        return bool(self.hes_store.reports.finished(job))

    def results(self, job: bytes) -> dict[str, str]:
        rows = report.build(self.hes_store.reports, job)["meters"]
        return {row["serial"]: row["result"] for row in rows}

    def written(self) -> list[int]:
        """How often anybody has changed something in each of `serials`."""
        return [sum(entry["count"] for entry in self.meters.log(serial)) for serial in self.serials]

    def judge(self, job: bytes) -> None:
        """The job ends, OK in each meter, and each was written exactly once for it."""
        self.wait_for("the job's end", PATIENCE, lambda: self.finished(job))
        assert self.results(job) == dict.fromkeys(self.serials, "OK")
        before, self._written = self._written, self.written()
        assert self._written == [each + 1 for each in before]

    def legal_job(self, attack: Callable[[], None] | None = None) -> float:
        """Orders a job, attacks meanwhile, judges. How long it took, in seconds."""
        began = time.monotonic()
        job = self.configure()
        if attack is not None:
            attack()
        self.judge(job)
        return time.monotonic() - began

    def events(self) -> list[tuple[str, str]]:
        """(name, detail) of what the HES has noted, newest first."""
        return [(each.name, each.detail) for each in self.hes_store.reports.events(1000)]

    def count(self, name: str) -> int:
        """Of the events of this name."""
        return len([each for each, _ in self.events() if each == name])

    def wait_for_birth(self) -> None:
        """Until the gateway that was started last has begun a connection."""
        self.wait_for("a birth", PATIENCE, lambda: len(self.sessions()) > self._born)

    def sessions(self) -> set[int]:
        """Of the connections that it has begun, as anybody can see them."""
        states = [raw for _, raw in self.attacker.heard("state") if raw]
        if self.secured:
            states = [split(raw)[1] for raw in states]
        return {State.decode(each).session for each in states}

    def _hes_listens(self) -> bool:
        service = self.hes_store.reports.service()
        return service is not None and service.status == "connected"

    def _is_there(self) -> bool:
        return any(place.online for place in self.hes_store.reports.concentrators())


def _public(key: SigningKey) -> dict[str, str]:
    return {"kid": key.kid.hex(), "key": key.public.hex()}
