"""What suites 1 and 2 do with public keys: signatures (ECDSA), and keys derived from an agreement
(ECDH). A board whose meters are of suite 0 never imports this."""

from __future__ import annotations

from gateway.dlms.errors import SecurityFailed
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.protection.keyring import Keys
    from gateway.dlms.protection.suites import Suite
    from hal.ports import Crypto

_ALGORITHM = b"\x60\x85\x74\x05\x08\x03"  # 2.16.756.5.8.3, and then what the key is for


def sign(crypto: Crypto, keys: Keys, message: bytes) -> bytes:
    """ECDSA by our own signing key; SecurityFailed when that is no key."""
    try:
        return crypto.ecdsa_sign(keys.suite.curve, keys.signing, message)
    except CryptoError as error:
        raise SecurityFailed("our signing key: %s" % error)


def is_signed(crypto: Crypto, keys: Keys, message: bytes, signature: bytes) -> bool:
    """Whether the peer signed `message`; SecurityFailed when the key we have of it is none."""
    try:
        return crypto.ecdsa_verify(keys.suite.curve, keys.peer_signing, message, signature)
    except CryptoError as error:
        raise SecurityFailed("the peer's signing key: %s" % error)


def derived_key(
    crypto: Crypto, suite: Suite, shared: bytes, algorithm: int, party_u: bytes, party_v: bytes
) -> bytes:
    """The key that both sides of an agreement derive from their shared secret Z (NIST SP 800-56A
    5.8.1 with the OtherInfo of Green Book 9.2.3.4.6.5): `party_u` is the originator's system title,
    in the static scheme followed by the transaction-id with its length; `party_v` the
    recipient's."""
    other = _ALGORITHM + bytes((algorithm,)) + party_u + party_v
    # one round is enough: the digest is at least as long as the key
    return crypto.digest(suite.digest, b"\x00\x00\x00\x01" + shared + other)[: suite.key_size]
