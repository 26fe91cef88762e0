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

from gateway.contract.identity import FINGERPRINT_SIZE
from tests.attack.attacker import Attacker
from tests.mosquitto import Mosquitto
from tests.system.orders import normal_meters, period_package, signed
from tools.bootstrap import ROOT, VENV
from tools.demonstration.stage import CONCENTRATOR, PATHS, READY, Stage
from tools.hes import report
from tools.hes.orders import order
from tools.package.keys import SigningKey

METERS = 5
PATIENCE = 300  # seconds; only a defect takes so long
PERIODS = (900, 1800)


class Cell(Stage):
    """`secured`: the line is protected and the concentrator enrolled; else it is a plain one."""

    def __init__(self, folder: Path, runtime: str, secured: bool) -> None:
        super().__init__(folder)
        self.runtime = runtime
        self.secured = secured
        self.broker = Mosquitto(folder)
        self._written: dict[str, int] = {}
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
        self.start_meters(METERS, seed=5, loss=0.0, speed=50.0)
        self.meters = self.control()
        self.serials = normal_meters(self.meters)
        # The concentrator is enrolled before anybody can hear it.
        self.start_gateway(self.runtime)
        self.hes_store = self.store()
        if self.secured:
            self.wait_for("the fingerprint", READY, self.fingerprints)
            self.hes("concentrator", "add", CONCENTRATOR, self.fingerprints()[0])
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
            "uplink": {"host": "127.0.0.1", "port": self.broker.port, **more},
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

    def gateway_command(self) -> list[str]:
        settings, data = str(self.folder / "gateway.json"), str(self.data)
        if self.runtime == "micropython":
            return [str(VENV / "bin/micropython"), "-m", "board.unix", settings, data]
        return [sys.executable, "-m", "board.linux", "--settings", settings, "--data", data]

    def fingerprints(self) -> list[str]:
        """As the concentrator has shown them in its log."""
        mark = "fingerprint "
        lines = (self.folder / "gateway.log").read_text(errors="replace").splitlines()
        found = [line.partition(mark)[2].split()[0] for line in lines if mark in line]
        return [each for each in found if len(each.replace("-", "")) == 2 * FINGERPRINT_SIZE]

    def hes(self, *arguments: str) -> str:
        """A command of `ami-hes`; what it prints."""
        command = [sys.executable, "-m", "tools.hes", "--db", str(self.database), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def freeze(self, name: str, frozen: bool) -> None:
        """The process stops where it is, or goes on."""
        self._processes[name].send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def pids(self) -> list[int]:
        return [self._processes[name].pid for name in ("hes", "gateway")]

    def restart_gateway(self) -> None:
        """SIGKILL, and a new start."""
        self.kill("gateway")
        self.resume_gateway()

    def resume_gateway(self) -> None:
        self._start("gateway", self.gateway_command(), wait=False)

    # Orders, and judges.

    def configure(self) -> bytes:
        """A job that changes something in each meter; its id."""
        self._period = PERIODS[self._period == PERIODS[0]]
        package = self.package = signed(period_package(self._period), self.key)
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
        store = self.hes_store.orders
        return order.configure(store, self.key, CONCENTRATOR, self.serials, terms, package)

    def finished(self, job: bytes) -> bool:
        return bool(self.hes_store.reports.finished(job))

    def results(self, job: bytes) -> dict[str, str]:
        rows = report.build(self.hes_store.reports, job)["meters"]
        return {row["serial"]: row["result"] for row in rows}

    def writes(self, serial: str) -> int:
        """How often anybody has changed something in the meter."""
        return sum(entry["count"] for entry in self.meters.log(serial))

    def judge(self, job: bytes) -> None:
        """The job ends, OK in each meter, and each was written exactly once for it."""
        self.wait_for("the job's end", PATIENCE, lambda: self.finished(job))
        assert self.results(job) == dict.fromkeys(self.serials, "OK")
        for serial in self.serials:
            self._written[serial] = self._written.get(serial, 0) + 1
            assert self.writes(serial) == self._written[serial], serial

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

    def _hes_listens(self) -> bool:
        service = self.hes_store.reports.service()
        return service is not None and service.status == "connected"

    def _is_there(self) -> bool:
        return any(place.online for place in self.hes_store.reports.concentrators())


def _public(key: SigningKey) -> dict[str, str]:
    return {"kid": key.kid.hex(), "key": key.public.hex()}
