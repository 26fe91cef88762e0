"""Meters' keys at rest and on their way: AES key wrap (RFC 3394) under the board's own key.

What is wrapped is ek || ak || the first 8 octets of the serial's SHA-256, so that nobody can hand
one meter's keys to another. The board's key comes with the board (a file only its owner may read,
or an element that the board has); the HES wraps with the same one.
"""

from __future__ import annotations

import hashlib

from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

WRAPPED_SIZE = 48
_KEY = 16
_BOUND = 8


class MeterKeys:
    """Security suite 0: global unicast encryption key and authentication key, 16 bytes each.

    repr hides them.
    """

    __slots__ = ("ak", "ek")

    def __init__(self, ek: bytes, ak: bytes) -> None:
        self.ek = ek
        self.ak = ak

    def __repr__(self) -> str:
        return "MeterKeys(...)"


class Vault:
    """Wraps and unwraps under the board's key, 16 or 32 bytes. repr hides it."""

    def __init__(self, crypto: Crypto, board_key: bytes) -> None:
        if len(board_key) not in (16, 32):
            raise ValueError("a board's key has 16 or 32 bytes, not %d" % len(board_key))
        self._crypto = crypto
        self._board_key = board_key

    def wrap(self, serial: str, keys: MeterKeys) -> bytes:
        """WRAPPED_SIZE bytes."""
        return self._crypto.aes_wrap(self._board_key, keys.ek + keys.ak + _bound_to(serial))

    def unwrap(self, serial: str, wrapped: bytes) -> MeterKeys:
        """CryptoError: wrapped under another key, damaged, or for another meter."""
        if len(wrapped) != WRAPPED_SIZE:
            raise CryptoError("expected %d wrapped bytes, not %d" % (WRAPPED_SIZE, len(wrapped)))
        plain = self._crypto.aes_unwrap(self._board_key, wrapped)
        if plain[2 * _KEY :] != _bound_to(serial):
            raise CryptoError("the wrapped keys are those of another meter")
        return MeterKeys(plain[:_KEY], plain[_KEY : 2 * _KEY])

    def __repr__(self) -> str:
        return "Vault(...)"


def _bound_to(serial: str) -> bytes:
    return hashlib.sha256(serial.encode()).digest()[:_BOUND]
