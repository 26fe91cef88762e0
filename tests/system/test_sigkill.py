"""The gateway is killed in the middle of a job, again and again; every meter still ends as it must,
and nothing is written twice.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from gateway.contract import envelope
from gateway.contract.package import Package
from tools.demonstration import judge
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage, complaints
from tools.hes import report
from tools.hes.orders import order
from tools.meter.control import Control
from tools.meter.population import DEAD
from tools.package.__main__ import EXAMPLES
from tools.package.compile import compile_file

CALENDAR = EXAMPLES / "tariff-calendar.yaml"  # many steps, one of them a method
METERS = 12
KILLS = (1, 4, 7)  # when so many meters have their result


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sigkill_mid_job(stage: Stage, runtime: str) -> None:
    package = compile_file(CALENDAR)
    raw = envelope.sign(package.to_payload(), stage.key.kid, stage.key.sign)
    stage.start_meters(METERS, seed=5, loss=0.05, speed=8.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    store = stage.store()
    with stage.control() as control:
        serials = [meter["serial"] for meter in control.meters()]
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=3, backoff=1)
        job = order.configure(store.orders, stage.key, CONCENTRATOR, serials, terms, raw)

        def ended() -> int:
            return METERS - int(report.build(store.reports, job)["summary"]["pending"])

        for count in KILLS:
            stage.wait_for("%d results" % count, 300, lambda count=count: ended() >= count)
            stage.kill("gateway")
            stage.start_gateway(runtime)
        stage.wait_for("the job's end", 600, lambda: store.reports.finished(job))
        found = judge.complaints(report.build(store.reports, job), package, control)
    assert found == []


MANY_METERS = 50
MANY_KILLS = 200
MOST_KILLS = 15  # in one job: who is broken off often waits ever longer
LONGEST_LIFE = 5.0  # seconds; many lives end before the first meter is reached
HES_DIES_TOO = 0.1  # of the kills
PATIENCE = 600  # seconds without a further result


class Orders:
    """One job after the other for all meters, each with another calendar than the one before; each
    is judged when it has ended.
    """

    def __init__(self, stage: Stage, control: Control, folder: Path) -> None:
        self._stage = stage
        self._control = control
        self._folder = folder
        self._store = stage.store()
        self._serials = [meter["serial"] for meter in control.meters()]
        self.judged = 0
        self.kills = 0  # in this job
        self.interrupted = 0  # attempts beyond a meter's first
        self.writes = 0
        self._next()

    def _next(self) -> None:
        self.kills = 0
        self._before = judge.writes(self._control)
        self._package = self._calendar(self.judged + 1)
        raw = envelope.sign(self._package.to_payload(), self._stage.key.kid, self._stage.key.sign)
        # What ends an attempt here is a kill, and costs no try; the others are for lost frames.
        terms = order.Terms(5, 0, int(time.time()) + 6 * 3600, tries=6, backoff=0)
        self._job = order.configure(
            self._store.orders, self._stage.key, CONCENTRATOR, self._serials, terms, raw
        )

    def _calendar(self, number: int) -> Package:
        text = CALENDAR.read_text()
        for old, new in (
            ("CHILE-2027.1", "CHILE-%d" % number),
            ("integer: 60}", "integer: %d}" % (number % 100)),
            ('"18:00"', '"18:%02d"' % (number % 60)),
            ('"*-09-18"', '"*-09-%02d"' % (number % 30 + 1)),
        ):
            assert old in text
            text = text.replace(old, new)
        path = self._folder / ("calendar-%d.yaml" % number)
        path.write_text(text)
        return compile_file(path)

    def in_work(self) -> bool:
        return not self._store.reports.finished(self._job)

    def go_on(self) -> None:
        """Judge the job if it has ended, and order the next."""
        if not self.in_work():
            self.judge()
            self._next()

    def killed(self) -> None:
        """Of the gateway. A job that has seen many may end in peace."""
        self.kills += 1
        if self.kills == MOST_KILLS:
            self.wait_for_the_end()
            self.go_on()

    def judge(self) -> None:
        made = report.build(self._store.reports, self._job)
        found = judge.complaints(made, self._package, self._control, self._before)
        assert found == []
        self.judged += 1
        self.interrupted += sum(max(row["attempts"] - 1, 0) for row in made["meters"])
        after = judge.writes(self._control)
        self.writes = sum(sum(counts.values()) for counts in after.values())
        # Who is killed every other second is restless.
        assert {name for name, _ in complaints(self._store.reports)} <= {"restless"}

    def wait_for_the_end(self) -> None:
        self._stage.wait_for("the last job's end", PATIENCE, lambda: not self.in_work())


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sigkill_at_random_moments(stage: Stage, tmp_path: Path, runtime: str) -> None:
    seed = int(os.environ.get("SIGKILL_SEED") or random.SystemRandom().getrandbits(32))
    print("SIGKILL_SEED=%d gives the same moments again" % seed)
    chance = random.Random(seed)
    began = time.monotonic()
    stage.start_meters(MANY_METERS, seed=5, loss=0.01, speed=30.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    with stage.control() as control:
        for meter in control.meters():
            if meter["role"] == DEAD:
                control.fault(meter["serial"], "dead", False)
        orders = Orders(stage, control, tmp_path)
        for _ in range(MANY_KILLS):
            ends = time.monotonic() + chance.uniform(0, LONGEST_LIFE)
            while time.monotonic() < ends:
                stage.ensure_running()
                orders.go_on()
                time.sleep(0.01)
            if chance.random() < HES_DIES_TOO:
                stage.kill("hes")
                stage.start_hes()
            stage.kill("gateway")
            stage.start_gateway(runtime)
            orders.killed()
        orders.wait_for_the_end()
        orders.judge()
    print(
        "%s: %d kills in %d s, %d jobs on %d meters, %d writes, %d attempts interrupted"
        % (
            runtime,
            MANY_KILLS,
            time.monotonic() - began,
            orders.judged,
            MANY_METERS,
            orders.writes,
            orders.interrupted,
        )
    )
    assert orders.interrupted > MANY_KILLS // 4  # the kills came in the middle of work
