"""Modems and meters as they are in the field: a plug that is pulled, a medium that carries nothing,
a modem that hangs, meters that leave and return, meters nobody knows. Real processes all of them;
the modems are on pseudo-terminals.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.result import VALUE
from tests.conftest import ROOT
from tests.system.orders import normal_meters, period_package, signed
from tools.demonstration import judge
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.hes import report
from tools.hes.orders import order, typed
from tools.meter.control import Control
from tools.meter.population import DEAD, PLC, RF

METERS = 12
SPEED = 20.0
WANTED = 900  # seconds, capture period
PATIENCE = 300  # seconds; only a defect takes so long
CLOCK = "clock 0.0.1.0.0.255 time"
FOR_LONG = 10**9  # ms


class Scene:
    """A stage with its street and its HES; the test starts the gateway."""

    def __init__(self, stage: Stage, control: Control) -> None:
        self.stage = stage
        self.control = control
        self.store = stage.store()
        normal = normal_meters(control)
        self.by_media: dict[tuple[str, ...], list[str]] = {}
        for meter in control.meters():
            if meter["serial"] in normal:
                media = tuple(kind for kind, _ in meter["paths"])
                self.by_media.setdefault(media, []).append(meter["serial"])
        self.plc, self.rf = self.by_media[(PLC,)], self.by_media[(RF,)]
        self.both = self.by_media[(PLC, RF)]
        self.normal = normal

    def address(self, serial: str) -> str:
        (meter,) = [m for m in self.control.meters() if m["serial"] == serial]
        address: str = meter["paths"][0][1]
        return address

    def start_gateway(self, runtime: str) -> None:
        self.stage.start_gateway(runtime)
        self.stage.wait_for_hello()

    def terms(self, tries: int) -> order.Terms:
        return order.Terms(5, 0, int(time.time()) + 3600, tries=tries, backoff=2)

    def read(self, serials: list[str], tries: int = 3) -> bytes:
        to = (self.store.orders, self.stage.key, CONCENTRATOR, serials, self.terms(tries))
        return order.read(*to, [typed.parse_attribute(CLOCK)])

    def rows(self, job: bytes) -> dict[str, dict[str, Any]]:
        return {row["serial"]: row for row in report.build(self.store.reports, job)["meters"]}

    def wait_for(self, what: str, holds: Any, seconds: float = PATIENCE) -> None:
        self.stage.wait_for(what, seconds, holds)

    def wait_for_the_end(self, job: bytes) -> dict[str, dict[str, Any]]:
        self.wait_for("the job's end", lambda: self.store.reports.finished(job))
        return self.rows(job)

    def events(self) -> list[tuple[str, str]]:
        return [(event.name, event.detail) for event in self.store.reports.events()]

    def standing(self) -> dict[str, Any]:
        """What `ami-hes meters` tells."""
        command = [sys.executable, "-m", "tools.hes", "--db", str(self.stage.database)]
        command += ["meters", CONCENTRATOR, "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def path(self, serial: str) -> dict[str, Any]:
        """The meter's first, as `ami-hes meters` tells of it."""
        (meter,) = [meter for meter in self.standing()["meters"] if meter["serial"] == serial]
        first: dict[str, Any] = meter["paths"][0]
        return first

    def counters(self, kind: str) -> dict[str, int]:
        (modem,) = [modem for modem in self.standing()["modems"] if modem["kind"] == kind]
        counters: dict[str, int] = modem["counters"]
        return counters


@pytest.fixture
def scene(stage: Stage) -> Iterator[Scene]:
    stage.start_meters(METERS, seed=5, loss=0.0, speed=SPEED)
    stage.start_hes()
    with stage.control() as control:
        yield Scene(stage, control)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_dead_plc_network_is_gone_round_within_one_attempt(scene: Scene, runtime: str) -> None:
    scene.start_gateway(runtime)
    before = scene.wait_for_the_end(scene.read(scene.normal))
    assert {before[serial]["path"] for serial in scene.both} == {PLC}

    scene.control.noise(PLC, 1.0, FOR_LONG)
    rows = scene.wait_for_the_end(scene.read([*scene.both, scene.plc[0]], tries=1))
    for serial in scene.both:
        row = rows[serial]
        assert (row["result"], row["path"], row["attempts"]) == (VALUE, RF, 1), row
    assert rows[scene.plc[0]]["reason"] == "no-answer"
    assert scene.counters(RF)["attempt-failover"] == len(scene.both)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_modem_is_unplugged_in_the_middle_of_a_job_and_plugged_in_again(
    scene: Scene, runtime: str
) -> None:
    package = period_package(WANTED)
    serials = [meter["serial"] for meter in scene.control.meters()]
    for number, meter in enumerate(scene.control.meters()):
        if meter["role"] == DEAD:
            scene.control.fault(meter["serial"], "dead", False)
        scene.control.fault(meter["serial"], "slow_ms", 100 * number)  # not all at the same time
    silent = scene.plc[-1]  # so that the job is not over before
    scene.control.fault(silent, "dead", True)
    scene.start_gateway(runtime)
    to = (scene.store.orders, scene.stage.key, CONCENTRATOR, serials, scene.terms(tries=8))
    job = order.configure(*to, signed(package, scene.stage.key))

    def ended(some: list[str]) -> bool:
        rows = scene.rows(job)
        return all(rows[serial]["result"] != report.PENDING for serial in some)

    scene.wait_for("a first result", lambda: any(ended([serial]) for serial in scene.plc))
    scene.control.unplug(PLC)
    scene.wait_for("all on RF", lambda: ended(scene.rf + scene.both))
    scene.control.fault(silent, "dead", False)
    assert not ended([silent])
    scene.control.plug(PLC)
    scene.wait_for_the_end(job)
    made = report.build(scene.store.reports, job)
    assert judge.complaints(made, package, scene.control) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_hanging_modem_strangers_and_a_meter_that_comes_and_goes(
    scene: Scene, runtime: str
) -> None:
    unknown = scene.plc.pop()
    stranger = "plc " + scene.address(unknown)
    _forget(scene.stage.data, unknown)
    scene.start_gateway(runtime)
    known = scene.plc + scene.rf + scene.both
    rows = scene.wait_for_the_end(scene.read(known))
    assert {row["result"] for row in rows.values()} == {VALUE}

    # A stranger is reported, and not trusted.
    rows = scene.wait_for_the_end(scene.read([unknown]))
    assert rows[unknown]["reason"] == "unknown-meter"
    told = ("stranger", stranger)
    scene.wait_for("word of the stranger", lambda: told in scene.events(), 600)
    standing = scene.standing()
    assert [each["what"] for each in standing["strangers"]] == [stranger]
    assert unknown not in [meter["serial"] for meter in standing["meters"]]

    # A modem hangs: it is reset, then reported; the others go on.
    scene.control.hang(PLC, True)
    rows = scene.wait_for_the_end(scene.read(scene.rf + scene.both))
    assert {(row["result"], row["path"], row["attempts"]) for row in rows.values()} == {
        (VALUE, RF, 1)
    }
    scene.wait_for("word of the modem", lambda: "modem-down" in dict(scene.events()), 600)
    plc = [modem for modem in scene.standing()["modems"] if modem["kind"] == PLC]
    assert not plc[0]["up"] and plc[0]["counters"]["resets"] >= 1
    scene.control.hang(PLC, False)
    rows = scene.wait_for_the_end(scene.read(scene.plc))
    assert {(row["result"], row["attempts"]) for row in rows.values()} == {(VALUE, 1)}

    # A meter leaves and returns.
    gone = scene.plc[0]
    scene.control.leave(gone)
    job = scene.read([gone], tries=20)
    failed = "%s: KO no-answer" % gone
    scene.wait_for("an attempt", lambda: failed in "\n".join(scene.stage.said("gateway", "work")))
    scene.wait_for("word that it has left", lambda: not scene.path(gone)["registered"])
    scene.control.join(gone)
    assert scene.wait_for_the_end(job)[gone]["result"] == VALUE
    assert scene.path(gone)["state"] == "reachable"
    scene.wait_for("word that it is back", lambda: "modem-up" in dict(scene.events()), 600)


def _forget(folder: Path, serial: str) -> None:
    """Take the meter out of the inventory."""
    for name in ("meters.jsonl", "keys.jsonl"):
        path = folder / name
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["serial"] != serial]
        assert len(kept) == len(lines) - 1
        path.write_text("".join(kept))
