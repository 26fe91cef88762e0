"""HMAC (RFC 2104) from a hash."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def hmac(hashed: Callable[[bytes], bytes], block: int, key: bytes, data: bytes) -> bytes:
    """`block` is the size of the hash's block: 64 bytes up to SHA-256, 128 for SHA-384."""
    if len(key) > block:
        key = hashed(key)
    key += bytes(block - len(key))
    inner = hashed(bytes([byte ^ 0x36 for byte in key]) + data)
    return hashed(bytes([byte ^ 0x5C for byte in key]) + inner)
