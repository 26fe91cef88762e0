"""What PLAINTEXT_2 and PLAINTEXT_3 say of their sender (RFC 9528 5.3.2, 5.4.2): ID_CRED_X, the MAC
that proves it, and external authorization data.
"""

from __future__ import annotations

from gateway.contract.edhoc.credential import KCCS, MAX_KID, Credential, credential_of
from gateway.contract.edhoc.keys import MAC_SIZE
from gateway.contract.edhoc.sequence import ead_of, identified, identifier
from gateway.contract.refused import Refused
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gateway.contract.edhoc.sequence import Ead

_BY_REFERENCE = b"\xa1\x04"  # {4: kid}
BY_VALUE = b"\xa1\x0e"  # {14: CCS}


class Claim:
    """`credential` is None where it came by reference; `raw_ead` are the octets of `ead`."""

    __slots__ = ("credential", "ead", "kid", "mac", "raw_ead")

    def __init__(
        self, kid: bytes, credential: Credential | None, mac: bytes, ead: list[Ead], raw_ead: bytes
    ) -> None:
        self.kid = kid
        self.credential = credential
        self.mac = mac
        self.ead = ead
        self.raw_ead = raw_ead

    def among(self, known: Sequence[Credential]) -> list[Credential]:
        """Those of `known` that are meant: a key id does not tell keys for sure."""
        if self.credential is not None:
            return [each for each in known if each == self.credential]
        return [each for each in known if each.kid == self.kid]

    def id_cred(self) -> bytes:
        if self.credential is None:
            return id_cred(self.kid)
        return BY_VALUE + self.credential.ccs()


def id_cred(kid: bytes) -> bytes:
    """ID_CRED_X by reference, as it goes into the MAC; in the message stands identifier(kid)."""
    return _BY_REFERENCE + cbor.encode(kid)


def encoded(in_message: bytes, mac: bytes, raw_ead: bytes) -> bytes:
    return in_message + cbor.encode(mac) + raw_ead


def claim_of(found: Sequence[Any], octets: bytes, what: str) -> Claim:
    """`found` are the items that `octets` hold. Refused `malformed`, also if ID_CRED_X is not in
    the one encoding that RFC 9528 3.1 leaves."""
    if len(found) < 2 or not isinstance(found[1], bytes) or len(found[1]) != MAC_SIZE:
        raise Refused("malformed", "%s: expected ID_CRED and a MAC of %d octets" % (what, MAC_SIZE))
    who, mac = found[0], found[1]
    credential = None
    if isinstance(who, dict):
        if len(who) != 1 or KCCS not in who:
            raise Refused("malformed", "%s: expected ID_CRED as a kid or as {14: CCS}" % what)
        credential = credential_of(who[KCCS])
        kid = credential.kid
        in_message = BY_VALUE + credential.ccs()
    else:
        kid = identified(who, "a key id", MAX_KID)
        in_message = identifier(kid)
    head = encoded(in_message, mac, b"")
    if octets[: len(head)] != head:
        raise Refused("malformed", "%s: expected deterministic encoding" % what)
    return Claim(kid, credential, mac, ead_of(found[2:], what), octets[len(head) :])
