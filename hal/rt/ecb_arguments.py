"""What both AES-ECB implementations ask of their callers."""

from __future__ import annotations

from hal.ports import CryptoError


def check_ecb_sizes(key: bytes, data: bytes) -> None:
    """CryptoError unless the key is 16 or 32 bytes, and the data whole blocks; names sizes only."""
    if len(key) not in (16, 32):
        raise CryptoError("AES key: expected 16 or 32 bytes, got %d" % len(key))
    if not data or len(data) % 16:
        raise CryptoError("AES: expected blocks of 16 bytes, got %d bytes" % len(data))
