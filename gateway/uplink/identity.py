"""Who this concentrator is at the HES: two P-256 keys of its own (gateway/contract/identity.py).

They are made at the first start. The file `identity` has their private halves wrapped under the
board's key (AES key wrap, RFC 3394), twice, so that one may be damaged:

    agree x||y (64) || sign x||y (64) || 2 * (wrapped agree || sign || fingerprint's first 8) (80)

People take the fingerprint to the HES, which enrols it. Nothing of the private halves is ever
logged; a copy of the file is worth nothing without the board's key.
"""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.identity import fingerprint_of, shown
from gateway.settings import SettingsError
from hal.ports import CryptoError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto, Storage

FILE = "identity"
KID_SIZE = 8
_CURVE = "P-256"
_PRIVATE, _PUBLIC, _WRAPPED = 32, 64, 2 * 32 + KID_SIZE + 8
_SIZE = 2 * _PUBLIC + 2 * _WRAPPED
_WHERE = "identity"


class Identity:
    """`agree` and `agree_public`: the static Diffie-Hellman key of the handshake. `sign_public`:
    what signed() is proven with. `kid`: of both."""

    def __init__(self, crypto: Crypto, publics: bytes, privates: bytes) -> None:
        self._crypto = crypto
        self.agree_public, self.sign_public = publics[:_PUBLIC], publics[_PUBLIC:]
        self.agree, self._sign = privates[:_PRIVATE], privates[_PRIVATE:]
        self.fingerprint = fingerprint_of(crypto, self.agree_public, self.sign_public)
        self.kid = self.fingerprint[:KID_SIZE]

    def signed(self, payload: bytes) -> bytes:
        """The signed envelope of it."""
        return envelope.sign(
            payload, self.kid, lambda data: self._crypto.ecdsa_sign(_CURVE, self._sign, data)
        )

    def __repr__(self) -> str:
        return "Identity(%s)" % shown(self.fingerprint)


def identity_of(storage: Storage, crypto: Crypto, board_key: bytes) -> Identity:
    """This concentrator's, made if there is none. SettingsError: the board's key does not open it;
    OSError of the storage."""
    if storage.size(FILE) < 0:
        identity = _made(storage, crypto, board_key)
        log.warning(_WHERE, "made; to be enrolled at the HES: %s" % shown(identity.fingerprint))
        return identity
    raw = storage.read(FILE)
    publics = raw[: 2 * _PUBLIC]
    for copy in (raw[2 * _PUBLIC : -_WRAPPED], raw[-_WRAPPED:]):
        privates = _opened(crypto, board_key, publics, copy) if len(raw) == _SIZE else None
        if privates is not None:
            return Identity(crypto, publics, privates)
    raise SettingsError(
        "board_key: it does not open the file %s in the data folder, so this is another key, or"
        " the file is damaged. Put back the key, or the file. If that is lost for good, remove %s,"
        " start again, and enrol the concentrator anew at the HES" % (FILE, FILE)
    )


def fingerprint_of_file(raw: bytes, crypto: Crypto) -> bytes:
    """What is to be enrolled at the HES; it needs no key."""
    return fingerprint_of(crypto, raw[:_PUBLIC], raw[_PUBLIC : 2 * _PUBLIC])


def _made(storage: Storage, crypto: Crypto, board_key: bytes) -> Identity:
    agree, agree_public = crypto.ec_generate(_CURVE)
    sign, sign_public = crypto.ec_generate(_CURVE)
    identity = Identity(crypto, agree_public + sign_public, agree + sign)
    wrapped = crypto.aes_wrap(board_key, agree + sign + identity.kid)
    storage.replace(FILE, agree_public + sign_public + 2 * wrapped)
    return identity


def _opened(crypto: Crypto, board_key: bytes, publics: bytes, wrapped: bytes) -> bytes | None:
    """The private halves of these public ones."""
    try:
        plain = crypto.aes_unwrap(board_key, wrapped)
    except CryptoError:
        return None
    fingerprint = fingerprint_of_file(publics, crypto)
    return plain[:-KID_SIZE] if plain[-KID_SIZE:] == fingerprint[:KID_SIZE] else None
