"""AES-GCM (NIST SP 800-38D) from the AES-ECB that every port's cryptolib has."""

from __future__ import annotations

from cryptolib import aes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MODE_ECB = 1
_CHUNK = 1024  # bytes ciphered at a time
_POLYNOMIAL = 0xE1 << 120


class Gcm:
    """One message under one key: first `crypt` or `tag`, in any order.

    Bit 0 of GCM's field elements is the most significant bit of the integers here.
    """

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._encrypt: Callable[[bytes | bytearray], bytes] = aes(key, _MODE_ECB).encrypt
        self._nonce = nonce
        self._multiples = _multiples(int.from_bytes(self._encrypt(bytes(16)), "big"))

    def crypt(self, data: memoryview) -> bytes:
        """Encrypt or decrypt (they are the same): the key stream of counters 2, 3, ... over
        data."""
        out = bytearray(len(data))
        counter = 2
        for start in range(0, len(data), _CHUNK):
            piece = data[start : start + _CHUNK]
            size = len(piece)
            blocks = bytearray()
            for _ in range((size + 15) // 16):
                blocks.extend(self._nonce)
                blocks.extend(counter.to_bytes(4, "big"))
                counter += 1
            stream = int.from_bytes(self._encrypt(blocks)[:size], "big")
            piece_number = int.from_bytes(bytes(piece), "big")
            out[start : start + size] = (stream ^ piece_number).to_bytes(size, "big")
        return bytes(out)

    def tag(self, ciphertext: memoryview, aad: bytes, size: int) -> bytes:
        """The authentication tag of `size` bytes."""
        state = self._hash(0, memoryview(aad))
        state = self._hash(state, ciphertext)
        lengths = (len(aad) * 8).to_bytes(8, "big") + (len(ciphertext) * 8).to_bytes(8, "big")
        state = self._hash(state, memoryview(lengths))
        mask = self._encrypt(self._nonce + b"\x00\x00\x00\x01")
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
