"""Whatever bytes come: the protocol's own refusal, or a message; never anything else."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import envelope, messages
from gateway.contract.key_change import KeyChange
from gateway.contract.messages import (
    Ack,
    Cancel,
    Chunk,
    Hello,
    Pause,
    Pull,
    Reports,
    Resend,
    State,
    Time,
)
from gateway.contract.model import Model
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.trust_change import TrustChange
from hal.cpython.crypto import SystemCrypto
from hal.ports import Message
from hal.rt import cbor
from tests.portable.jobs.told import told
from tests.portable.uplink.support import (
    HERE,
    NOW,
    TRUST,
    World,
    configure_job,
    every_message,
    package,
    read_job,
    signed,
)

KINDS: tuple[Any, ...] = (
    State,
    Hello,
    Reports,
    Pull,
    Cancel,
    Pause,
    Chunk,
    Ack,
    Resend,
    Time,
    messages.SignedTime,
    TrustChange,
    KeyChange,
)
MODEL = Model("x", 3, "another make's", None, objects=[("billing", 7, bytes(6))])
SEEDS = [message.encode() for message in every_message()] + [
    signed(read_job().encode()),
    signed(configure_job(b"x").encode()),
    signed(Cancel(bytes(16), HERE, 1).encode()),
    signed(Pause(bytes(16), HERE, 1, True).encode()),
    signed(package().to_payload()),
    signed(MODEL.to_payload()),
    MODEL.to_payload(),
]

items = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(st.integers(-(1 << 63), 1 << 63) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=30,
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good message with a few bytes changed, cut or repeated."""
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(raw) - 1, 0)))
        what = draw(st.integers(0, 3))
        if what == 0 and raw:
            raw[place] = draw(st.integers(0, 255))
        elif what == 1:
            del raw[place:]
        elif what == 2:
            raw[place:place] = draw(st.binary(max_size=8))
        else:
            del raw[place : place + 3]
    return bytes(raw)


payloads = st.binary(max_size=200) | items.map(cbor.encode) | spoilt()


@given(payloads)
@settings(max_examples=400, deadline=None)
def test_decoders_refuse_or_understand(raw: bytes) -> None:
    for kind in KINDS:
        try:
            message = kind.decode(raw)
        except Refused as refused:
            assert refused.reason in ("malformed", "oversized")
        else:
            assert kind.decode(message.encode()).encode() == message.encode()


@given(payloads)
@settings(max_examples=300, deadline=None)
def test_envelope_and_package_refuse_or_understand(raw: bytes) -> None:
    for call in (
        lambda: envelope.verify(raw, TRUST, SystemCrypto()),
        lambda: Package.decode(raw, TRUST, SystemCrypto()),
        lambda: Package.from_payload(raw),
        lambda: Model.from_payload(raw),
        lambda: Model.decode(raw, TRUST, SystemCrypto()),
    ):
        try:
            call()
        except Refused as refused:
            assert refused.reason in (
                "malformed",
                "bad-package",
                "bad-model",
                "unknown-signer",
                "bad-signature",
            )


@given(st.sampled_from(messages.DOWN_TOPICS), items)
@settings(max_examples=200, deadline=None)
def test_signed_nonsense_is_refused(name: str, content: Any) -> None:
    """Even someone we trust cannot confuse us."""
    world = World()
    world.give(name, signed(cbor.encode(content)))
    assert world.ledger.jobs() == []
    assert len(world.refusals()) == 1


topics = st.sampled_from(
    ["ami/v1/%s/%s" % (HERE, name) for name in messages.DOWN_TOPICS + messages.UP_TOPICS]
    + ["oversized/ami/v1/%s/job" % HERE, ""]
) | st.text(max_size=40)


@given(st.lists(st.tuples(topics, payloads), min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_no_messages_upset_the_session(sequence: list[tuple[str, bytes]]) -> None:
    world = World()
    for topic, payload in sequence:
        world.session.take(Message(topic, payload))
    # It still does its work.
    world.clock.set_unix_time(NOW)
    world.give("job", signed(read_job(200).encode()))
    assert world.ledger.entry(read_job(200).id) is not None
    for report in told(world.ledger, 0, 1000):
        assert len(report.detail.encode()) <= 1024
