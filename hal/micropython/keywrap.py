"""AES key wrap (RFC 3394 2.2) from the AES-ECB that every port's cryptolib has."""

from __future__ import annotations

from cryptolib import aes

from hal.micropython.gcm import same
from hal.ports import CryptoError

_MODE_ECB = 1
_CHECK = b"\xa6" * 8


def wrap(kek: bytes, key: bytes) -> bytes:
    """8 bytes longer than the key."""
    if len(kek) not in (16, 32) or len(key) < 16 or len(key) % 8:
        raise CryptoError(
            "AES key wrap: %d bytes cannot be wrapped by %d bytes" % (len(key), len(kek))
        )
    encrypt = aes(kek, _MODE_ECB).encrypt
    blocks = [key[i : i + 8] for i in range(0, len(key), 8)]
    check = _CHECK
    step = 0
    for _ in range(6):
        for i in range(len(blocks)):
            step += 1
            block = encrypt(check + blocks[i])
            check = _counted(block[:8], step)
            blocks[i] = block[8:]
    return check + b"".join(blocks)


def unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """The key; CryptoError when it is not what wrap() made with the same kek."""
    if len(kek) not in (16, 32) or len(wrapped) < 24 or len(wrapped) % 8:
        raise CryptoError(
            "AES key wrap: %d bytes cannot be unwrapped by %d bytes" % (len(wrapped), len(kek))
        )
    decrypt = aes(kek, _MODE_ECB).decrypt
    blocks = [wrapped[i : i + 8] for i in range(8, len(wrapped), 8)]
    check = wrapped[:8]
    step = 6 * len(blocks)
    for _ in range(6):
        for i in range(len(blocks) - 1, -1, -1):
            block = decrypt(_counted(check, step) + blocks[i])
            check = block[:8]
            blocks[i] = block[8:]
            step -= 1
    if not same(check, _CHECK):
        raise CryptoError("AES key wrap: the wrapped key is damaged, or wrapped by another key")
    return b"".join(blocks)


def _counted(check: bytes, step: int) -> bytes:
    return (int.from_bytes(check, "big") ^ step).to_bytes(8, "big")
