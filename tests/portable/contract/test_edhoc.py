"""The handshake: both sides against each other, every refusal, and what a third one can do."""

from __future__ import annotations

from gateway.contract.edhoc.claim import BY_VALUE, encoded
from gateway.contract.edhoc.credential import Credential, credential_of
from gateway.contract.edhoc.frames import (
    SIGN_KEY,
    WrongSuite,
    error_in,
    error_message,
    framed_1,
    framed_3,
    unframed,
)
from gateway.contract.edhoc.initiator import Initiator
from gateway.contract.edhoc.responder import Responder
from gateway.contract.edhoc.sequence import identified, identifier
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.portable.memory import Measured
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import crypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.contract.sealed import Session

C_I, C_R = b"\x00\x00\x00\x07", b"\x12\x34\x56\x78"
BROUGHT = (SIGN_KEY, bytes(range(64)))
CRYPTO = crypto()
HES_PRIVATE, HES_PUBLIC = CRYPTO.ec_generate("P-256")
PRIVATE, PUBLIC = CRYPTO.ec_generate("P-256")
HES = Credential("hes", b"line-1", HES_PUBLIC)
CABINET = Credential("cabinet-7", b"\x11" * 8, PUBLIC)
PEERS = [(HES.kid, HES.public)]
NOISE = ("malformed", "unknown-signer", "unsealed")  # what comes out shows by chance


def initiator() -> Initiator:
    return Initiator(CRYPTO, CABINET, PRIVATE, C_I, [BROUGHT])


def responder() -> Responder:
    return Responder(CRYPTO, HES, HES_PRIVATE, C_R)


def agree(left: Session, right: Session) -> bool:
    up = left.sealer.seal("a/b", b"up")
    down = right.sealer.seal("a/c", b"down")
    return right.opener.open("a/b", up) == b"up" and left.opener.open("a/c", down) == b"down"


def test_both_sides_agree() -> None:
    ours, theirs = initiator(), responder()
    assert ours.message_1() == ours.message_1()
    message_3, up = ours.message_3(theirs.message_2(ours.message_1()), PEERS)
    who, ead, down = theirs.finished(message_3)
    assert who == CABINET and who.subject == "cabinet-7" and who.public == PUBLIC
    assert ead == [BROUGHT]
    assert up.sealer.kid == down.opener.kid == C_R
    assert up.opener.kid == down.sealer.kid == C_I
    assert agree(up, down)


def refused(call: Callable[..., Any], *args: Any) -> str:
    return raises(Refused, call, *args).reason


def test_each_handshake_has_other_keys() -> None:
    sealed = []
    for _ in range(2):
        ours, theirs = initiator(), responder()
        session = ours.message_3(theirs.message_2(ours.message_1()), PEERS)[1]
        sealed.append(session.sealer.seal("t", b"same"))
    assert sealed[0] != sealed[1]


def test_by_reference() -> None:
    ours, theirs = Initiator(CRYPTO, CABINET, PRIVATE, C_I, (), False), responder()
    message_3, up = ours.message_3(theirs.message_2(ours.message_1()), PEERS)
    stranger = Credential(CABINET.subject, CABINET.kid, HES_PUBLIC)
    assert refused(theirs.finished, message_3) == "unknown-signer"
    assert refused(theirs.finished, message_3, [HES]) == "unknown-signer"
    assert refused(theirs.finished, message_3, [stranger]) == "unsealed"
    who, ead, down = theirs.finished(message_3, [stranger, CABINET])
    assert who == CABINET and ead == []
    assert agree(up, down)


def test_two_keys_under_one_id_while_the_line_key_changes() -> None:
    ours, theirs = initiator(), responder()
    message_2 = theirs.message_2(ours.message_1())
    no_point = (HES.kid, bytes(64))
    assert refused(ours.message_3, message_2, [(HES.kid, PUBLIC), no_point]) == "unsealed"
    assert refused(ours.message_3, message_2, [(b"line-2", HES_PUBLIC)]) == "unknown-signer"
    assert refused(ours.message_3, message_2, []) == "unknown-signer"
    peers = [(HES.kid, PUBLIC), no_point] + PEERS
    message_3, up = ours.message_3(message_2, peers)
    assert agree(up, theirs.finished(message_3)[2])


def test_whoever_holds_the_broker_cannot_be_the_hes() -> None:
    """With a key of his own under the HES's key id; and the real answer is taken after his."""
    private, public = CRYPTO.ec_generate("P-256")
    forger = Responder(CRYPTO, Credential("hes", HES.kid, public), private, C_R)
    ours, theirs = initiator(), responder()
    forged = forger.message_2(ours.message_1())
    assert refused(ours.message_3, forged, PEERS) == "unsealed"
    message_3, up = ours.message_3(theirs.message_2(ours.message_1()), PEERS)
    assert refused(forger.finished, message_3) == "unsealed"
    assert agree(up, theirs.finished(message_3)[2])


def test_whoever_holds_the_broker_cannot_be_a_concentrator() -> None:
    """With the credential of one, and without its key; and the real answer is taken after his."""
    private, _ = CRYPTO.ec_generate("P-256")
    forger, ours, theirs = Initiator(CRYPTO, CABINET, private, C_I), initiator(), responder()
    message_2 = theirs.message_2(ours.message_1())
    assert refused(forger.message_3, message_2, PEERS) in ("malformed", "unknown-signer")
    message_2 = theirs.message_2(forger.message_1())
    assert refused(theirs.finished, forger.message_3(message_2, PEERS)[0]) == "unsealed"
    message_3, up = ours.message_3(theirs.message_2(ours.message_1()), PEERS)
    assert agree(up, theirs.finished(message_3)[2])


def test_nothing_of_one_handshake_serves_for_another() -> None:
    ours, theirs = initiator(), responder()
    message_3, _ = ours.message_3(theirs.message_2(ours.message_1()), PEERS)
    again = responder()
    again.message_2(ours.message_1())  # a message_1 that was recorded
    assert refused(again.finished, message_3) == "unsealed"
    new = initiator()
    old = theirs.message_2(ours.message_1())
    assert refused(new.message_3, old, PEERS) in NOISE
    assert refused(responder().finished, message_3) == "replayed"


def test_a_handshake_ends_once() -> None:
    """MQTT may bring a message twice: a second session of it would use nonces anew."""
    ours, theirs = initiator(), responder()
    message_2 = theirs.message_2(ours.message_1())
    message_3, up = ours.message_3(message_2, PEERS)
    assert refused(ours.message_3, message_2, PEERS) == "replayed"
    assert agree(up, theirs.finished(message_3)[2])
    assert refused(theirs.finished, message_3) == "replayed"
    ours = initiator()
    message_3, up = ours.message_3(theirs.message_2(ours.message_1()), PEERS)
    assert agree(up, theirs.finished(message_3)[2])


def test_every_bit_of_each_message_counts() -> None:
    ours, theirs = initiator(), responder()
    message_1 = ours.message_1()
    message_2 = theirs.message_2(message_1)
    for place in range(0, len(message_1), 4):
        try:
            answer = responder().message_2(flipped(message_1, place))
        except Refused as error:
            assert error.reason == "malformed"
        else:  # G_X or C_I are other ones: the initiator sees it
            assert refused(ours.message_3, answer, PEERS) in NOISE
    for place in range(0, len(message_2), 2):
        assert refused(ours.message_3, flipped(message_2, place), PEERS) in NOISE
    message_3, _ = ours.message_3(message_2, PEERS)
    for place in range(0, len(message_3), 5):
        assert refused(theirs.finished, flipped(message_3, place)) in ("malformed", "unsealed")


def flipped(message: bytes, place: int) -> bytes:
    changed = bytearray(message)
    changed[place] ^= 1 << place % 8
    return bytes(changed)


def test_every_cut_is_refused() -> None:
    ours, theirs = initiator(), responder()
    message_1 = ours.message_1()
    for end in range(len(message_1)):
        assert refused(theirs.message_2, message_1[:end]) == "malformed"
    message_2 = theirs.message_2(message_1)
    for end in range(len(message_2)):
        assert refused(ours.message_3, message_2[:end], PEERS) == "malformed"
    for more in (b"\x20", bytes(2000)):
        assert refused(theirs.message_2, message_1 + more) == "malformed"
        assert refused(ours.message_3, message_2 + more, PEERS) == "malformed"
    message_3, _ = ours.message_3(message_2, PEERS)
    for end in range(len(message_3)):
        assert refused(theirs.finished, message_3[:end]) == "malformed"
    for more in (b"\x20", bytes(2000)):
        assert refused(theirs.finished, message_3 + more) == "malformed"


def test_what_a_message_1_must_be() -> None:
    theirs = responder()
    g_x = CRYPTO.ec_generate("P-256")[1][:32]
    good = b"\x03\x02\x58\x20" + g_x + b"\x44" + C_I
    theirs.message_2(good)
    theirs.message_2(good + b"\x19\x9c\x40\x41\x00\x00\x41\x00")  # external data, padding
    theirs.message_2(good[:-5] + b"\x07")  # a connection id of one octet
    for wrong in (
        b"\x02" + good[1:],  # another method
        b"\xf5" + good[1:],
        good[:1] + b"\x81\x02" + good[2:],  # one suite in a list
        good[:1] + b"\xf4" + good[2:],
        good[:2] + b"\x58\x1f" + good[4:],  # G_X too short
        good[:2] + b"\x07" + good[36:],  # G_X a number, and a text
        good[:2] + b"\x78\x20" + b"a" * 32 + good[36:],
        good[:4] + bytes(31) + b"\x01" + good[36:],  # no point has this x
        good[:4] + b"\xff" * 32 + good[36:],
        good[:36] + b"\x45" + bytes(5),  # C_I too long
        good[:36] + b"\x41\x07",  # C_I not in the shorter form
        good[:36] + b"\x18\x18",
        good[:36],
        good + b"\x20",  # critical external data
        good + b"\x41\x00",
        good + b"\x01\x61a",
        good + b"\x01" * 20,
    ):
        error = raises(Refused, theirs.message_2, wrong)
        assert error.reason == "malformed" and not isinstance(error, WrongSuite), wrong


def test_suites_are_negotiated() -> None:
    """RFC 9528 6.3: the error names ours, and a message_1 that then selects it is taken, with the
    suites before it that we do not have."""
    theirs = responder()
    rest = b"\x58\x20" + CRYPTO.ec_generate("P-256")[1][:32] + b"\x44" + C_I
    for suites in (b"\x00", b"\x03", b"\x82\x02\x03", b"\x18\x18", b"\x37", b"\x83\x00\x01\x06"):
        error = raises(WrongSuite, theirs.message_2, b"\x03" + suites + rest)
        assert error.reason == "malformed"
        assert error_message(error) == b"\x02\x02"
    for suites in (b"\x02", b"\x82\x06\x02", b"\x83\x00\x18\x18\x02"):
        theirs.message_2(b"\x03" + suites + rest)


def test_what_a_credential_by_value_must_be() -> None:
    """Whoever has proven nothing yet says them: each is refused before anything is made of it."""
    x, y = PUBLIC[:32], PUBLIC[32:]
    key = {1: 2, 2: b"kid", -1: 1, -2: x, -3: y}
    for wrong in (
        [],
        {2: "a", 8: {1: key}, 3: "b"},
        {2: "a", 7: {1: key}},
        {2: 1, 8: {1: key}},
        {2: "", 8: {1: key}},
        {2: "a" * 65, 8: {1: key}},
        {2: "a", 8: {2: key}},
        {2: "a", 8: {1: key, 2: key}},
        {2: "a", 8: {1: changed(key, 1, 1)}},
        {2: "a", 8: {1: changed(key, -1, 2)}},
        {2: "a", 8: {1: changed(key, 2, b"")}},
        {2: "a", 8: {1: changed(key, 2, bytes(33))}},
        {2: "a", 8: {1: changed(key, 2, 4)}},
        {2: "a", 8: {1: changed(key, -2, x[1:])}},
        {2: "a", 8: {1: changed(key, -3, y[1:])}},
        {2: "a", 8: {1: changed(key, -2, "x" * 32)}},
        {2: "a", 8: {1: changed(key, -3, True)}},
        {2: "a", 8: {1: changed(key, -4, x)}},
        {2: "a", 8: {1: {}}},
        {2: "a", 8: []},
    ):
        assert refused(credential_of, wrong) == "malformed", wrong
    for subject, kid in (("a", b"k"), ("a" * 64, bytes(32))):
        taken = credential_of({2: subject, 8: {1: changed(key, 2, kid)}})
        assert taken == Credential(subject, kid, PUBLIC)
        for other in (
            Credential("b", kid, PUBLIC),
            Credential(subject, b"other", PUBLIC),
            Credential(subject, kid, HES_PUBLIC),
        ):
            assert taken != other


def changed(key: dict[int, Any], label: int, value: object) -> dict[int, Any]:
    other = {each: key[each] for each in key}
    other[label] = value
    return other


def test_what_stands_in_a_message_3() -> None:
    """Of a peer that knows the protocol, and does not keep to it."""
    wrong = [
        b"",
        b"\x48" + bytes(8),
        encoded(b"\xa1\x04\x43kid", bytes(8), b""),  # not in the shorter form
        encoded(BY_VALUE + b"\xa0", bytes(8), b""),
        encoded(b"\x58\x03kid", bytes(8), b""),  # a longer head
        encoded(b"\x43kid", bytes(7), b""),
        b"\x43kid\x68" + b"a" * 8,  # a text for a MAC, a list
        b"\x43kid\x88" + b"\x00" * 8,
        encoded(b"\xa2" + BY_VALUE[1:] + CABINET.ccs() + b"\x0f\x00", bytes(8), b""),
        encoded(b"\x43kid", bytes(8), b"\x20\x41\x00"),
        encoded(b"\xf6", bytes(8), b""),
        encoded(BY_VALUE + Credential("a", b"kid", bytes(64)).ccs(), bytes(8), b""),  # no point
        encoded(BY_VALUE + CABINET.ccs(), bytes(8), b"")[:-1],
    ]
    for plaintext_3 in wrong:
        theirs = responder()
        theirs.message_2(initiator().message_1())
        schedule = theirs._schedule
        assert schedule is not None
        message_3 = cbor.encode(schedule.seal_3(plaintext_3))
        assert refused(theirs.finished, message_3) == "malformed", plaintext_3


def test_ids_of_one_octet() -> None:
    """RFC 9528 3.3.2: those that are themselves an integer's encoding stand as that integer."""
    for octet in range(256):
        as_integer = octet <= 0x17 or 0x20 <= octet <= 0x37
        octets = bytes([octet])
        found = identifier(octets)
        assert found == (octets if as_integer else b"\x41" + octets)
        assert identified(cbor.decode(found), "an id", 4) == octets
        if as_integer:
            assert refused(identified, octets, "an id", 4) == "malformed"
    for wrong in (24, -25, True, None, "a", bytes(5)):
        assert refused(identified, wrong, "an id", 4) == "malformed"
    assert identified(bytes(4), "an id", 4) == bytes(4) and identifier(b"") == b"\x40"


def test_framing() -> None:
    assert unframed(framed_1(b"one")) == (None, b"one")
    assert unframed(framed_3(C_R, b"three")) == (C_R, b"three")
    for wrong in (b"", b"\xf4one", b"\x43abc", b"\x44abc", b"\x07", framed_1(bytes(1024))):
        assert refused(unframed, wrong) == "malformed"


def test_errors() -> None:
    """RFC 9528 6: code and what belongs to it."""
    assert error_message() == b"\x01\x6fno such session"
    assert error_message(Refused("malformed", "with a detail")) == b"\x01\x69malformed"
    assert error_message(Refused("unknown-signer")) == b"\x03\xf5"
    assert error_in(error_message()) == "'no such session'"
    assert error_in(b"\x02\x02") == "wrong cipher suite: the other side has 2"
    assert error_in(b"\x02\x82\x00\x01") == "wrong cipher suite: the other side has [0, 1]"
    assert error_in(b"\x03\xf5") == "the credential is not known there"
    assert error_in(b"\x01\x63\x1b[m") == "'\\x1b[m'"
    message_2 = responder().message_2(initiator().message_1())
    for other in (b"", b"\x01", b"\x01\x01", b"\x00\x60", b"\x03\xf4", b"\x02\x61a", message_2):
        assert error_in(other) is None
    assert error_in(b"\x01\x59\x04\x00" + bytes(1024)) is None


def test_noise_is_refused() -> None:
    ours, theirs = initiator(), responder()
    theirs.message_2(ours.message_1())
    for seed in range(100):
        noise = random_bytes(seed, seed)
        assert refused(theirs.message_2, noise) == "malformed"
        assert refused(ours.message_3, noise, PEERS) == "malformed"
        assert refused(theirs.finished, noise) == "malformed"
        assert refused(theirs.finished, cbor.encode(noise)) == "unsealed"
        reason = refused(ours.message_3, cbor.encode(noise), PEERS)
        assert reason in NOISE
        error_in(noise)


def test_a_flood_leaves_nothing() -> None:
    """Neither on the one side nor on the other, and the real peer comes through after it."""
    ours, theirs = initiator(), responder()
    message_1 = ours.message_1()
    forged = responder().message_2(initiator().message_1())
    kept = theirs.message_2(message_1)
    with Measured() as memory:
        used = []
        for _ in range(12):
            for _ in range(8):
                refused(ours.message_3, forged, PEERS)
                refused(ours.message_3, b"\x58\x40" + bytes(64), PEERS)
                refused(theirs.finished, b"\x58\x40" + bytes(64))
            used.append(memory.used())
    assert used[-1] - used[7] < 2048, used  # the runtime's own caches fill in the first rounds
    message_3, up = ours.message_3(kept, PEERS)
    assert agree(up, theirs.finished(message_3)[2])
