"""AES-GCM (NIST SP 800-38D) from the AES-ECB that every port's cryptolib has."""

from __future__ import annotations

from cryptolib import aes

from hal.ports import CryptoError
from hal.rt.gcm_arguments import check_gcm_key, check_gcm_sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MODE_ECB = 1
_CHUNK = 1024  # bytes ciphered at a time
_POLYNOMIAL = 0xE1 << 120


class Gcm:
    """See hal.ports.AesGcm.

    Bit 0 of GCM's field elements is the most significant bit of the integers here.
    """

    def __init__(self, key: bytes) -> None:
        check_gcm_key(key)
        self._encrypt: Callable[[bytes | bytearray], bytes] = aes(key, _MODE_ECB).encrypt
        self._multiples = _multiples(int.from_bytes(self._encrypt(bytes(16)), "big"))

    def encrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        check_gcm_sizes(nonce, tag_size)
        ciphertext = self.crypt(nonce, data)
        return ciphertext + self._tag(nonce, memoryview(ciphertext), aad, tag_size)

    def decrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        check_gcm_sizes(nonce, tag_size)
        size = len(data) - tag_size
        if size < 0:
            raise CryptoError("AES-GCM: %d bytes are too few for a tag" % len(data))
        ciphertext = memoryview(data)[:size]
        if not same(self._tag(nonce, ciphertext, aad, tag_size), bytes(data[size:])):
            raise CryptoError("AES-GCM: the tag is wrong")
        return self.crypt(nonce, ciphertext)

    def crypt(self, nonce: bytes, data: bytes | bytearray | memoryview) -> bytes:
        """The key stream of counters 2, 3, ... over data."""
        check_gcm_sizes(nonce, 16)
        return counter_mode(self._encrypt, nonce, 2, data)

    def _tag(
        self, nonce: bytes, ciphertext: memoryview, aad: bytes | memoryview, size: int
    ) -> bytes:
        state = self._hash(0, memoryview(aad))
        state = self._hash(state, ciphertext)
        lengths = (len(aad) * 8).to_bytes(8, "big") + (len(ciphertext) * 8).to_bytes(8, "big")
        state = self._hash(state, memoryview(lengths))
        mask = self._encrypt(nonce + b"\x00\x00\x00\x01")
        return (state ^ int.from_bytes(mask, "big")).to_bytes(16, "big")[:size]

    def _hash(self, state: int, data: memoryview) -> int:
        """GHASH, four bits a step, the last block filled with zeros."""
        multiples = self._multiples
        remainders = _REMAINDERS
        for start in range(0, len(data), 16):
            block = bytes(data[start : start + 16])
            if len(block) < 16:
                block += bytes(16 - len(block))
            product = 0
            for byte in reversed((state ^ int.from_bytes(block, "big")).to_bytes(16, "big")):
                product = product >> 4 ^ remainders[product & 15] ^ multiples[byte & 15]
                product = product >> 4 ^ remainders[product & 15] ^ multiples[byte >> 4]
            state = product
        return state


def counter_mode(
    encrypt: Callable[[bytes | bytearray], bytes],
    prefix: bytes,
    counter: int,
    data: bytes | bytearray | memoryview,
) -> bytes:
    """data xor the key stream (SP 800-38A 6.5): blocks of `prefix` and the counter, which fills
    what that leaves of 16 bytes."""
    data = memoryview(data)
    out = bytearray(len(data))
    digits = 16 - len(prefix)
    for start in range(0, len(data), _CHUNK):
        piece = data[start : start + _CHUNK]
        size = len(piece)
        blocks = bytearray()
        for _ in range((size + 15) // 16):
            blocks.extend(prefix)
            blocks.extend(counter.to_bytes(digits, "big"))
            counter += 1
        stream = int.from_bytes(encrypt(blocks)[:size], "big")
        piece_number = int.from_bytes(bytes(piece), "big")
        out[start : start + size] = (stream ^ piece_number).to_bytes(size, "big")
    return bytes(out)


def same(a: bytes, b: bytes) -> bool:
    """Compare without stopping at the first difference."""
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0


def _times_x(element: int) -> int:
    return element >> 1 ^ (_POLYNOMIAL if element & 1 else 0)


def _multiples(h: int) -> list[int]:
    """The hash key times each polynomial of degree < 4."""
    powers = [h]
    for _ in range(3):
        powers.append(_times_x(powers[-1]))
    return [
        (powers[0] if n & 8 else 0)
        ^ (powers[1] if n & 4 else 0)
        ^ (powers[2] if n & 2 else 0)
        ^ (powers[3] if n & 1 else 0)
        for n in range(16)
    ]


def _remainder(low: int) -> int:
    for _ in range(4):
        low = _times_x(low)
    return low


_REMAINDERS = [_remainder(n) for n in range(16)]  # what the four bits shifted out come back as
