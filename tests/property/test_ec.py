"""MicroPython's elliptic curves against `cryptography`."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.micropython.ec import P256, P384, Curve
from hal.micropython.sha384 import sha384

CURVES: dict[Curve, tuple[ec.EllipticCurve, HashAlgorithm]] = {
    P256: (ec.SECP256R1(), SHA256()),
    P384: (ec.SECP384R1(), SHA384()),
}


def _hashed(curve: Curve, message: bytes) -> bytes:
    return hashlib.sha256(message).digest() if curve is P256 else sha384(message)


@st.composite
def _keys(draw: st.DrawFn) -> tuple[Curve, int]:
    curve = draw(st.sampled_from([P256, P384]))
    n = curve.n
    # 1: the public key is the generator itself; n - 1: its negative, so that their sum is the
    # point at infinity.
    edges = st.sampled_from([1, 2, 3, n - 1, n - 2])
    return curve, draw(edges | st.integers(1, n - 1))


@settings(max_examples=60, deadline=None)
@given(_keys(), st.binary(max_size=100), st.binary(min_size=1, max_size=10))
def test_signatures(key: tuple[Curve, int], message: bytes, other: bytes) -> None:
    curve, secret = key
    theirs = ec.derive_private_key(secret, CURVES[curve][0])
    how = ec.ECDSA(CURVES[curve][1])
    public = theirs.public_key().public_numbers()
    assert curve.public(secret) == (public.x, public.y)
    assert curve.is_on_curve(public.x, public.y)
    assert not curve.is_on_curve(public.x, (public.y + 1) % curve.p)
    digest = int.from_bytes(_hashed(curve, message), "big")
    wrong = int.from_bytes(_hashed(curve, message + other), "big")
    r, s = decode_dss_signature(theirs.sign(message, how))
    assert curve.verify(public.x, public.y, digest, r, s)
    assert not curve.verify(public.x, public.y, wrong, r, s)
    assert not curve.verify(public.x, public.y, digest, s, r)
    own = curve.sign(secret, _hashed(curve, message), lambda data: _hashed(curve, data))
    theirs.public_key().verify(encode_dss_signature(*own), message, how)


@settings(max_examples=30, deadline=None)
@given(_keys(), st.integers(1, P256.n - 1))
def test_shared_secrets(key: tuple[Curve, int], other: int) -> None:
    curve, secret = key
    ours = ec.derive_private_key(secret, CURVES[curve][0])
    theirs = ec.derive_private_key(other, CURVES[curve][0]).public_key()
    point = theirs.public_numbers()
    expected = ours.exchange(ec.ECDH(), theirs)
    assert curve.multiple(secret, point.x, point.y)[0].to_bytes(curve.size, "big") == expected


@given(st.binary(max_size=400))
def test_sha384(data: bytes) -> None:
    assert sha384(data) == hashlib.sha384(data).digest()
