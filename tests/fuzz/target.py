"""What targets are made of."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from hal.ports import CryptoError

TARGETS: dict[str, Callable[[bytes], None]] = {}


def target(play: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Take this one into the table. It gets one input and returns; what it raises is a finding."""
    TARGETS[play.__name__] = play
    return play


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut an input into pieces, each after a byte that is its length."""
    pos = 0
    while pos < len(data):
        end = pos + 1 + data[pos]
        yield data[pos + 1 : end]
        pos = end


def same(left: Any, right: Any) -> bool:
    """Equal, with a NaN equal to a NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


class OpenCrypto:
    """Ciphers nothing and believes every tag and signature: lets a fuzzer, which cannot guess
    them, behind them. What a peer that holds the keys can do, and means no good."""

    def random(self, size: int) -> bytes:
        return bytes(range(size))

    def aes_gcm(self, key: bytes) -> _OpenGcm:
        return _OpenGcm()

    def aes_ccm(self, key: bytes) -> _OpenGcm:
        return _OpenGcm()

    def hmac(self, name: str, key: bytes, data: bytes) -> bytes:
        return bytes(hashlib.new(name).digest_size)

    def ecdsa_verify(self, curve: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return True

    def digest(self, name: str, data: bytes) -> bytes:
        return hashlib.new(name, data).digest()

    def aes_wrap(self, kek: bytes, key: bytes) -> bytes:
        return bytes(8) + key

    def aes_unwrap(self, kek: bytes, wrapped: bytes) -> bytes:
        if len(wrapped) < 24 or len(wrapped) % 8:
            raise CryptoError("no wrapped key")
        return wrapped[8:]

    def ec_generate(self, curve: str) -> tuple[bytes, bytes]:
        return bytes(32), bytes(64)

    def ec_point(self, curve: str, x: bytes) -> bytes:
        if len(x) != 32:
            raise CryptoError("no x of a public key")
        return x + bytes(32)

    def ecdsa_sign(self, curve: str, private_key: bytes, message: bytes) -> bytes:
        return bytes(64)

    def ecdh(self, curve: str, private_key: bytes, public_key: bytes) -> bytes:
        if len(public_key) != 64:
            raise CryptoError("no public key")
        return public_key[:32]


class _OpenGcm:
    def encrypt(self, nonce: bytes, data: bytes, aad: bytes, tag_size: int) -> bytes:
        return bytes(data) + bytes(tag_size)

    def decrypt(self, nonce: bytes, data: bytes, aad: bytes, tag_size: int) -> bytes:
        if len(data) < tag_size:
            raise CryptoError("no tag")
        return bytes(data[: len(data) - tag_size])

    def crypt(self, nonce: bytes, data: bytes) -> bytes:
        return bytes(data)
