"""What both AES-GCM implementations ask of their callers."""

from __future__ import annotations

from hal.ports import CryptoError


def check_gcm_key(key: bytes) -> None:
    """CryptoError unless the key is 16 or 32 bytes; names its size only."""
    if len(key) not in (16, 32):
        raise CryptoError("AES-GCM key: expected 16 or 32 bytes, got %d" % len(key))


def check_gcm_sizes(nonce: bytes, tag_size: int) -> None:
    """CryptoError unless nonce is 12 bytes, tag 4 to 16."""
    if len(nonce) != 12:
        raise CryptoError("AES-GCM nonce: expected 12 bytes, got %d" % len(nonce))
    if not 4 <= tag_size <= 16:
        raise CryptoError("AES-GCM tag: expected 4 to 16 bytes, got %d" % tag_size)
