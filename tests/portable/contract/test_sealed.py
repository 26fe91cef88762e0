"""COSE_Encrypt0: what is taken, in which order, and each refusal. The octets are held against
`cryptography` and `cbor2` in tests/interop/test_cose.py."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.contract.sealed import MAX_NUMBER, MAX_OVERHEAD, Opener, Sealer, kid_of
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import crypto

KEY = bytes(range(16))
IV = bytes(range(100, 112))
KID = b"\x01\x02\x03\x04"
TOPIC = "ami/v1/street-1/hello"
FIRST = bytes.fromhex(
    "d0834ca30101044401020304064101a05819d5250476dff607a226a3ea0efaa77c150d0f6a70272816e69f"
)


def sealer() -> Sealer:
    return Sealer(crypto(), KEY, IV, KID)


def opener() -> Opener:
    return Opener(crypto(), KEY, IV, KID)


def refusal(of: Opener, topic: str, sealed: bytes | memoryview) -> str:
    before = of.number
    reason = raises(Refused, of.open, topic, sealed).reason
    assert of.number == before
    return reason


def test_what_is_sealed_comes_out() -> None:
    sealed = sealer().seal(TOPIC, b"a message")
    assert sealed == FIRST
    assert kid_of(sealed) == kid_of(memoryview(sealed)) == KID
    assert opener().open(TOPIC, sealed) == b"a message"
    assert opener().open(TOPIC, memoryview(sealed)) == b"a message"


def test_every_size_of_the_heads() -> None:
    """Where CBOR's heads grow (RFC 8949 3), and where the number does."""
    a, b = sealer(), opener()
    for number in (0, 250, 0xFFFA, 0xFFFFFA):
        a.number = number
        for size in (0, 1, 7, 8, 239, 240, 0xFFEF, 0xFFF0):
            plain = bytes(size)
            sealed = a.seal(TOPIC, plain)
            assert len(sealed) - size <= MAX_OVERHEAD
            assert kid_of(sealed) == KID
            assert b.open(TOPIC, sealed) == plain
            assert b.number == a.number


def test_the_longest_overhead() -> None:
    a = sealer()
    a.number = MAX_NUMBER - 1
    assert len(a.seal(TOPIC, bytes(0x10000))) - 0x10000 == MAX_OVERHEAD


def test_numbers_rise_and_none_comes_twice() -> None:
    a, b = sealer(), opener()
    first, second, third = [a.seal(TOPIC, b"%d" % i) for i in range(3)]
    assert b.open(TOPIC, first) == b"0"
    assert refusal(b, TOPIC, first) == "repeated"
    assert b.open(TOPIC, third) == b"2"  # the second was lost
    assert [refusal(b, TOPIC, old) for old in (first, second)] == ["replayed", "replayed"]
    assert refusal(b, TOPIC, third) == "repeated"
    assert b.open(TOPIC, a.seal(TOPIC, b"3")) == b"3"


def test_the_numbers_end() -> None:
    a = sealer()
    a.number = MAX_NUMBER - 1
    assert opener().open(TOPIC, a.seal(TOPIC, b"last")) == b"last"
    raises(ValueError, a.seal, TOPIC, b"one more")


def test_another_topic_key_iv_or_session() -> None:
    assert refusal(opener(), "ami/v1/street-2/hello", FIRST) == "unsealed"
    assert refusal(Opener(crypto(), IV + KID, IV, KID), TOPIC, FIRST) == "unsealed"
    assert refusal(Opener(crypto(), KEY, bytes(12), KID), TOPIC, FIRST) == "unsealed"
    assert refusal(Opener(crypto(), KEY, IV, bytes(4)), TOPIC, FIRST) == "unsealed"


def test_every_bit_counts() -> None:
    for place in range(len(FIRST)):
        for bit in range(8):
            changed = bytearray(FIRST)
            changed[place] ^= 1 << bit
            assert refusal(opener(), TOPIC, bytes(changed)) in ("unsealed", "repeated", "replayed")


def test_every_cut_and_what_follows() -> None:
    for end in range(len(FIRST)):
        assert refusal(opener(), TOPIC, FIRST[:end]) == "unsealed"
        assert kid_of(FIRST[:end]) is None
    assert refusal(opener(), TOPIC, FIRST + b"\x00") == "unsealed"


def test_one_spelling_only() -> None:
    """Longer heads, a number with zeros before it, number 0, an untagged one, other headers."""
    ciphertext = FIRST[-25:]
    protected = FIRST[3:15]
    for wrong in (
        b"\x83\x4c" + protected + b"\xa0\x58\x19" + ciphertext,
        b"\xd0\x83\x58\x0c" + protected + b"\xa0\x58\x19" + ciphertext,
        b"\xd0\x83\x4d" + protected[:10] + b"\x42\x00\x01" + b"\xa0\x58\x19" + ciphertext,
        b"\xd0\x83\x4c" + protected[:11] + b"\x00" + b"\xa0\x58\x19" + ciphertext,
        b"\xd0\x83\x4b" + protected[:10] + b"\x40" + b"\xa0\x58\x19" + ciphertext,
        b"\xd0\x83\x4c" + protected + b"\xa0\x59\x00\x19" + ciphertext,
        b"\xd0\x83\x4c" + protected + b"\xa1\x58\x19" + ciphertext,
        b"\xd1\x83\x4c" + protected + b"\xa0\x58\x19" + ciphertext,
    ):
        assert kid_of(wrong) is None
        assert refusal(opener(), TOPIC, wrong) == "unsealed"


def test_what_is_no_envelope() -> None:
    for seed in range(200):
        noise = random_bytes(seed, seed)
        assert kid_of(noise) is None
        assert refusal(opener(), TOPIC, noise) == "unsealed"
        assert refusal(opener(), TOPIC, FIRST[:8] + noise) == "unsealed"
