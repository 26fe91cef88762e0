"""COSE_Sign1: what is taken, and each refusal. Key and signature were made with `cryptography`."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import crypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PUBLIC = bytes.fromhex(
    "8ed3cc6776cadd843642d637161d4f29f2baf4bdbbf1a777f6bb9ce798bc2b73"
    "747f5af0f595051b70306bdb26af75203a0a75e6ffd33a82fa9b0372ae0c8e4d"
)
OTHER = bytes.fromhex(
    "b889863b087621f890c0be2dfbe7d1fd5a1c932b63d016c848017618cc1d5bcb"
    "0940d20137428b3b7d0ea17f26bd1d6a9c5aa6c7e140834aa30c526a7f6fa3b7"
)
SIGNED = bytes.fromhex(
    "d28443a10126a104456865732d3148616e206f7264657258402b7059b60a1b6f26607bba4b4a5858a3f88a526d"
    "5073dbce7390a60d7a4d3a2a5e3406c5cddbb5b0b502a9dd9592820d9809e8300948796e47f72f4f0f157ef1"
)
SIGNATURE = SIGNED[-64:]


def refusal(raw: bytes, trust: list[tuple[bytes, bytes]]) -> str:
    return raises(Refused, envelope.verify, raw, trust, crypto()).reason


def test_signed_content_comes_out() -> None:
    trust = [(b"hes-1", PUBLIC)]
    assert envelope.verify(SIGNED, trust, crypto()) == (b"an order", b"hes-1")


def test_two_keys_under_one_id_during_a_change_of_keys() -> None:
    trust = [(b"hes-1", OTHER), (b"hes-1", PUBLIC)]
    assert envelope.verify(SIGNED, trust, crypto()) == (b"an order", b"hes-1")


def test_sign_makes_the_same_envelope() -> None:
    asked = []

    def private_sign(structure: bytes) -> bytes:
        asked.append(structure)
        return SIGNATURE

    assert envelope.sign(b"an order", b"hes-1", private_sign) == SIGNED
    # RFC 9052 4.4: ["Signature1", protected, external aad, payload]
    assert asked == [b"\x84\x6aSignature1\x43\xa1\x01\x26\x40\x48an order"]


def test_sign_refuses_a_der_signature_and_a_missing_key_id() -> None:
    raises(ValueError, envelope.sign, b"x", b"hes-1", lambda structure: bytes(70))
    raises(ValueError, envelope.sign, b"x", b"", lambda structure: bytes(64))


def test_unknown_signer() -> None:
    assert refusal(SIGNED, []) == "unknown-signer"
    assert refusal(SIGNED, [(b"hes-2", PUBLIC)]) == "unknown-signer"


def test_bad_signature_of_another_key() -> None:
    assert refusal(SIGNED, [(b"hes-1", OTHER)]) == "bad-signature"


def test_every_flipped_bit_is_refused() -> None:
    trust = [(b"hes-1", PUBLIC)]
    for position in range(0, len(SIGNED), 3):
        raw = bytearray(SIGNED)
        raw[position] ^= 1 << position % 8
        assert refusal(bytes(raw), trust) in ("malformed", "unknown-signer", "bad-signature")


def test_every_truncation_is_malformed() -> None:
    for size in range(len(SIGNED)):
        assert refusal(SIGNED[:size], [(b"hes-1", PUBLIC)]) == "malformed"
    assert refusal(SIGNED + b"\x00", [(b"hes-1", PUBLIC)]) == "malformed"


def test_other_headers_are_malformed() -> None:
    trust = [(b"hes-1", PUBLIC)]
    good = [envelope.PROTECTED, {4: b"hes-1"}, b"an order", SIGNATURE]
    assert envelope.verify(b"\xd2" + cbor.encode(good), trust, crypto())[0] == b"an order"
    for place, value in (
        (0, b""),  # no algorithm
        (0, b"\xa1\x01\x38\x22"),  # ES384
        (0, [1]),
        (1, {}),
        (1, {4: "hes-1"}),
        (1, {4: b"hes-1", 5: b"iv"}),
        (1, {4: bytes(33)}),
        (1, None),
        (2, None),  # detached payload
        (2, "an order"),
        (3, SIGNATURE[1:]),
        (3, None),
    ):
        bad: list[Any] = list(good)
        bad[place] = value
        assert refusal(b"\xd2" + cbor.encode(bad), trust) == "malformed", (place, value)
    assert refusal(cbor.encode(good), trust) == "malformed"  # no tag


def test_noise_is_malformed() -> None:
    for seed in range(200):
        raw = random_bytes(seed, seed)
        assert refusal(b"\xd2" + raw, [(b"hes-1", PUBLIC)]) == "malformed"
