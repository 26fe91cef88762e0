"""Whatever is wrong with what comes from the HES: it ends in its own named reason, which arrives
upstream as a numbered report, changes nothing on a meter, and the gateway takes the next good job.

One gateway for all cases of a runtime: what one case leaves behind would show in the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.contract import envelope, messages
from gateway.contract.job import PackageRef
from gateway.contract.key_change import KeyChange
from gateway.contract.limits import MAX_MESSAGE, MAX_METERS, MAX_PACKAGE
from gateway.contract.messages import Cancel, Chunk, SignedTime, Time
from gateway.contract.reports import JobReport, MeterReport, Refusal
from gateway.contract.result import KO, OK
from gateway.contract.trust_change import ORDERS, TrustChange, TrustKey
from hal.rt import cbor
from tests.mosquitto import Broker
from tests.system.orders import (
    configure_job,
    normal_meters,
    period_of,
    period_package,
    read_job,
    sign,
    signed,
)
from tests.system.scripted_hes import ScriptedHes
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.meter.control import Control
from tools.meter.population import OTHER_FIRMWARE
from tools.package.keys import SigningKey

METERS = 6
UNKNOWN = "AMI9999999999"
NEVER = 300  # seconds: a capture period that every meter would take, and none may ever have
DAY = 86400


class Scene:
    """A running gateway, the scripted HES, and a meter for good jobs that bad ones never name."""

    def __init__(self, stage: Stage, runtime: str, hes: ScriptedHes, control: Control) -> None:
        self.stage = stage
        self.runtime = runtime
        self.hes = hes
        self.control = control
        self.stranger = SigningKey.generate()
        self.target, self.good = normal_meters(control)[:2]
        self.other_firmware = next(
            meter["serial"] for meter in control.meters() if meter["role"] == OTHER_FIRMWARE
        )
        self._period = 900

    def sign(self, payload: bytes) -> bytes:
        return sign(payload, self.hes.key)

    def bad_package(self) -> bytes:
        """Well made, and never to be carried out."""
        return signed(period_package(NEVER), self.hes.key)

    def logs(self) -> dict[str, list[dict[str, object]]]:
        """What was ever written, by meter, without the one of the good jobs."""
        serials = [meter["serial"] for meter in self.control.meters()]
        return {serial: self.control.log(serial) for serial in serials if serial != self.good}

    def refusal_of(self, name: str, payload: bytes) -> Refusal:
        """Send what must be refused, and right behind it a good job, which must be done all the
        same.
        """
        before, mark = self.logs(), self.hes.mark()
        self.hes.send(name, payload)
        self.do_a_good_job()
        assert self.logs() == before
        self.stage.ensure_running()
        refusals = [r.body for r in self.hes.since(mark) if isinstance(r.body, Refusal)]
        assert len(refusals) == 1
        return refusals[0]

    def do_a_good_job(self) -> None:
        """A configuration of one meter, different each time, from the order to the value inside
        the meter.
        """
        self._period = 1800 if self._period == 900 else 900
        package = signed(period_package(self._period), self.hes.key)
        self.hes.serve(package)
        job = configure_job([self.good], package, max_attempts=3)
        mark = self.hes.mark()
        self.hes.order(job.id, self.sign(job.encode()))
        ended = self.hes.job(mark, job.id)
        (meter,) = self.hes.meters(job.id)
        assert (meter.outcome, meter.reason) == (OK, "applied"), meter.detail
        assert ended.state == "succeeded"
        assert period_of(self.control, self.good) == self._period


@pytest.fixture(scope="module", params=RUNTIMES)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Path,
    micropython: str,
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("bad-input")
    broker = Broker(folder, certificates)
    broker.start()
    try:
        with Stage(folder, plain=True) as stage:  # the HES is the test
            stage.start_broker("mqtt://board:open%%20sesame@127.0.0.1:%d" % broker.port)
            stage.start_meters(METERS, seed=3, loss=0.0, speed=500.0)
            with (
                ScriptedHes(broker.port, CONCENTRATOR, stage.key) as hes,
                stage.control() as control,
            ):
                stage.start_gateway(request.param)
                hes.wait_birth()
                yield Scene(stage, request.param, hes, control)
    finally:
        broker.stop()


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    """After each case: nothing was written, the gateway lives, and works."""
    before = running.logs()
    yield running
    running.stage.ensure_running()
    running.do_a_good_job()
    assert running.logs() == before


# ------------------------------------------------------------ refused before the ledger

Make = Callable[[Scene], bytes]


def _changed(**changes: object) -> Make:
    """A job like any good one but for these fields; times count from now."""

    def make(scene: Scene) -> bytes:
        job = configure_job([scene.target], scene.bad_package())
        for name, value in changes.items():
            timed = name in ("issued", "not_before", "not_after") and isinstance(value, int)
            setattr(job, name, int(time.time()) + value if timed else value)
        return scene.sign(job.encode())

    return make


def _good_payload(scene: Scene) -> bytes:
    return configure_job([scene.target], scene.bad_package()).encode()


def _wrong_signature(scene: Scene) -> bytes:
    raw = bytearray(scene.sign(_good_payload(scene)))
    raw[-1] ^= 1
    return bytes(raw)


def _content_changed_after_signing(scene: Scene) -> bytes:
    kid, _, signature = envelope.split(scene.sign(_good_payload(scene)))
    return _envelope(kid, _good_payload(scene), signature)


def _signature_of_another_key(scene: Scene) -> bytes:
    payload = _good_payload(scene)
    return envelope.sign(payload, scene.hes.key.kid, scene.stranger.sign)


def _zero_signature(scene: Scene) -> bytes:
    return _envelope(scene.hes.key.kid, _good_payload(scene), bytes(64))


def _no_signature(scene: Scene) -> bytes:
    return _envelope(scene.hes.key.kid, _good_payload(scene), b"")


def _unknown_signer(scene: Scene) -> bytes:
    return sign(_good_payload(scene), scene.stranger)


def _envelope(kid: bytes, payload: bytes, signature: bytes) -> bytes:
    content = [envelope.PROTECTED, {envelope.KEY_ID: kid}, payload, signature]
    return envelope.TAG_SIGN1 + cbor.encode(content)


def _too_many_meters(scene: Scene) -> bytes:
    serials = ["X%d" % number for number in range(MAX_METERS + 1)]
    return scene.sign(configure_job(serials, scene.bad_package()).encode())


REFUSED: dict[str, tuple[str, Make]] = {
    "wrong signature": ("bad-signature", _wrong_signature),
    "content changed after signing": ("bad-signature", _content_changed_after_signing),
    "known key id, key of another": ("bad-signature", _signature_of_another_key),
    "signature of zeros": ("bad-signature", _zero_signature),
    "empty signature": ("malformed", _no_signature),
    "no envelope": ("malformed", _good_payload),
    "unknown signer": ("unknown-signer", _unknown_signer),
    "no content": ("malformed", lambda scene: b""),
    "not CBOR": ("malformed", lambda scene: b"\xff\x00not CBOR"),
    "envelope cut short": ("malformed", lambda scene: scene.sign(_good_payload(scene))[:-9]),
    "envelope with a tail": ("malformed", lambda scene: scene.sign(_good_payload(scene)) + b"\0"),
    "nested without end": ("malformed", lambda scene: b"\xd2" + b"\x81" * 60000),
    "length beyond the message": ("malformed", lambda scene: b"\xd2\x5b" + b"\xff" * 8),
    "signed, not CBOR inside": ("malformed", lambda scene: scene.sign(b"\xff\xff")),
    "signed, something else inside": ("malformed", lambda scene: scene.sign(cbor.encode([1, 2]))),
    "a package for a job": ("malformed", lambda scene: scene.bad_package()),
    "oversized": ("oversized", lambda scene: bytes(MAX_MESSAGE + 1)),
    "oversized by far": ("oversized", lambda scene: bytes(2_000_000)),
    "oversized package": (
        "oversized",
        _changed(package=PackageRef("huge", MAX_PACKAGE + 1, bytes(32))),
    ),
    "another concentrator": ("wrong-concentrator", _changed(concentrator="street-2")),
    "unknown kind": ("unknown-kind", _changed(kind=77)),
    "no meters": ("no-meters", _changed(serials=[])),
    "too many meters": ("malformed", _too_many_meters),
    "expired": ("expired", _changed(issued=-DAY, not_after=-60)),
    "issued in the future": ("not-yet-valid", _changed(issued=DAY)),
    "window ends before it begins": ("bad-window", _changed(not_before=DAY, not_after=3600)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_job(running: Scene, case: str) -> None:
    reason, make = REFUSED[case]
    running.hes.serve(running.bad_package())
    refusal = running.refusal_of("job", make(running))
    assert (refusal.topic, refusal.reason) == ("job", reason), refusal.detail


def _cancel(concentrator: str) -> bytes:
    return Cancel(bytes(16), concentrator, int(time.time())).encode()


def _trust(concentrator: str, key: SigningKey, number: int = 1, valid_s: int = 3600) -> bytes:
    now = int(time.time())
    new = TrustKey(key.kid, key.public, ORDERS)
    return TrustChange(concentrator, now, now + valid_s, number, [new], []).encode()


DOWN: dict[str, tuple[str, str, Make]] = {
    "cancel by a stranger": (
        "cancel",
        "unknown-signer",
        lambda scene: sign(_cancel(CONCENTRATOR), scene.stranger),
    ),
    "cancel for another": (
        "cancel",
        "wrong-concentrator",
        lambda scene: scene.sign(_cancel("street-2")),
    ),
    "trust by a stranger": (
        "trust",
        "unknown-signer",
        lambda scene: sign(_trust(CONCENTRATOR, scene.stranger), scene.stranger),
    ),
    "trust for another": (
        "trust",
        "wrong-concentrator",
        lambda scene: scene.sign(_trust("street-2", scene.stranger)),
    ),
    "trust out of order": (
        "trust",
        "out-of-order",
        lambda scene: scene.sign(_trust(CONCENTRATOR, scene.stranger, number=7)),
    ),
    "expired trust": (
        "trust",
        "expired",
        lambda scene: scene.sign(_trust(CONCENTRATOR, scene.stranger, valid_s=-60)),
    ),
    "keys wrapped for another board": (
        "keys",
        "unwrap-failed",
        lambda scene: scene.sign(
            KeyChange(
                CONCENTRATOR,
                int(time.time()),
                int(time.time()) + 3600,
                1,
                [(scene.good, bytes(48))],
            ).encode()
        ),
    ),
    "a day's step of the clock": (
        "time",
        "unsigned-time",
        lambda scene: Time(int(time.time()) + 86400).encode(),
    ),
    "a signed time that answers nothing": (
        "time",
        "stale-time",
        lambda scene: scene.sign(SignedTime(CONCENTRATOR, bytes(16), 5).encode()),
    ),
    **{
        "malformed " + name: (
            name,
            "bad-model" if name == "model" else "malformed",
            lambda scene: b"\x83\x01",
        )
        for name in messages.DOWN_TOPICS
    },
}


@pytest.mark.parametrize("case", DOWN)
def test_refused_message(running: Scene, case: str) -> None:
    name, reason, make = DOWN[case]
    refusal = running.refusal_of(name, make(running))
    assert (refusal.topic, refusal.reason) == (name, reason), refusal.detail


def test_chunk_nobody_asked_for(scene: Scene) -> None:
    """It is not stored, and not worth a report."""
    mark = scene.hes.mark()
    scene.hes.send("chunk", Chunk(bytes(32), 0, 4096, bytes(4096)).encode())
    scene.do_a_good_job()
    kinds = {type(report.body) for report in scene.hes.since(mark)}
    assert kinds == {JobReport, MeterReport}
    assert not [path for path in scene.stage.data.iterdir() if bytes(16).hex() in path.name]


# ------------------------------------------------------------ taken, and ended with a reason


def _wrong_octets(scene: Scene) -> bytes:
    """The digest of one package, served with another of the same size."""
    package = scene.bad_package()
    digest = scene.hes.serve(package)
    scene.hes.packages[digest] = package[:-1] + bytes([package[-1] ^ 1])
    return package


def _serve(make: Make) -> Make:
    def served(scene: Scene) -> bytes:
        package = make(scene)
        scene.hes.serve(package)
        return package

    return served


def _no_checks(scene: Scene) -> bytes:
    package = period_package(NEVER)
    package.checks = []
    return signed(package, scene.hes.key)


def _spoilt(scene: Scene) -> bytes:
    package = scene.bad_package()
    return package[:-1] + bytes([package[-1] ^ 1])


PACKAGES: dict[str, tuple[str, Make]] = {
    "other octets than the digest says": ("bad-digest", _wrong_octets),
    "signed by a stranger": (
        "unknown-signer",
        _serve(lambda scene: signed(period_package(NEVER), scene.stranger)),
    ),
    "wrong signature": ("bad-signature", _serve(_spoilt)),
    "not signed": ("bad-package", _serve(lambda scene: period_package(NEVER).to_payload())),
    "not CBOR": ("bad-package", _serve(lambda scene: b"#!/bin/sh\n")),
    "signed, not CBOR inside": ("bad-package", _serve(lambda scene: scene.sign(b"\xff"))),
    "signed, a job inside": ("bad-package", _serve(lambda s: s.sign(_good_payload(s)))),
    "without checks": ("bad-package", _serve(_no_checks)),
    "for another model": (
        "wrong-model",
        _serve(lambda scene: signed(period_package(NEVER, "AMI-X9"), scene.hes.key)),
    ),
    "for another firmware": (
        "wrong-firmware",
        _serve(lambda s: signed(period_package(NEVER, firmware=("V07.",)), s.hes.key)),
    ),
}


@pytest.mark.parametrize("case", PACKAGES)
def test_bad_package(scene: Scene, case: str) -> None:
    reason, make = PACKAGES[case]
    job = configure_job([scene.target], make(scene), max_attempts=3)
    meter = _only_meter(scene, scene.sign(job.encode()), job.id)
    assert (meter.serial, meter.outcome, meter.reason) == (scene.target, KO, reason)


def test_meter_with_another_firmware(scene: Scene) -> None:
    package = scene.bad_package()
    scene.hes.serve(package)
    job = configure_job([scene.other_firmware], package, max_attempts=3)
    meter = _only_meter(scene, scene.sign(job.encode()), job.id)
    assert (meter.state, meter.outcome, meter.reason) == ("rejected", KO, "wrong-firmware")


def _only_meter(scene: Scene, raw: bytes, job_id: bytes) -> MeterReport:
    mark = scene.hes.mark()
    scene.hes.send("job", raw)
    ended = scene.hes.job(mark, job_id)
    assert ended.state in ("failed", "rejected")
    (meter,) = scene.hes.meters(job_id)
    return meter


def test_unknown_meter_among_known_ones(scene: Scene) -> None:
    job = read_job([scene.target, UNKNOWN, scene.good], max_attempts=3)
    mark = scene.hes.mark()
    scene.hes.send("job", scene.sign(job.encode()))
    assert scene.hes.job(mark, job.id).state == "failed"
    ends = {meter.serial: (meter.state, meter.reason) for meter in scene.hes.meters(job.id)}
    assert ends == {
        UNKNOWN: ("rejected", "unknown-meter"),
        scene.target: ("succeeded", "read"),
        scene.good: ("succeeded", "read"),
    }


def test_window_not_open_yet(scene: Scene) -> None:
    package = scene.bad_package()
    scene.hes.serve(package)
    now = int(time.time())
    job = configure_job([scene.target], package, not_before=now + DAY, not_after=now + 2 * DAY)
    mark = scene.hes.mark()
    scene.hes.send("job", scene.sign(job.encode()))
    assert scene.hes.job(mark, job.id, ("queued",)).reason == "window-not-open"
    scene.do_a_good_job()
    assert scene.hes.meters(job.id) == []
    scene.hes.send("cancel", scene.sign(Cancel(job.id, CONCENTRATOR, now).encode()))
    assert scene.hes.job(mark, job.id).state == "canceled"
    assert [meter.reason for meter in scene.hes.meters(job.id)] == ["canceled"]


def test_duplicate(scene: Scene) -> None:
    job = read_job([scene.target])
    raw = scene.sign(job.encode())
    mark = scene.hes.mark()
    scene.hes.send("job", raw)
    scene.hes.send("job", raw)
    assert scene.hes.refusal(mark).reason == "duplicate"
    scene.hes.job(mark, job.id)
    mark = scene.hes.mark()
    scene.hes.send("job", raw)  # once more, now that it has ended and may be forgotten
    assert scene.hes.refusal(mark).reason in ("duplicate", "already-ended")
    assert [meter.reason for meter in scene.hes.meters(job.id)] == ["read"]


def test_conflicting_duplicate(scene: Scene) -> None:
    job = read_job([scene.target])
    mark = scene.hes.mark()
    scene.hes.send("job", scene.sign(job.encode()))
    scene.hes.job(mark, job.id)
    package = scene.bad_package()
    scene.hes.serve(package)
    other = configure_job([scene.target], package, id=job.id)
    mark = scene.hes.mark()
    scene.hes.send("job", scene.sign(other.encode()))
    assert scene.hes.refusal(mark).reason == "conflicting-duplicate"
    assert len(scene.hes.meters(job.id)) == 1


def test_a_flood_of_bad_messages(scene: Scene) -> None:
    """Each is answered, or counted where more wait than the outbox holds of refusals, or lost with
    the connection where they come faster than they are taken; then the good job is sent again.
    """
    mark = scene.hes.mark()
    for number in range(300):
        scene.hes.send("job", b"nonsense %d" % number)
    scene.do_a_good_job()
    bodies = [report.body for report in scene.hes.since(mark)]
    reasons = {body.reason for body in bodies if isinstance(body, Refusal)}
    assert reasons - {"duplicate"} == {"malformed"}
    assert OK in [b.outcome for b in bodies if isinstance(b, MeterReport)]


def test_package_the_hes_does_not_have(scene: Scene) -> None:
    """It is asked for until the window closes."""
    package = signed(period_package(NEVER, "AMI-NONE"), scene.hes.key)
    job = configure_job([scene.target], package, not_after=int(time.time()) + 5)
    mark = scene.hes.mark()
    scene.hes.send("job", scene.sign(job.encode()))
    assert scene.hes.job(mark, job.id).state == "timed-out"
    assert [meter.reason for meter in scene.hes.meters(job.id)] == ["package-unavailable"]


def test_restart_after_all_this(scene: Scene) -> None:
    """The ledger it wrote meanwhile is a good one: the numbers go on, and so does the work."""
    births = scene.hes.births()
    scene.stage.kill("gateway")
    scene.stage.start_gateway(scene.runtime)
    scene.hes.wait_birth(births + 1)
