"""AES-CCM (NIST SP 800-38C, RFC 3610) from the AES-ECB and AES-CBC of every port's cryptolib."""

from __future__ import annotations

from cryptolib import aes

from hal.micropython.gcm import counter_mode, same
from hal.ports import CryptoError
from hal.rt.ccm_arguments import check_ccm_key, check_ccm_sizes

_MODE_ECB = 1
_MODE_CBC = 2
_CHUNK = 1024  # bytes ciphered at a time


class Ccm:
    """See hal.ports.AesCcm."""

    def __init__(self, key: bytes) -> None:
        check_ccm_key(key)
        self._key = key

    def encrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        check_ccm_sizes(nonce, len(data), tag_size)
        tag = self._tag(nonce, memoryview(data), aad, tag_size)
        return self._crypt(nonce, data) + tag

    def decrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        size = len(data) - tag_size
        if size < 0:
            raise CryptoError("AES-CCM: %d bytes are too few for a tag" % len(data))
        check_ccm_sizes(nonce, size, tag_size)
        plain = self._crypt(nonce, memoryview(data)[:size])
        if not same(self._tag(nonce, memoryview(plain), aad, tag_size), bytes(data[size:])):
            raise CryptoError("AES-CCM: the tag is wrong")
        return plain

    def _crypt(self, nonce: bytes, data: bytes | bytearray | memoryview) -> bytes:
        return counter_mode(aes(self._key, _MODE_ECB).encrypt, _prefix(nonce), 1, data)

    def _tag(self, nonce: bytes, plain: memoryview, aad: bytes | memoryview, size: int) -> bytes:
        """CBC-MAC over a block of the sizes, the AAD with its own, and the plaintext, each filled
        with zeros to whole blocks; ciphered with counter 0."""
        mac = aes(self._key, _MODE_CBC, bytes(16))
        counting = 15 - len(nonce)
        flags = (0x40 if aad else 0) | (size - 2) // 2 << 3 | counting - 1
        last = mac.encrypt(bytes([flags]) + nonce + len(plain).to_bytes(counting, "big"))
        if aad:
            last = _chained(mac, _size_of(aad), memoryview(aad))
        if plain:
            last = _chained(mac, b"", plain)
        return counter_mode(aes(self._key, _MODE_ECB).encrypt, _prefix(nonce), 0, last)[:size]


def _chained(mac: aes, head: bytes, data: memoryview) -> bytes:
    """The last block of `head` (shorter than a block) and data, in CBC mode."""
    start, end = 0, _CHUNK - len(head)
    while True:
        piece = head + bytes(data[start:end])
        last = mac.encrypt(piece + bytes(-len(piece) % 16))[-16:]
        if end >= len(data):
            return last
        head = b""
        start, end = end, end + _CHUNK


def _size_of(aad: bytes | memoryview) -> bytes:
    if len(aad) < 0xFF00:
        return len(aad).to_bytes(2, "big")
    return b"\xff\xfe" + len(aad).to_bytes(4, "big")


def _prefix(nonce: bytes) -> bytes:
    """What stands before the counter."""
    return bytes([14 - len(nonce)]) + nonce
