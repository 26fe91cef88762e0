"""A line that fails without a word, in the middle of a message, loses, repeats and swaps messages,
or is slow; a broker that restarts: it is noticed, the gateway connects again, nothing is lost, and
nothing is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gateway.dlms.data import axdr, obis
from gateway.uplink.session import HELLO_MS
from tests.mosquitto import Broker
from tests.system.faulty_line import DOWN, UP, FaultyLine
from tests.system.orders import normal_meters, period_package, signed
from tools.cosem.names import ATTRIBUTE, Member
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage, complaints
from tools.hes import report
from tools.hes.orders import order
from tools.meter.control import Control

METERS = 5
KEEPALIVE = 5  # seconds, the least there is
# Documented: a silent line is given up within two and a half keepalive times. The rest is for a
# busy machine.
NOTICED = 2.5 * KEEPALIVE + 20
PATIENCE = 300
GROWTH = 4 << 20  # octets of the gateway's memory; a leaking connection would show
LOCATION = (1, "0.0.96.1.1.255", 2)  # a text of the utility's


class Scene:
    def __init__(self, stage: Stage, line: FaultyLine, control: Control) -> None:
        self.stage = stage
        self.line = line
        self.control = control
        self.store = stage.store()
        self.serials = normal_meters(control)
        self._period = 900
        self._written = 0

    def submit(self, filler: int = 0) -> bytes:
        """A job with a package that is larger by about `filler` octets than it need be."""
        self._period = 1800 if self._period == 900 else 900
        made = period_package(self._period)
        # Firmware nobody has, in every prefix 32 octets.
        made.targets += [("NOBODY", ["%032d" % i for i in range(32)])] * (filler // 1088)
        package = signed(made, self.stage.key)
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
        return order.configure(
            self.store.orders, self.stage.key, CONCENTRATOR, self.serials, terms, package
        )

    def read_much(self, size: int) -> bytes:
        """A job that reads `size` octets of each meter."""
        for serial in self.serials:
            self.control.put(serial, *LOCATION, (axdr.OCTET_STRING, bytes(size)))
        class_id, name, attribute = LOCATION
        member = Member(ATTRIBUTE, class_id, obis.parse(name), attribute)
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
        return order.read(
            self.store.orders, self.stage.key, CONCENTRATOR, self.serials, terms, [member]
        )

    def check(self, job: bytes, patience: float = PATIENCE, expected: tuple[str, ...] = ()) -> None:
        """Every meter OK, written once more than before, and the HES has no complaint but those
        `expected`."""
        self.stage.wait_for("the job's end", patience, lambda: self.store.reports.finished(job))
        made = report.build(self.store.reports, job)
        assert made["state"] == "succeeded", made
        assert {meter["result"] for meter in made["meters"]} == {"OK"}
        self._written += 1
        for serial in self.serials:
            counts = [entry["count"] for entry in self.control.log(serial)]
            assert counts == [self._written], (serial, counts)
        found = complaints(self.store.reports)
        assert [(name, detail) for name, detail in found if name not in expected] == []


@pytest.fixture
def keepalive() -> int:
    return KEEPALIVE


@pytest.fixture(params=RUNTIMES)
def scene(
    request: pytest.FixtureRequest, stage: Stage, broker: Broker, keepalive: int
) -> Iterator[Scene]:
    stage.start_meters(METERS, seed=5, loss=0.0, speed=50.0)
    stage.start_hes()
    with FaultyLine(broker.port, seed=7) as line:
        stage.start_broker("mqtt://board:open%%20sesame@127.0.0.1:%d" % line.port)
        probes = 1  # start_broker() looked whether anybody listens
        stage.start_gateway(request.param, keepalive_s=keepalive)
        with stage.control() as control:
            scene = Scene(stage, line, control)
            stage.wait_for("the gateway", PATIENCE, lambda: line.opened > probes)
            yield scene


@pytest.mark.parametrize("ways", [(UP, DOWN), (UP,), (DOWN,)], ids=["both", "up", "down"])
def test_a_half_open_line(scene: Scene, ways: tuple[str, ...]) -> None:
    line = scene.line
    scene.stage.wait_for(
        "the first birth",
        PATIENCE,
        lambda: [c for c in scene.store.reports.concentrators() if c.online],
    )
    opened, ended = line.opened, line.ended
    line.stop(*ways)
    job = scene.submit()
    scene.stage.wait_for("the gateway to notice", NOTICED, lambda: line.ended > ended)
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


def test_messages_in_another_order(scene: Scene) -> None:
    scene.line.swapped = True
    for _ in range(3):  # what comes late is to the HES as if somebody played it again
        scene.check(scene.submit(), expected=("replayed",))
    assert scene.line.swaps > 3


def test_a_broker_that_restarts_again_and_again(scene: Scene, broker: Broker) -> None:
    """Five times while one job runs."""
    silent = scene.serials[-1]
    scene.control.fault(silent, "dead", True)
    job = scene.submit()
    scene.stage.wait_for(
        "the first attempts", PATIENCE, lambda: scene.control.log(scene.serials[0])
    )
    before = scene.stage.resident("gateway")
    for _ in range(5):
        opened = scene.line.opened
        broker.stop()
        time.sleep(1)  # long enough for attempts to fail
        broker.start()
        scene.stage.wait_for("a new connection", PATIENCE, lambda o=opened: scene.line.opened > o)
    assert not scene.store.reports.finished(job)
    scene.control.fault(silent, "dead", False)
    scene.check(job)
    grown = scene.stage.resident("gateway") - before
    print("%d octets more after five restarts" % grown)
    assert grown < GROWTH


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_tenth_of_the_packets_lost_and_sent_again(scene: Scene) -> None:
    """As TCP does it: what is lost comes late, and holds up all behind it."""
    scene.line.stalls = 0.1
    while scene.line.stalled < 10:
        scene.check(scene.submit())


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_broker_that_loses_what_it_has_acknowledged(scene: Scene) -> None:
    """A tenth of all messages vanish, either way: what heals it is in the uplink protocol alone.

    Of one topic never two in a row, so at the worst an order comes with the second hello, its
    package 210 s later (asked for after 30, 60 and 120 s) and its last report after 420 s more (60,
    120 and 240 s).
    """
    scene.line.loses = 0.1
    while scene.line.lost < 5:
        scene.check(scene.submit(), patience=2 * HELLO_MS / 1000 + 900)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("keepalive", [60])
def test_a_slow_line(scene: Scene, keepalive: int) -> None:
    """2 kbit/s: the package takes more than a minute, and so does what is read then."""
    scene.line.bits_per_second = 2000
    opened = scene.line.opened
    scene.check(scene.submit(filler=20_000), patience=600)
    job = scene.read_much(10_000)
    scene.stage.wait_for("the values", 600, lambda: scene.store.reports.finished(job))
    made = report.build(scene.store.reports, job)
    assert [meter["result"] for meter in made["meters"]] == ["VALUE"] * len(scene.serials)
    for meter in made["meters"]:
        assert len(meter["values"][0]["axdr"]) > 2 * 10_000
    assert scene.line.opened == opened  # nobody took it for dead
