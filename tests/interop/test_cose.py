"""Our COSE_Sign1 against `cryptography`'s ECDSA: a second view on the bytes that are signed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.uplink import envelope
from gateway.uplink.refused import Refused
from hal.cpython.crypto import SystemCrypto
from tests.portable.uplink_support import PUBLIC, signed


def test_a_signature_by_cryptography_is_taken() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_numbers()
    public = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")

    def private_sign(structure: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(structure, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    raw = envelope.sign(b"an order", b"k", private_sign)
    assert envelope.verify(raw, [(b"k", public)], SystemCrypto()) == (b"an order", b"k")
    with pytest.raises(Refused, match="bad-signature"):
        envelope.verify(raw, [(b"k", PUBLIC)], SystemCrypto())


def test_the_signer_of_the_tests_makes_true_signatures() -> None:
    _, payload, signature = envelope.split(signed(b"an order"))
    x, y = int.from_bytes(PUBLIC[:32], "big"), int.from_bytes(PUBLIC[32:], "big")
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    structure = b"\x84\x6aSignature1\x43\xa1\x01\x26\x40\x48" + payload
    key.verify(encode_dss_signature(r, s), structure, ec.ECDSA(SHA256()))
