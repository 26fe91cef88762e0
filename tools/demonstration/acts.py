"""What `./tools/demo` shows, an act each: what is ordered, how it goes, and whether it is true."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.contract import envelope
from gateway.contract.job import Canary
from gateway.contract.package import Package
from gateway.contract.task import (
    ALARMS,
    ALL,
    CLOCK,
    LOG,
    MINUTES,
    PROFILE,
    VALUES,
    Every,
    Item,
    Task,
    TaskRemoved,
)
from gateway.dlms.data import moment
from tools.bootstrap import ROOT
from tools.demonstration import judge
from tools.demonstration.stage import CONCENTRATOR, Stage, StageProblem
from tools.hes.cli import show
from tools.hes.cli.watch import watch
from tools.hes.orders import order, typed
from tools.hes.orders import task as orders
from tools.hes.store.records import ReadingValue, TaskRun
from tools.meter.control import Control
from tools.meter.device import FACTORY_MODEL
from tools.meter.image import make_image
from tools.meter.makes import COVER_OPENED
from tools.meter.population import NORMAL, PLC
from tools.package import image

READ = "profile_generic 1.0.99.1.0.255 capture_period"
NIGHT = "night"
WRONG_S, RIGHT_S = 100, 30  # seconds that a clock is off, at least; that one is allowed to be
NIGHT_ITEMS = [
    Item(PROFILE, "load-profile"),
    Item(LOG, "standard-log"),
    Item(VALUES, "", [(3, bytes((1, 0, 1, 8, 0, 255)), 2)]),
    Item(CLOCK),
    Item(ALARMS),
]
CANARIES = 3  # meters that go first
FIRMWARE = "V03.00.00"  # what the image makes of the meters
IMAGE_BYTES = 8192
LIMIT = 600  # seconds for one job; far above what it takes
HELLO_S = 60

Json = dict[str, Any]


class Acts:
    """From dry_run() to audit(). `complaints`: what was found not to be as it must be."""

    def __init__(self, stage: Stage, control: Control, console: Console) -> None:
        self.complaints: list[str] = []
        self._stage = stage
        self._control = control
        self._console = console
        self._store = stage.store()
        self._began = time.monotonic()
        meters = control.meters()
        normal = [meter["serial"] for meter in meters if meter["role"] == NORMAL]
        self._first = normal[:CANARIES]
        self._all = self._first + [m["serial"] for m in meters if m["serial"] not in self._first]
        self._on_plc = [
            meter["serial"]
            for meter in meters
            if meter["role"] == NORMAL and meter["paths"][0][0] == PLC
        ]

    def say(self, text: str) -> None:
        since = "%3.0f s  " % (time.monotonic() - self._began)
        self._console.print(Text.assemble((since, "dim"), (text, "bold")), soft_wrap=True)

    def dry_run(self, package: Package, raw: bytes) -> Json:
        """What the package would change in some meters."""
        self.say("a dry run on %d meters: what would change? Nothing is written" % len(self._first))
        before = judge.writes(self._control)
        to = (self._store.orders, self._stage.key, CONCENTRATOR, self._first, self._terms())
        made = self._follow(order.configure(*to, raw, dry_run=True))
        self._console.print(show.meters_table(made), show.summary_line(made))
        self.complaints += judge.read_complaints(made, self._control)
        if judge.writes(self._control) != before:
            self.complaints.append("the dry run has written something")
        return made

    def configuration(self, package: Package, raw: bytes, canary: bool) -> Json:
        """The package to all meters."""
        text = "%s %s to all %d meters" % (package.name, package.version, len(self._all))
        terms = self._terms()
        if canary:
            text += ", %d of them first: the others only if these succeed" % CANARIES
            terms = self._terms(Canary(CANARIES, 100))
        self.say(text)
        to = (self._store.orders, self._stage.key, CONCENTRATOR, self._all, terms)
        made = self._follow(order.configure(*to, raw))
        self._console.print(show.render_report(made))
        self.complaints += judge.complaints(made, package, self._control)
        return made

    def reading(self) -> Json:
        """An attribute of some meters."""
        self.say("a reading: %s" % READ)
        to = (self._store.orders, self._stage.key, CONCENTRATOR, self._first, self._terms())
        made = self._follow(order.read(*to, [typed.parse_attribute(READ)]))
        self._console.print(show.meters_table(made), show.summary_line(made))
        self.complaints += judge.read_complaints(made, self._control)
        return made

    def transfer(self) -> Json:
        """A firmware to the meters on PLC, its blocks to all of them at once."""
        content = make_image(FACTORY_MODEL, FIRMWARE, bytes(IMAGE_BYTES))
        described = image.describe(
            content, "firmware", FIRMWARE, "", [FACTORY_MODEL], FIRMWARE, FIRMWARE, "ciphered"
        )
        self.say(
            "a firmware of %d bytes to the %d meters on PLC, by ciphered broadcast"
            % (len(content), len(self._on_plc))
        )
        raw = image.signed(described, content, self._stage.key)
        to = (self._store.orders, self._stage.key, CONCENTRATOR, self._on_plc, self._terms())
        made = self._follow(order.transfer_image(*to, raw))
        for line in self._stage.said("gateway", "campaign"):
            self._console.print(Text("the concentrator: " + line, "dim"))
        self._show_together(made)
        self.complaints += judge.image_complaints(made, FIRMWARE, self._control)
        return made

    def night(self) -> None:
        """A task of its own: rows, values, clocks and alarms of all meters. One of them has a clock
        that is wrong, and somebody has opened the cover of another.
        """
        wrong, opened = self._first[0], self._first[1]
        self._control.drift(wrong, 86400 * WRONG_S)
        time.sleep(1)  # as fast as that for a second
        self._control.drift(wrong, 0)
        self._control.happen(opened, COVER_OPENED)
        self.say(
            "a night: a task reads every meter; %s has a wrong clock, %s its cover open"
            % (wrong, opened)
        )
        now = int(time.time())
        task = Task(NIGHT, now, Every(MINUTES, 1, 0, 0), 4, [ALL, []], NIGHT_ITEMS, 900, 40, 0)
        orders.send(self._store.trust, self._stage.key, [CONCENTRATOR], task, now)
        self._stage.wait_for("the run of its task", LIMIT, lambda: self._runs(now))
        ending = TaskRemoved(NIGHT)
        orders.send(self._store.trust, self._stage.key, [CONCENTRATOR], ending, int(time.time()))
        self._stage.wait_for("its readings", LIMIT, lambda: self._values(wrong, now))
        hes = ["tools.hes", "--db", str(self._stage.database)]
        self._command([*hes, "runs", "--last", "1"])
        self._command([*hes, "clocks", wrong])
        self._command([*hes, "alarms", "--inventory", str(self._stage.data / "meters.jsonl")])
        self.complaints += self._night_complaints(wrong, opened, now)

    def _runs(self, since: int) -> list[TaskRun]:
        found = self._store.reports.runs(CONCENTRATOR, NIGHT, 10)
        return [run for run in found if run.began >= since]

    def _values(self, serial: str, since: int) -> list[ReadingValue]:
        return self._store.readings.values(CONCENTRATOR, serial, since, int(time.time()) + 1)

    def _night_complaints(self, wrong: str, opened: str, since: int) -> list[str]:
        found = []
        _, raw = self._control.read(wrong, 8, "0.0.1.0.0.255", 2)
        local, deviation = moment.local_of(raw), moment.deviation_of(raw)
        off = (local or 0) + 60 * (deviation or 0) - time.time()
        if abs(off) > RIGHT_S:
            found.append("%s: its clock is %.0f s off still" % (wrong, off))
        _, bits = self._control.read(opened, 1, "0.0.97.98.20.255", 2)
        if bits:
            found.append("%s: its alarm is not cleared: %x" % (opened, bits))
        told = {row.serial for row in self._store.alarms.raised(CONCENTRATOR)}
        if opened not in told:
            found.append("%s: the HES has no word of its cover" % opened)
        return found

    def network(self) -> None:
        """How modems and meters stand."""
        self.say("modems, and meters out of reach: ami-hes meters %s --unreachable" % CONCENTRATOR)
        hes = ["tools.hes", "--db", str(self._stage.database)]
        self._command([*hes, "meters", CONCENTRATOR, "--unreachable"])

    def audit(self, runtime: str) -> None:
        """Its power fails; then its audit trail is held against what the HES hears of it."""
        self.say("the concentrator loses its power (SIGKILL), starts again, and says hello")
        self._stage.kill("gateway")
        before = self._heard()
        self._stage.start_gateway(runtime)
        self._stage.wait_for("its hello", HELLO_S, lambda: self._heard()[0] > before[0])
        records, head = self._heard()
        self._stage.stop("gateway")
        self.say(
            "it is off; its flash, against what the HES heard: ami-audit verify --records %d"
            " --head %s..." % (records, head[:8])
        )
        known = ["--records", str(records), "--head", head]
        self._command(["tools.audit", "verify", str(self._stage.data), *known])

    def _heard(self) -> tuple[int, str]:
        """How many records the audit trail had at the last hello, and the last one's hash; (0, "")
        if none was heard: the first one is lost on a HES that connects later than the concentrator.
        """
        standing = self._store.trust.standing(CONCENTRATOR)
        return (0, "") if standing is None else (standing.records, standing.head.hex())

    def _terms(self, canary: Canary | None = None) -> order.Terms:
        now = int(time.time())
        return order.Terms(5, now - 60, now + 3600, tries=3, backoff=2, canary=canary)

    def _command(self, module: list[str]) -> None:
        """One of ours, as people run it. Its failure is a complaint."""
        environment = {**os.environ, "COLUMNS": str(self._console.width)}
        command = [sys.executable, "-m", *module]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        self._console.print(Text((done.stdout + done.stderr).rstrip() + "\n"), soft_wrap=True)
        if done.returncode:
            self.complaints.append("%s: status %d" % (" ".join(module[:2]), done.returncode))

    def _show_together(self, made: Json) -> None:
        """How many meters ended alike."""
        alike = Counter(
            (meter["result"], meter["path"] or "-", meter["sentence"], meter["detail"])
            for meter in made["meters"]
        )
        for (result, path, sentence, detail), count in alike.most_common():
            line = Text("%d x " % count).append(result, show.STYLES[result])
            self._console.print(line.append("  %s  %s, %s" % (path, sentence, detail)))
        self._console.print()

    def _follow(self, job: bytes) -> Json:
        """Live until the job is over. A process that dies, or a job that hangs, ends the demo."""
        over = threading.Event()

        def guard() -> None:
            deadline = time.monotonic() + LIMIT
            while not over.wait(0.5):
                try:
                    self._stage.ensure_running()
                    if time.monotonic() > deadline:
                        raise StageProblem("the job is not over after %d s" % LIMIT)
                except StageProblem as problem:
                    text = "\nerror: %s\nlogs: %s"
                    print(text % (problem, self._stage.folder), file=sys.stderr)
                    self._stage.__exit__()
                    os._exit(1)

        threading.Thread(target=guard, daemon=True).start()
        try:
            return watch(self._store.reports, job, self._console)
        finally:
            over.set()


def signed(package: Package, stage: Stage) -> bytes:
    return envelope.sign(package.to_payload(), stage.key.kid, stage.key.sign)
