"""Private and public keys of elliptic curves, from PEM files."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tools.dlms.failure import CallProblem

CURVES = {"P-256": "secp256r1", "P-384": "secp384r1"}


def private(path: Path | None, curve: str) -> bytes:
    """The key's number, as long as the curve's; b"" for no file."""
    if path is None:
        return b""
    try:
        key = load_pem_private_key(read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CallProblem(_wrong(path, "a private key", curve)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != CURVES.get(curve):
        raise CallProblem(_wrong(path, "a private key", curve))
    return key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")


def public(path: Path | None, curve: str) -> bytes:
    """The key as x||y; b"" for no file."""
    if path is None:
        return b""
    raw = read(path)
    key: object
    try:
        if b"BEGIN CERTIFICATE" in raw:
            key = x509.load_pem_x509_certificate(raw).public_key()
        else:
            key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise CallProblem(_wrong(path, "a public key or certificate", curve)) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != CURVES.get(curve):
        raise CallProblem(_wrong(path, "a public key or certificate", curve))
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


def _wrong(path: Path, what: str, curve: str) -> str:
    if not curve:
        return "%s: suite 0 has no such keys; choose --suite 1 or 2" % path
    return "%s: expected PEM of %s on %s, without a password" % (path, what, curve)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CallProblem("%s: %s" % (path, error.strerror)) from None
