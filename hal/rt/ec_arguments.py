"""What both elliptic-curve implementations ask of their callers."""

from __future__ import annotations

from hal.ports import CryptoError, PortError

SIZES = {"P-256": 32, "P-384": 48}


def ec_size(curve: str) -> int:
    """Bytes of a coordinate, and of a private key; PortError for a curve there is not."""
    size = SIZES.get(curve)
    if size is None:
        raise PortError("elliptic curve %r: expected P-256 or P-384" % curve)
    return size


def check_ec_key(curve: str, kind: str, key: bytes) -> None:
    """CryptoError unless a key of this `kind`, "private" or "public", has the right size."""
    size = ec_size(curve) * (2 if kind == "public" else 1)
    if len(key) != size:
        raise CryptoError("%s %s key: expected %d bytes, got %d" % (curve, kind, size, len(key)))
