"""What both AES-CCM implementations ask of their callers."""

from __future__ import annotations

from hal.ports import CryptoError


def check_ccm_key(key: bytes) -> None:
    """CryptoError unless the key is 16 or 32 bytes; names its size only."""
    if len(key) not in (16, 32):
        raise CryptoError("AES-CCM key: expected 16 or 32 bytes, got %d" % len(key))


def check_ccm_sizes(nonce: bytes, size: int, tag_size: int) -> None:
    """CryptoError unless nonce is 7 to 13 bytes, the tag 4 to 16 and even, and the data no longer
    than what such a nonce leaves room to count (SP 800-38C A.1)."""
    if not 7 <= len(nonce) <= 13:
        raise CryptoError("AES-CCM nonce: expected 7 to 13 bytes, got %d" % len(nonce))
    if not 4 <= tag_size <= 16 or tag_size % 2:
        raise CryptoError("AES-CCM tag: expected 4, 6, .. 16 bytes, got %d" % tag_size)
    if size >> 8 * (15 - len(nonce)):
        raise CryptoError("AES-CCM: %d bytes are too many for this nonce" % size)
