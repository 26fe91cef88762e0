"""The same way from the HES to the meters and back over each broker, with real processes: what the
product needs of a broker is MQTT 3.1.1 and nothing else.
"""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.messages import topic
from hal.cpython.mqtt import MqttUplink
from hal.ports import Message
from tests.brokers import BROKERS, PASSWORD, USER, Broker, running
from tests.contract.conftest import certificates
from tests.system.orders import normal_meters, period_of, period_package, signed
from tools import programs
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage, complaints
from tools.hes import report
from tools.hes.__main__ import main as ami_hes
from tools.hes.store.store import Store
from tools.meter.control import Control

__all__ = ["certificates"]

METERS = 6
PATIENCE = 300  # seconds; only a defect takes so long
SOON_MS = 30_000


@pytest.fixture(scope="module", params=BROKERS)
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[Broker]:
    yield from running(request.param, tmp_path_factory.mktemp(request.param), certificates)


@pytest.fixture(params=BROKERS)
def own_broker(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Path
) -> Iterator[Broker]:
    """One that a test may kill."""
    folder = tmp_path / "broker"
    folder.mkdir()
    yield from running(request.param, folder, certificates)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The stage's."""
    folder = tmp_path / "stage"
    folder.mkdir()
    return folder


def _clear_state(broker: Broker) -> None:
    """The concentrator of the next test is another one of the same name."""
    command = [programs.need("mosquitto_pub"), "-p", str(broker.port), "-u", USER, "-P", PASSWORD]
    command += ["-t", topic(CONCENTRATOR, "state"), "-q", "1", "-r", "-n"]
    subprocess.run(command, check=True)


class Utility:
    """What the people at the utility do: by the command, as they would."""

    def __init__(self, stage: Stage, serials: list[str]) -> None:
        self.stage = stage
        self.store: Store = stage.store()
        self._serials = serials

    def order(self, capsys: pytest.CaptureFixture[str], *what: str) -> bytes:
        arguments = ["--db", str(self.stage.database), "submit", "--concentrator", CONCENTRATOR]
        arguments += ["--meters", ",".join(self._serials), "--key", str(self.stage.key_file)]
        assert ami_hes([*arguments, *what]) == 0
        return uuid.UUID(capsys.readouterr().out.strip()).bytes

    def is_online(self) -> bool | None:
        places = {place.id: bool(place.online) for place in self.store.reports.concentrators()}
        return places.get(CONCENTRATOR)

    def wait_for_line(self, online: bool) -> None:
        what = "the concentrator online" if online else "its last will"
        self.stage.wait_for(what, PATIENCE, lambda: self.is_online() is online)

    def results(self, job: bytes) -> dict[str, str]:
        self.stage.wait_for("the job's end", PATIENCE, lambda: self.store.reports.finished(job))
        made = report.build(self.store.reports, job)
        assert made["state"] == "succeeded", made
        return {meter["serial"]: meter["result"] for meter in made["meters"]}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_end_to_end(
    broker: Broker,
    runtime: str,
    folder: Path,
    micropython: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        with Stage(folder) as stage:
            stage.start_broker(broker.url)
            _end_to_end(stage, runtime, capsys)
    finally:
        _clear_state(broker)


def _end_to_end(stage: Stage, runtime: str, capsys: pytest.CaptureFixture[str]) -> None:
    package = stage.folder / "period.pkg"
    package.write_bytes(signed(period_package(900), stage.key))
    stage.start_meters(METERS, seed=5, loss=0.0, speed=50.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    with stage.control() as control:
        serials = normal_meters(control)
        utility = Utility(stage, serials)

        job = utility.order(capsys, "--package", str(package))
        assert utility.results(job) == dict.fromkeys(serials, "OK")
        _check_written_once(control, serials)

        # The gateway goes without a word.
        utility.wait_for_line(True)
        stage.kill("gateway")
        utility.wait_for_line(False)

        # It lives and dies again while the HES is away: what the broker retains tells of it.
        stage.kill("hes")
        stage.start_gateway(runtime)
        stage.start_hes()
        utility.wait_for_line(True)
        stage.kill("hes")
        stage.kill("gateway")
        stage.start_hes()
        utility.wait_for_line(False)

        # An order from while it was away.
        job = utility.order(capsys, "--read", "clock 0.0.1.0.0.255 time")
        stage.start_gateway(runtime)
        assert utility.results(job) == dict.fromkeys(serials, "VALUE")
        utility.wait_for_line(True)
        stage.stop("gateway")  # with a goodbye
        utility.wait_for_line(False)
        _check_written_once(control, serials)
        assert complaints(utility.store.reports) == []


def test_the_largest_messages_of_the_longest_name(broker: Broker) -> None:
    async def scenario() -> None:
        name = "c" * 64
        down, state = topic(name, "keys"), topic(name, "state")
        payloads = [bytes([n]) * (MAX_MESSAGE - n) for n in range(3)]
        there, here = _uplink(broker, "hes"), _uplink(broker, name)
        await there.connect(None, [state], SOON_MS)
        await here.connect(Message(state, b"gone", True), [down], SOON_MS)
        for payload in payloads:
            await there.publish(Message(down, payload), SOON_MS)
        for payload in payloads:
            assert (await here.receive()).payload == payload
        # The same client again, as after a line that is half open: the old one has to go. Whether
        # its will is told (RabbitMQ and NATS do not) makes no difference: the new birth comes last.
        again = _uplink(broker, name)
        await again.connect(None, [down], SOON_MS)
        with pytest.raises(OSError):
            await here.receive()
        await again.publish(Message(state, b"here", True), SOON_MS)
        while (await there.receive()).payload != b"here":
            pass
        await again.publish(Message(state, b"", True), SOON_MS)  # nothing is retained
        for link in (here, again, there):
            await link.disconnect()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def _uplink(broker: Broker, client_id: str) -> MqttUplink:
    return MqttUplink("127.0.0.1", broker.port, client_id, USER, PASSWORD, None, MAX_MESSAGE)


@pytest.mark.long
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_broker_restarts_in_the_middle(
    own_broker: Broker,
    runtime: str,
    folder: Path,
    micropython: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One meter stays silent until the broker is gone, so the job cannot be over before."""
    with Stage(folder) as stage:
        stage.start_broker(own_broker.url)
        _restart(stage, own_broker, runtime, capsys)


def _restart(
    stage: Stage, broker: Broker, runtime: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package = stage.folder / "period.pkg"
    package.write_bytes(signed(period_package(900), stage.key))
    stage.start_meters(METERS, seed=5, loss=0.0, speed=50.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    with stage.control() as control:
        serials = normal_meters(control)
        utility = Utility(stage, serials)
        control.fault(serials[-1], "dead", True)
        job = utility.order(capsys, "--package", str(package), "--tries", "10", "--backoff", "1s")
        others = serials[:-1]
        stage.wait_for(
            "a first meter", PATIENCE, lambda: any(period_of(control, s) == 900 for s in others)
        )
        broker.stop()
        control.fault(serials[-1], "dead", False)
        stage.wait_for(
            "all meters", PATIENCE, lambda: all(period_of(control, s) == 900 for s in serials)
        )
        broker.start()
        assert utility.results(job) == dict.fromkeys(serials, "OK")
        _check_written_once(control, serials)
        assert complaints(utility.store.reports) == []


def _check_written_once(control: Control, serials: list[str]) -> None:
    for serial in serials:
        assert [entry["count"] for entry in control.log(serial)] == [1], serial
