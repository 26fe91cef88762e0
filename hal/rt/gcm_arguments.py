"""What both AES-GCM implementations ask of their callers."""

from __future__ import annotations

from hal.ports import CryptoError


def check_gcm_arguments(key: bytes, nonce: bytes, tag_size: int) -> None:
    """CryptoError unless key is 16 or 32 bytes, nonce 12, tag 4 to 16; names sizes only."""
    if len(key) not in (16, 32):
        raise CryptoError("AES-GCM key: expected 16 or 32 bytes, got %d" % len(key))
    if len(nonce) != 12:
        raise CryptoError("AES-GCM nonce: expected 12 bytes, got %d" % len(nonce))
    if not 4 <= tag_size <= 16:
        raise CryptoError("AES-GCM tag: expected 4 to 16 bytes, got %d" % tag_size)
