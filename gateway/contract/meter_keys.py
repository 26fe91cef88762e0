"""Meters' keys at rest and on their way: AES key wrap (RFC 3394) under the board's own key.

What is wrapped is ek || ak || the first 8 octets of a SHA-256 over the serial (in suites 1 and 2
over "<serial> <suite>"), so that nobody can hand one meter's keys to another, or call them another
suite's. A secret is wrapped as its length (1 octet), itself, zeros up to a multiple of 8, and the
same over "<serial> lls". The board's key comes with the board (a file only its owner may read, or
an element that the board has); the HES wraps with the same one.
"""

from __future__ import annotations

import hashlib

from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

KEY_SIZES = (16, 16, 32)  # of security suites 0, 1 and 2
_BOUND = 8
WRAPPED_SIZES = (48, 80)  # of suites 0 and 1, of suite 2
MAX_SECRET = 64
WRAPPED_SECRET = (24, 88)  # bytes, at least and at most
_CHECK = b"the board's key."


class MeterKeys:
    """Global unicast encryption key and authentication key of a security suite: 16 bytes each, in
    suite 2 32; both b"" for a meter that has none. `lls`: the secret of a meter that knows us by
    one (low level security, HLS 2, 3, 4 and 6), 1 to 64 bytes. `counter`: the invocation counter to
    begin with, told at commissioning; 0: none. ValueError for other sizes.

    repr hides them.
    """

    __slots__ = ("ak", "counter", "ek", "lls", "suite")

    def __init__(
        self, ek: bytes, ak: bytes, suite: int = 0, lls: bytes = b"", counter: int = 0
    ) -> None:
        if suite not in (0, 1, 2):
            raise ValueError("expected security suite 0, 1 or 2")
        size = KEY_SIZES[suite]
        if (len(ek) != size or len(ak) != size) and (ek or ak or not lls):
            raise ValueError("a key of security suite %d has %d bytes" % (suite, size))
        if len(lls) > MAX_SECRET:
            raise ValueError("a secret has at most %d bytes" % MAX_SECRET)
        self.ek = ek
        self.ak = ak
        self.suite = suite
        self.lls = lls
        self.counter = counter

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
        """One of WRAPPED_SIZES."""
        plain = keys.ek + keys.ak + _bound_to(serial, keys.suite)
        return self._crypto.aes_wrap(self._board_key, plain)

    def unwrap(self, serial: str, wrapped: bytes) -> MeterKeys:
        """CryptoError: wrapped under another key, damaged, or for another meter."""
        if len(wrapped) not in WRAPPED_SIZES:
            raise CryptoError("expected 48 or 80 wrapped bytes, not %d" % len(wrapped))
        plain = self._crypto.aes_unwrap(self._board_key, wrapped)
        size = (len(plain) - _BOUND) // 2
        for suite in range(len(KEY_SIZES)):
            if KEY_SIZES[suite] == size and plain[2 * size :] == _bound_to(serial, suite):
                return MeterKeys(plain[:size], plain[size : 2 * size], suite)
        raise CryptoError("the wrapped keys are those of another meter")

    def wrap_secret(self, serial: str, secret: bytes) -> bytes:
        """Of 1..MAX_SECRET bytes."""
        plain = bytes((len(secret),)) + secret
        plain += bytes(-len(plain) % 8) + _bound_to(serial, "lls")
        return self._crypto.aes_wrap(self._board_key, plain)

    def unwrap_secret(self, serial: str, wrapped: bytes) -> bytes:
        """CryptoError as unwrap()."""
        least, most = WRAPPED_SECRET
        if not least <= len(wrapped) <= most or len(wrapped) % 8:
            raise CryptoError("expected %d..%d wrapped bytes, not %d" % (least, most, len(wrapped)))
        plain = self._crypto.aes_unwrap(self._board_key, wrapped)
        secret = plain[1 : 1 + plain[0]]
        if plain[-_BOUND:] != _bound_to(serial, "lls") or len(secret) != plain[0]:
            raise CryptoError("the wrapped secret is that of another meter")
        return secret

    def check(self) -> bytes:
        """24 bytes that tell this board's key from another, and nothing of it."""
        return self._crypto.aes_wrap(self._board_key, _CHECK)

    def __repr__(self) -> str:
        return "Vault(...)"


def _bound_to(serial: str, what: int | str) -> bytes:
    """`what`: the suite, or what else is wrapped."""
    text = "%s %s" % (serial, what) if what else serial
    return hashlib.sha256(text.encode()).digest()[:_BOUND]
