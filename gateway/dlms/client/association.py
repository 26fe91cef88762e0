"""Who speaks to a meter, how it proves itself, and how what it says is protected."""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.protection.policy import GLO, PLAIN, Protection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.protection.hls import Algorithm
    from gateway.dlms.protection.keyring import Keys

NONE = acse.NONE
LOW = acse.LOW
HIGH = acse.HIGH
HIGH_MD5 = acse.HIGH_MD5
HIGH_SHA1 = acse.HIGH_SHA1
HIGH_GMAC = acse.HIGH_GMAC
HIGH_SHA256 = acse.HIGH_SHA256
HIGH_ECDSA = acse.HIGH_ECDSA

CURRENT_ASSOCIATION = b"\x00\x00\x28\x00\x00\xff"  # 0.0.40.0.0.255

LN = acse.LN
SN = acse.SN

_BY_SECRET = (LOW, HIGH, HIGH_MD5, HIGH_SHA1, HIGH_SHA256)


class Association:
    """`client_sap`, `server_sap` are for the link.

    `authentication`: NONE; LOW with `secret`, the password; HIGH_MD5, HIGH_SHA1, HIGH_SHA256 with
    `secret`; HIGH, the manufacturer's own, with `algorithm(secret, challenge) -> f(challenge)`;
    HIGH_GMAC with `keys`; HIGH_ECDSA with signing keys in `keys`.
    `protection` of everything that follows: by service under the global key (GLO) where there are
    `keys` with ek and ak, else none. With a form other than PLAIN the application context is
    ciphered. `max_pdu` is the largest APDU to accept in bytes (0: what the path takes), `services`
    the conformance bits to propose (0: all that we know), `current` the association object that
    the HLS proof goes to (with short names it is always the one at 0xFA00). `referencing`: LN, or
    SN for a meter that knows its attributes and methods by short names.
    """

    __slots__ = (
        "algorithm",
        "authentication",
        "client_sap",
        "current",
        "keys",
        "max_pdu",
        "protection",
        "referencing",
        "secret",
        "server_sap",
        "services",
    )

    def __init__(
        self,
        client_sap: int,
        server_sap: int = 1,
        authentication: int = NONE,
        secret: bytes = b"",
        keys: Keys | None = None,
        max_pdu: int = 0,
        protection: Protection | None = None,
        algorithm: Algorithm | None = None,
        services: int = 0,
        current: bytes = CURRENT_ASSOCIATION,
        referencing: int = LN,
    ) -> None:
        if not NONE <= authentication <= HIGH_ECDSA:
            raise ValueError("authentication %d is not one of 0 (NONE) to 7" % authentication)
        if authentication == HIGH_GMAC and (keys is None or not keys.ek):
            raise ValueError("HIGH_GMAC needs keys")
        if authentication == HIGH_ECDSA and (
            keys is None or not keys.signing or not keys.peer_signing
        ):
            raise ValueError("HIGH_ECDSA needs keys of suite 1 or 2 with both sides' signing keys")
        if authentication in _BY_SECRET and not secret:
            raise ValueError("authentication %d needs a secret" % authentication)
        if authentication == HIGH and algorithm is None:
            raise ValueError("HIGH needs the manufacturer's algorithm")
        if referencing not in (LN, SN):
            raise ValueError("referencing %d is neither LN (1) nor SN (2)" % referencing)
        if protection is None:
            protection = Protection(GLO if keys is not None and keys.ek else PLAIN)
        if keys is not None:
            protection.check(keys)
        elif protection.form != PLAIN or protection.signed:
            raise ValueError("protection %s needs keys" % protection.form)
        self.client_sap = client_sap
        self.server_sap = server_sap
        self.authentication = authentication
        self.secret = secret
        self.keys = keys
        self.max_pdu = max_pdu
        self.protection = protection
        self.algorithm = algorithm
        self.services = services
        self.current = current
        self.referencing = referencing

    @property
    def context(self) -> int:
        """The application context's number."""
        if self.protection.form == PLAIN:
            return self.referencing
        return acse.LN_CIPHERED if self.referencing == LN else acse.SN_CIPHERED

    @property
    def proves(self) -> bool:
        """Whether passes 3 and 4 (HLS) follow the AARE."""
        return self.authentication >= HIGH

    def __repr__(self) -> str:
        return "Association(%d, %d, %d, ...)" % (
            self.client_sap,
            self.server_sap,
            self.authentication,
        )
