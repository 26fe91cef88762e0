"""A line that fails without a word, in the middle of a message, or says everything twice: it is
noticed, the gateway connects again, nothing is lost, and nothing is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.mosquitto import Broker
from tests.system.faulty_line import DOWN, UP, FaultyLine
from tests.system.orders import normal_meters, period_package, signed
from tools.hes import order, report
from tools.meter.control import Control
from tools.stage import CONCENTRATOR, RUNTIMES, Stage

METERS = 5
KEEPALIVE = 5  # seconds, the least there is
# Documented: a silent line is given up within two and a half keepalive times. The rest is for a
# busy machine.
NOTICED = 2.5 * KEEPALIVE + 20
PATIENCE = 120


class Scene:
    def __init__(self, stage: Stage, line: FaultyLine, control: Control) -> None:
        self.stage = stage
        self.line = line
        self.control = control
        self.store = stage.store()
        self.serials = normal_meters(control)
        self._period = 900
        self._written = 0

    def submit(self) -> bytes:
        self._period = 1800 if self._period == 900 else 900
        package = signed(period_package(self._period), self.stage.key)
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
        return order.configure(
            self.store, self.stage.key, CONCENTRATOR, self.serials, terms, package
        )

    def check(self, job: bytes) -> None:
        """Every meter OK, written once more than before, and the HES has no complaint."""
        self.stage.wait_for("the job's end", PATIENCE, lambda: self.store.finished(job))
        made = report.build(self.store, job)
        assert made["state"] == "succeeded", made
        assert {meter["result"] for meter in made["meters"]} == {"OK"}
        self._written += 1
        for serial in self.serials:
            counts = [entry["count"] for entry in self.control.log(serial)]
            assert counts == [self._written], (serial, counts)
        assert [tuple(event) for event in self.store.events()] == []


@pytest.fixture(params=RUNTIMES)
def scene(request: pytest.FixtureRequest, stage: Stage, broker: Broker) -> Iterator[Scene]:
    stage.start_meters(METERS, seed=5, loss=0.0, speed=50.0)
    stage.start_hes()
    with FaultyLine(broker.port) as line:
        stage.start_broker("mqtt://board:open%%20sesame@127.0.0.1:%d" % line.port)
        probes = 1  # start_broker() looked whether anybody listens
        stage.start_gateway(request.param, keepalive_s=KEEPALIVE)
        with stage.control() as control:
            scene = Scene(stage, line, control)
            stage.wait_for("the gateway", PATIENCE, lambda: line.opened > probes)
            yield scene


@pytest.mark.parametrize("ways", [(UP, DOWN), (UP,), (DOWN,)], ids=["both", "up", "down"])
def test_a_half_open_line(scene: Scene, ways: tuple[str, ...]) -> None:
    line = scene.line
    scene.stage.wait_for(
        "the first birth", PATIENCE, lambda: [c for c in scene.store.concentrators() if c["online"]]
    )
    opened, ended = line.opened, line.ended
    line.stop(*ways)
    job = scene.submit()
    scene.stage.wait_for("the gateway to notice", NOTICED, lambda: line.ended > ended)
    line.heal()
    scene.stage.wait_for("a new connection", PATIENCE, lambda: line.opened > opened)
    scene.check(job)


def test_a_reset_in_the_middle_of_a_message(scene: Scene) -> None:
    for way in (DOWN, UP):
        cuts = scene.line.cuts
        scene.line.cut_in(way)
        job = scene.submit()
        scene.stage.wait_for("the cut", PATIENCE, lambda cuts=cuts: scene.line.cuts > cuts)
        scene.check(job)


def test_every_message_twice(scene: Scene) -> None:
    scene.line.twice = True
    for _ in range(2):
        scene.check(scene.submit())
    assert scene.line.repeated > 10
