"""High level security: the proofs of passes 3 and 4, mechanisms 2 to 7 (Green Book 9.2.7.4).

Each side answers the other's challenge with f(challenge):

    2  manufacturer specific   algorithm(secret, challenge), mostly under_aes()
    3  MD5                     MD5(challenge || secret)
    4  SHA-1                   SHA-1(challenge || secret)
    5  GMAC                    Ciphering.proof
    6  SHA-256                 SHA-256(secret || titles || challenge || own challenge)
    7  ECDSA                   signature of (titles || challenge || own challenge)

titles: own system title || the other's. "own" is the side that proves itself, `challenge` the one
it was sent.
"""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.errors import SecurityFailed
from gateway.dlms.protection.keyring import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dlms.protection.keyring import Keys
    from gateway.dlms.protection.security import Ciphering
    from hal.ports import Crypto

    Algorithm = Callable[[bytes, bytes], bytes]

LEAST_CHALLENGE = 8
MOST_CHALLENGE = 64
_ECDSA_CHALLENGE = 32  # at least


def challenge_size(mechanism: int) -> int:
    """Bytes of a challenge of our own."""
    return _ECDSA_CHALLENGE if mechanism == acse.HIGH_ECDSA else 16


def check_challenge(mechanism: int, theirs: bytes, ours: bytes) -> None:
    """SecurityFailed for a challenge that no honest peer sends: too short to be fresh, or our own,
    which would have us compute the peer's proof."""
    least = _ECDSA_CHALLENGE if mechanism == acse.HIGH_ECDSA else LEAST_CHALLENGE
    if not least <= len(theirs) <= MOST_CHALLENGE:
        raise SecurityFailed(
            "the peer's challenge has %d bytes, %d..%d are due"
            % (len(theirs), least, MOST_CHALLENGE)
        )
    if theirs == ours:
        raise SecurityFailed("the peer's challenge is our own, sent back")


def under_aes(crypto: Crypto, secret: bytes, challenge: bytes) -> bytes:
    """HLS 2, which the standard leaves to the manufacturers, as nearly all of them have it: the
    challenge under AES, secret (at most 32 bytes) and challenge filled up with zeros."""
    key = secret + bytes((16 if len(secret) <= 16 else 32) - len(secret))
    return crypto.aes_ecb(key, challenge + bytes(-len(challenge) % 16))


class Hls:
    """One side's part in one authentication by `mechanism`. What each mechanism needs: `secret`
    (2, 3, 4, 6), `keys` with a system title (6) and signing keys (7), `ciphering` (5), `algorithm`
    (2)."""

    __slots__ = ("_algorithm", "_ciphering", "_crypto", "_keys", "_mechanism", "_secret")

    def __init__(
        self,
        mechanism: int,
        crypto: Crypto,
        secret: bytes = b"",
        keys: Keys | None = None,
        ciphering: Ciphering | None = None,
        algorithm: Algorithm | None = None,
    ) -> None:
        self._mechanism = mechanism
        self._crypto = crypto
        self._secret = secret
        self._keys = keys
        self._ciphering = ciphering
        self._algorithm = algorithm

    def prove(self, challenge: bytes, own_challenge: bytes, peer_title: bytes) -> bytes:
        """f(challenge) of ours for the peer's `challenge`."""
        if self._mechanism == acse.HIGH_GMAC:
            assert self._ciphering is not None
            return self._ciphering.proof(challenge)
        if self._mechanism == acse.HIGH_ECDSA:
            from gateway.dlms.protection.public_key import sign

            keys = self._signing()
            message = keys.system_title + peer_title + challenge + own_challenge
            return sign(self._crypto, keys, message)
        return self._hashed(self._title(), peer_title, challenge, own_challenge)

    def check(
        self, proof: bytes, own_challenge: bytes, challenge: bytes, peer_title: bytes
    ) -> None:
        """SecurityFailed unless `proof` is the peer's f(own_challenge); `challenge` was the
        peer's."""
        if self._mechanism == acse.HIGH_GMAC:
            assert self._ciphering is not None
            self._ciphering.check_proof(own_challenge, proof)
            return
        if self._mechanism == acse.HIGH_ECDSA:
            from gateway.dlms.protection.public_key import is_signed

            keys = self._signing()
            message = peer_title + keys.system_title + own_challenge + challenge
            right = is_signed(self._crypto, keys, message, proof)
        else:
            right = same(self._hashed(peer_title, self._title(), own_challenge, challenge), proof)
        if not right:
            raise SecurityFailed("the peer's HLS proof does not match; check secret and keys")

    def _hashed(self, prover: bytes, other: bytes, challenge: bytes, its_own: bytes) -> bytes:
        if self._mechanism == acse.HIGH:
            assert self._algorithm is not None
            return self._algorithm(self._secret, challenge)
        if self._mechanism == acse.HIGH_SHA256:
            message = self._secret + prover + other + challenge + its_own
            return self._crypto.digest("sha256", message)
        name = "md5" if self._mechanism == acse.HIGH_MD5 else "sha1"
        return self._crypto.digest(name, challenge + self._secret)

    def _title(self) -> bytes:
        return b"" if self._keys is None else self._keys.system_title

    def _signing(self) -> Keys:
        if self._keys is None or not (self._keys.signing and self._keys.peer_signing):
            raise SecurityFailed("HLS by ECDSA needs both sides' signing keys")
        return self._keys
