"""Crypto from cryptolib's AES, hashlib's SHA-256 and the two pieces MicroPython lacks."""

from __future__ import annotations

import hashlib
import os

from hal.micropython import p256
from hal.micropython.gcm import Gcm, same
from hal.ports import CryptoError
from hal.rt.gcm_arguments import check_gcm_arguments


class SystemCrypto:
    """See hal.ports.Crypto."""

    def random(self, size: int) -> bytes:
        return os.urandom(size)

    def aes_gcm_encrypt(
        self, key: bytes, nonce: bytes, data: bytes | memoryview, aad: bytes, tag_size: int
    ) -> bytes:
        check_gcm_arguments(key, nonce, tag_size)
        gcm = Gcm(key, nonce)
        ciphertext = gcm.crypt(memoryview(data))
        return ciphertext + gcm.tag(memoryview(ciphertext), aad, tag_size)

    def aes_gcm_decrypt(
        self, key: bytes, nonce: bytes, data: bytes | memoryview, aad: bytes, tag_size: int
    ) -> bytes:
        check_gcm_arguments(key, nonce, tag_size)
        size = len(data) - tag_size
        if size < 0:
            raise CryptoError("AES-GCM: %d bytes are too few for a tag" % len(data))
        gcm = Gcm(key, nonce)
        ciphertext = memoryview(data)[:size]
        if not same(gcm.tag(ciphertext, aad, tag_size), bytes(data[size:])):
            raise CryptoError("AES-GCM: the tag is wrong")
        return gcm.crypt(ciphertext)

    def p256_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if len(public_key) != 64:
            raise CryptoError("P-256 public key: expected 64 bytes, got %d" % len(public_key))
        if len(signature) != 64:
            return False
        x = int.from_bytes(public_key[:32], "big")
        y = int.from_bytes(public_key[32:], "big")
        if not p256.is_on_curve(x, y):
            raise CryptoError("P-256 public key: not a point of the curve")
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        return p256.verify(x, y, digest, r, s)
