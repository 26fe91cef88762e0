"""Who a concentrator is: two P-256 keys of its own, and the fingerprint of both, by which a HES
enrols it.

`agree` is the static Diffie-Hellman key of the handshake of the line (edhoc/), `sign` signs the
`state` (ES256). Both are x||y, 64 octets. The handshake carries `agree` as the credential, and
`sign` as external authorization data of message_3, so that the HES can check the whole fingerprint.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

FINGERPRINT_SIZE = 16


def fingerprint_of(crypto: Crypto, agree: bytes, sign: bytes) -> bytes:
    """16 octets; the first 8 are the key id of both keys."""
    return crypto.digest("sha256", agree + sign)[:FINGERPRINT_SIZE]


def shown(fingerprint: bytes) -> str:
    """For people: 8 groups of 4 hex digits."""
    digits = fingerprint.hex()
    return "-".join([digits[at : at + 4] for at in range(0, len(digits), 4)])
