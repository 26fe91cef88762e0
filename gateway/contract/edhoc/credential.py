"""Who a side of the handshake is: a CWT claims set with its public key (CCS, RFC 8392, RFC 8747).

    {2: subject, 8: {1: {1: 2, 2: kid, -1: 1, -2: x, -3: y}}}

The key is a COSE_Key on P-256 (RFC 9053 7.1.1). A credential travels by reference, as its kid
{4: kid}, or by value {14: CCS} (kccs, RFC 9528 10.6).
"""

from __future__ import annotations

from gateway.contract.refused import Refused
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_SUBJECT = 64  # characters
MAX_KID = 32
PUBLIC_SIZE = 64

SUBJECT, CONFIRMATION = 2, 8  # claims of the CWT (RFC 8392 3.1, RFC 8747 3.1)
COSE_KEY = 1  # how it is confirmed (RFC 8747 3.1)
KID, KCCS = 4, 14  # header parameters (RFC 9052 3.1, RFC 9528 10.6)

_KEY_TYPE, _KEY_ID, _CURVE, _X, _Y = 1, 2, -1, -2, -3
_EC2, _P256 = 2, 1


class Credential:
    """`public` is x||y, 64 octets."""

    __slots__ = ("kid", "public", "subject")

    def __init__(self, subject: str, kid: bytes, public: bytes) -> None:
        self.subject = subject
        self.kid = kid
        self.public = public

    def ccs(self) -> bytes:
        """Written by hand: MicroPython keeps no order of a map, and both sides hash it."""
        subject, kid = cbor.encode(self.subject), cbor.encode(self.kid)
        return (
            b"\xa2\x02"
            + subject
            + b"\x08\xa1\x01\xa5\x01\x02\x02"
            + kid
            + b"\x20\x01\x21\x58\x20"
            + self.public[:32]
            + b"\x22\x58\x20"
            + self.public[32:]
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and self.ccs() == other.ccs()

    def __repr__(self) -> str:
        return "Credential(%r, %s)" % (self.subject, self.kid.hex())


def credential_of(claims: Any) -> Credential:
    """Of a decoded CCS that came by value; Refused `malformed` if it is not as ours are."""
    key = _only(_only(claims, CONFIRMATION, SUBJECT), COSE_KEY)
    if not isinstance(key, dict) or len(key) != 5:
        raise _malformed("a COSE_Key of 5 parameters")
    subject, kid, x, y = claims.get(SUBJECT), key.get(_KEY_ID), key.get(_X), key.get(_Y)
    if key.get(_KEY_TYPE) != _EC2 or key.get(_CURVE) != _P256:
        raise _malformed("a COSE_Key of type EC2 on P-256")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT:
        raise _malformed("a subject of 1..%d characters" % MAX_SUBJECT)
    if not isinstance(kid, bytes) or not 1 <= len(kid) <= MAX_KID:
        raise _malformed("a key id of 1..%d octets" % MAX_KID)
    if not isinstance(x, bytes) or not isinstance(y, bytes) or len(x) != 32 or len(y) != 32:
        raise _malformed("x and y of 32 octets each")
    return Credential(subject, kid, x + y)


def _only(item: Any, wanted: int, besides: int | None = None) -> Any:
    """What a map has under `wanted`, if it holds that and `besides` alone."""
    labels = (wanted,) if besides is None else (wanted, besides)
    if (
        not isinstance(item, dict)
        or len(item) != len(labels)
        or [label for label in labels if label not in item]
    ):
        raise _malformed("a map of %s" % " and ".join([str(label) for label in labels]))
    return item[wanted]


def _malformed(expected: str) -> Refused:
    return Refused("malformed", "EDHOC credential: expected %s" % expected)
