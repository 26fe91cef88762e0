"""Everything that goes over the line is what messages.cddl says, by a CDDL tool not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cddl_verifier import Validator
from pycddl import Schema, ValidationError

import gateway.contract.messages
from gateway.contract import reading_record
from gateway.contract.change import Change
from gateway.contract.edhoc.claim import encoded
from gateway.contract.edhoc.credential import Credential
from gateway.contract.edhoc.frames import (
    SIGN_KEY,
    WrongSuite,
    error_message,
    framed_1,
    framed_3,
)
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.responder import Responder
from gateway.contract.job import Canary, Span, State
from gateway.contract.key_change import KeyChange
from gateway.contract.kinds import COMPARE, IMAGE, SUPPLY
from gateway.contract.kinds import READINGS as READINGS_JOB
from gateway.contract.line_certificate import LineCertificate, LineStatus
from gateway.contract.messages import (
    Ack,
    Ask,
    Cancel,
    Chunk,
    Hello,
    Meters,
    Pause,
    Progress,
    Pull,
    Readings,
    Reports,
    Resend,
    SignedTime,
    Time,
)
from gateway.contract.messages import State as Birth
from gateway.contract.meter_change import MetersPut, MetersRemoved
from gateway.contract.model import Model
from gateway.contract.refused import Refused
from gateway.contract.restart import Restart
from gateway.contract.sealed import Sealer
from gateway.contract.task import Task, TaskRemoved
from gateway.contract.trust_change import TrustChange
from gateway.contract.window import Daily
from hal.rt import cbor
from tests.portable.contract.test_reading_record import GOLDEN as READINGS
from tests.portable.uplink.support import (
    configure_job,
    crypto,
    every_message,
    every_report,
    package,
    read_job,
    signed,
)

TEXT = Path(gateway.contract.messages.__file__).with_name("messages.cddl").read_text()
RULE = {
    Birth: "state",
    Reports: "report",
    Pull: "pull",
    Cancel: "cancel-payload",
    Pause: "pause-payload",
    Chunk: "chunk",
    Ack: "ack",
    Ask: "ask",
    Meters: "meters-message",
    Progress: "progress",
    Resend: "resend",
    Time: "time-message",
    SignedTime: "time-payload",
    TrustChange: "trust-payload",
    KeyChange: "keys-payload",
    LineStatus: "certificates",
    LineCertificate: "certificate-payload",
    Readings: "readings",
}


# By the number of elements. pycddl judges a choice between arrays of one beginning wrongly.
HELLOS = {
    9: "hello-without-models",
    10: "hello-with-models",
    13: "hello-with-numbers",
    14: "hello-with-starts",
    15: "hello-with-counts",
    16: "hello-with-changes",
    17: "hello-with-readings",
}


def rule_of(message: Any) -> str:
    if isinstance(message, Hello):
        return HELLOS[len(message.to_array())]
    if isinstance(message, Change):
        return {
            Task: "change-task",
            TaskRemoved: "change-task-removed",
            MetersPut: "change-meters-put",
            MetersRemoved: "change-meters-removed",
            Restart: "change-restart",
        }[type(message.body)]
    return RULE[type(message)]


def schema(rule: str) -> Schema:
    """The first rule of a CDDL text is the one that counts."""
    return Schema("whole = %s\n%s" % (rule, TEXT))


@pytest.mark.parametrize("message", every_message(), ids=lambda m: type(m).__name__)
def test_each_message_is_what_its_rule_says(message: Any) -> None:
    schema(rule_of(message)).validate_cbor(message.encode())


def test_the_rule_of_reports_takes_nothing_else() -> None:
    """By another judge: pycddl takes anything in place of so many kinds of them."""
    validator = Validator("whole = report\n" + TEXT)
    for report in every_report():
        message = Reports(5, [report])
        assert validator.validate(message.encode()).valid
        body = report.body.to_array()
        for place in range(len(body)):
            bad = [*body[:place], -1, *body[place + 1 :]]
            raw = cbor.encode([1, 5, [[report.number, report.time, bad]]])
            assert not validator.validate(raw).valid, (body, place)
    for place in range(3):
        bad = [1, 5, [report.to_array()]]
        bad[place] = -1
        assert not validator.validate(cbor.encode(bad)).valid


@pytest.mark.parametrize(
    "message",
    [each for each in every_message() if not isinstance(each, Reports)],
    ids=lambda m: type(m).__name__,
)
def test_the_rule_takes_nothing_else(message: Any) -> None:
    rule = schema(rule_of(message))
    fields = cbor.decode(message.encode())
    for place in range(len(fields)):
        bad = list(fields)
        bad[place] = -1
        with pytest.raises(ValidationError):
            rule.validate_cbor(cbor.encode(bad))
    with pytest.raises(ValidationError):
        rule.validate_cbor(cbor.encode(fields + [0]))


def test_sealed_messages() -> None:
    rule, header = schema("sealed"), schema("sealed-header")
    validator = Validator("whole = sealed\n" + TEXT)
    for number in (0, 255, 65535, 1 << 24):
        sealer = Sealer(crypto(), bytes(16), bytes(12), b"\x00\x01\x02\x03")
        sealer.number = number
        sealed = sealer.seal("ami/v1/c/ack", Ack(5, 1).encode())
        rule.validate_cbor(sealed)
        assert validator.validate(sealed).valid
        protected = cbor.decode(sealed, (16,)).value[0]
        header.validate_cbor(protected)
        with pytest.raises(ValidationError):
            header.validate_cbor(protected[:1] + b"\x01\x02" + protected[3:])
        with pytest.raises(ValidationError):
            rule.validate_cbor(b"\xd1" + sealed[1:])


def test_the_handshake() -> None:
    """Each message as the sequence that it is, and what is inside."""
    private, public = crypto().ec_generate("P-256")
    cabinet = Credential("cabinet-7", bytes(8), public)
    hes = Credential("hes", b"line-1", public)
    ours = Initiator(crypto(), cabinet, private, b"\x00\x00\x00\x07", [(SIGN_KEY, bytes(64))])
    theirs = Responder(crypto(), hes, private, b"\x12\x34\x56\x78")
    message_2 = theirs.message_2(ours.message_1())
    message_3, session = ours.message_3(message_2, [(hes.kid, public)])
    assert theirs._schedule is not None
    of_sequence("handshake-1", 5, framed_1(ours.message_1()))
    of_sequence("handshake-2", 1, message_2)
    of_sequence("handshake-3", 2, framed_3(session.sealer.kid, message_3))
    of_sequence("plaintext-3", 4, theirs._schedule.open_3(message_3[2:]))
    mac = bytes(8)
    of_sequence("plaintext-2", 3, b"\x44\x12\x34\x56\x78" + encoded(b"\x46line-1", mac, b""))
    schema("ccs").validate_cbor(cabinet.ccs())
    for error in (None, Refused("malformed"), Refused("unknown-signer"), WrongSuite("")):
        of_sequence("edhoc-error", 2, error_message(error))


@pytest.mark.parametrize("reading", [one for one, _ in READINGS], ids=lambda r: type(r).__name__)
def test_records_of_readings(reading: Any) -> None:
    """Each is what its own rule says, and nothing else is."""
    rule = schema("reading-" + type(reading).__name__.lower())
    octets = reading_record.encode(reading)
    rule.validate_cbor(octets)
    assert Validator("whole = reading\n" + TEXT).validate(octets).valid
    fields = cbor.decode(octets)
    for place in range(len(fields)):
        bad: list[Any] = list(fields)
        bad[place] = {}  # pycddl takes -1 for six octets
        with pytest.raises(ValidationError):
            rule.validate_cbor(cbor.encode(bad))
    with pytest.raises(ValidationError):
        rule.validate_cbor(cbor.encode(fields + [0]))


def of_sequence(rule: str, items: int, octets: bytes) -> None:
    schema(rule).validate_cbor(bytes([0x80 | items]) + octets)
    with pytest.raises(ValidationError):
        schema(rule).validate_cbor(bytes([0x80 | items + 1]) + octets + b"\xf4")


def test_jobs() -> None:
    schema("configure-job").validate_cbor(configure_job(b"x" * 100).encode())
    ordered = configure_job(b"x" * 100, kind=COMPARE)
    schema("compare-job").validate_cbor(ordered.encode())
    ordered = configure_job(b"x" * 100, kind=IMAGE, activation=1)
    schema("image-job").validate_cbor(ordered.encode())
    span = Span("load-profile", 1_800_000_000, 1_800_086_400)
    asked = schema("readings-job")
    asked.validate_cbor(read_job(kind=READINGS_JOB, objects=[], span=span).encode())
    objects = [(7, bytes((1, 0, 99, 1, 0, 255)), 2)]
    span = Span("", 0, 1_800_086_400)
    asked.validate_cbor(read_job(kind=READINGS_JOB, objects=objects, span=span).encode())
    switch = schema("supply-job")
    command = (70, bytes((0, 0, 96, 3, 10, 255)), 3)
    switch.validate_cbor(read_job(kind=SUPPLY, objects=[command]).encode())
    with pytest.raises(ValidationError):
        switch.validate_cbor(read_job(kind=SUPPLY, objects=[(*command[:2], 4)]).encode())
    rule = schema("read-job")
    rule.validate_cbor(read_job().encode())
    night, canary = Daily(79200, 18000, 0x1F), Canary(1, 90)
    rule.validate_cbor(read_job(daily=night, canary=canary, retry_of=bytes(16)).encode())
    shifting = Daily(79200, 18000, 0x1F, [[1_800_000_000, 3600], [1_815_000_000, -3600]])
    rule.validate_cbor(read_job(daily=shifting).encode())
    wrong: list[dict[str, Any]] = [
        {"priority": 10},
        {"serials": []},
        {"kind": 1},
        {"id": b"short"},
        {"daily": Daily(86400, 0)},
        {"daily": Daily(0, 0, 128)},
        {"daily": Daily(0, 0, 127, [[1, -10801]])},
        {"daily": Daily(0, 0, 127, [[1, 0, 0]])},
        {"canary": Canary(1, 101)},
        {"retry_of": bytes(17)},
        {"activation": 1},
    ]
    for changes in wrong:
        with pytest.raises(ValidationError):
            rule.validate_cbor(read_job(**changes).encode())


def test_packages() -> None:
    rule = schema("package")
    rule.validate_cbor(package().to_payload())
    for_one = package()
    for_one.model = "idis"
    rule.validate_cbor(for_one.to_payload())
    for_one.model = "IDIS"
    with pytest.raises(ValidationError):
        rule.validate_cbor(for_one.to_payload())
    bad = package()
    bad.checks.clear()
    with pytest.raises(ValidationError):
        rule.validate_cbor(bad.to_payload())


def test_models() -> None:
    rule = schema("model-payload")
    model = Model("idis", 2, "", model=None, objects=[("billing", 7, bytes(6))])
    rule.validate_cbor(model.to_payload())
    for bad in (Model("IDIS", 2, ""), Model("idis", 0, ""), Model("idis", 1, "", policy=1)):
        with pytest.raises(ValidationError):
            rule.validate_cbor(bad.to_payload())


def test_envelopes() -> None:
    rule = schema("signed")
    rule.validate_cbor(signed(read_job().encode()))
    with pytest.raises(ValidationError):
        rule.validate_cbor(signed(read_job().encode())[1:])  # no tag


def test_names_of_states() -> None:
    rule = schema("state-name")
    for name in State.NAMES:
        rule.validate_cbor(cbor.encode(name))
    with pytest.raises(ValidationError):
        rule.validate_cbor(cbor.encode("QUEUED"))
