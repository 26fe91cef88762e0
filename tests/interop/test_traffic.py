"""Every message of a run over Mosquitto, all kinds of them, held against messages.cddl by two CDDL
tools that are not ours, and every signature verified by a COSE library that is not ours.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cddl_verifier import Validator
from cwt import COSE, COSEKey
from pycddl import Schema

import gateway.contract.messages
from gateway.contract import envelope
from gateway.contract.messages import DOWN_TOPICS, UP_TOPICS, Chunk, Hello, topic
from hal.rt import cbor
from tests.mosquitto import Mosquitto
from tests.system.orders import normal_meters, period_package, signed
from tests.unit.uplink.test_cddl import HELLOS
from tools import programs
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.hes.__main__ import main as ami_hes
from tools.hes.store.store import Store
from tools.package.keys import SigningKey
from tools.package.model import file as model_file
from tools.package.model.compile import compile_file

CDDL = Path(gateway.contract.messages.__file__).with_name("messages.cddl").read_text()
RULE = {
    "state": "state",
    "hello": "hello",
    "report": "report",
    "pull": "pull",
    "meters": "meters-message",
    "progress": "progress",
    "job": "job-payload",
    "cancel": "cancel-payload",
    "pause": "pause-payload",
    "chunk": "chunk",
    "ack": "ack",
    "resend": "resend",
    "time": "time-message",
    "trust": "trust-payload",
    "keys": "keys-payload",
    "model": "model-payload",
    "memory": "memory",
    "ask": "ask",
    "change": "change-payload",
}
SIGNED = {"job", "cancel", "pause", "trust", "keys", "model", "change"}
GARBAGE = b"this is no order"
PATIENCE = 300  # seconds; only a defect takes so long


class Recorder:
    """Mosquitto's own subscriber, writing down all that goes over the line."""

    def __init__(self, broker: Mosquitto, file: Path) -> None:
        self._file = file
        command = [programs.need("mosquitto_sub"), "-p", str(broker.port), "-q", "1"]
        command += ["-t", "ami/v1/#", "-F", "%t %x"]
        with open(file, "wb") as output:
            self._process = subprocess.Popen(command, stdout=output)

    def messages(self) -> list[tuple[str, bytes]]:
        """(name of the topic, payload), of whole lines."""
        text = self._file.read_text()
        lines = [line.partition(" ") for line in text[: text.rfind("\n") + 1].splitlines()]
        return [(name.split("/")[-1], bytes.fromhex(payload)) for name, _, payload in lines]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_message_of_a_run(
    broker: Mosquitto, runtime: str, tmp_path: Path, micropython: str
) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    recorder = Recorder(broker, tmp_path / "traffic")
    try:
        with Stage(folder, plain=True) as stage:  # of a protected line nobody could read it
            stage.start_broker(broker.url)
            _run(stage, recorder, broker, runtime)
            key = stage.key
    finally:
        recorder.stop()
    _check(recorder.messages(), key)


def _run(stage: Stage, recorder: Recorder, broker: Mosquitto, runtime: str) -> None:
    """A job that is pulled, paused, resumed and canceled, one that reads; trust, keys, time;
    refusals.
    """
    board = stage.folder
    SigningKey.generate().save(board / "new.pem")
    (board / "period.pkg").write_bytes(signed(period_package(900), stage.key))
    store = stage.store()
    key = ["--key", str(stage.key_file)]
    here = ["--concentrator", CONCENTRATOR]

    def hes(*arguments: str) -> None:
        assert ami_hes(["--db", str(stage.database), *arguments]) == 0

    def wait(what: str, *names: str, more_than: int = 0) -> None:
        stage.wait_for(what, PATIENCE, lambda: all(count(name) > more_than for name in names))

    def count(name: str) -> int:
        return sum(each == name for each, _ in recorder.messages())

    stage.start_meters(6, seed=5, loss=0.0, speed=50.0)
    stage.start_hes("--time-key", str(stage.key_file))
    stage.start_gateway(runtime)
    with stage.control() as control:
        serials = normal_meters(control)
        meters = ["--meters", ",".join(serials)]
        control.fault(serials[0], "dead", True)
        hes("submit", *here, *meters, *key, "--package", str(board / "period.pkg"), "--tries", "20")
        job = store.reports.find_job("last")
        stage.wait_for(
            "a meter", PATIENCE, lambda: any(r.outcome for r in store.reports.meters(job))
        )
        for action in ("pause", "resume", "cancel"):
            hes(action, str(uuid.UUID(bytes=job)), *key)
            wait(action, "cancel" if action == "cancel" else "pause")
        stage.wait_for("the end", PATIENCE, lambda: store.reports.finished(job))
        control.fault(serials[0], "dead", False)
    meter = {"serial": serials[0], "ek": "01" * 16, "ak": "02" * 16}
    (board / "keys.jsonl").write_text(json.dumps(meter))
    (board / "board.copy").write_text((board / "board.key").read_text())
    one = ["--meters", serials[1]]
    hes("submit", *here, *one, *key, "--package", str(board / "period.pkg"), "--dry-run")
    hes("submit", *here, *one, *key, "--read", "clock 0.0.1.0.0.255 time")
    hes("trust", "add", *here, str(board / "new.json"), "--for", "orders")
    hes("trust", "send", *here, *key)
    given = ["--board-key", str(board / "board.copy"), "--meter-keys", str(board / "keys.jsonl")]
    hes("keys", *here, *key, *given)
    (board / "acme.yaml").write_text("{name: acme, number: 1, like: idis, description: x}")
    model = model_file.signed(compile_file(board / "acme.yaml"), stage.key)
    (board / "acme.model").write_bytes(model)
    hes("model", "send", *here, str(board / "acme.model"))
    wait("model")
    hes("task", "set", CONCENTRATOR, *key, "--name", "clocks", "--every", "1w", "--clock")
    wait("change")
    stage.wait_for(
        "all jobs",
        PATIENCE,
        lambda: all(store.reports.finished(row.id) for row in store.reports.jobs()),
    )
    hes("meters", CONCENTRATOR)
    stage.wait_for("both numbers", PATIENCE, lambda: _taken(store) == (1, 1))
    _publish(broker, "job", GARBAGE)
    # A concentrator without a clock is told the time by a signature.
    _publish(broker, "hello", Hello(1, 0, []).encode())
    stage.wait_for(
        "the signed time",
        PATIENCE,
        lambda: any(n == "time" and p[:1] == envelope.TAG_SIGN1 for n, p in recorder.messages()),
    )
    stage.wait_for("the refusals", PATIENCE, lambda: len(store.reports.events()) >= 3)
    stage.stop("gateway")
    wait("its goodbye", "state", more_than=1)


def _taken(store: Store) -> tuple[int, int]:
    """The numbers of the last messages of trust and of keys."""
    standing = store.trust.standing(CONCENTRATOR)
    return (standing.trust, standing.keys) if standing else (0, 0)


def _publish(broker: Mosquitto, name: str, payload: bytes) -> None:
    command = [programs.need("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-s"]
    subprocess.run([*command, "-t", topic(CONCENTRATOR, name)], input=payload, check=True)


def _check(traffic: list[tuple[str, bytes]], key: SigningKey) -> None:
    second = Validator(CDDL)
    schemas: dict[str, Schema] = {}

    def validate(rule: str, raw: bytes) -> None:
        schemas.setdefault(rule, Schema("whole = %s\n%s" % (rule, CDDL))).validate_cbor(raw)
        result = second.validate(raw, rule)
        assert result.valid, (rule, result.errors, raw.hex())

    def opened(raw: bytes) -> bytes:
        validate("signed", raw)
        public = COSEKey.new(
            {1: 2, 2: key.kid, 3: -7, -1: 1, -2: key.public[:32], -3: key.public[32:]}
        )
        return bytes(COSE.new(verify_kid=True).decode(raw, public))

    packages: dict[bytes, bytes] = {}
    for name, raw in traffic:
        if raw == GARBAGE:
            continue
        if name in SIGNED:
            validate(RULE[name], opened(raw))
        elif name == "time" and raw[:1] == envelope.TAG_SIGN1:
            validate("time-payload", opened(raw))
        elif name == "hello":
            validate(HELLOS[len(cbor.decode(raw))], raw)
        else:
            validate(RULE[name], raw)
        if name == "chunk":
            chunk = Chunk.decode(raw)
            known = packages.get(chunk.digest, b"")
            packages[chunk.digest] = known + chunk.data[len(known) - chunk.offset :]
    # Of certificates only a line with TLS speaks: tests/unit/hes/test_hes_certificates.py.
    spoken = set(UP_TOPICS + DOWN_TOPICS) - {
        "certificates",
        "certificate",
        "readings",
        "readings-ack",
        "readings-resend",
    }
    assert {name for name, _ in traffic} == spoken
    (package,) = packages.values()
    validate("package", opened(package))
