"""MicroPython's P-256 verification against `cryptography`, which signs."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.micropython import p256

# 1: the key is the generator itself; N - 1: its negative, so that their sum is the point at
# infinity.
SECRETS = st.sampled_from([1, 2, 3, p256.N - 1, p256.N - 2]) | st.integers(1, p256.N - 1)


@settings(max_examples=60, deadline=None)
@given(SECRETS, st.binary(max_size=100), st.binary(min_size=1, max_size=10))
def test_signatures(secret: int, message: bytes, other: bytes) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    public = key.public_key().public_numbers()
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    wrong = int.from_bytes(hashlib.sha256(message + other).digest(), "big")
    assert p256.is_on_curve(public.x, public.y)
    assert p256.verify(public.x, public.y, digest, r, s)
    assert not p256.verify(public.x, public.y, wrong, r, s)
    assert not p256.verify(public.x, public.y, digest, s, r)
    assert not p256.is_on_curve(public.x, (public.y + 1) % p256.P)
