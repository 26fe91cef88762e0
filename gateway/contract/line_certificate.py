"""The certificate by which a concentrator shows itself to the broker (TLS), and how it gets a new
one: its key is made on the board and never leaves it; the request for a certificate goes up
(PKCS#10, RFC 2986), and the certificate comes down, signed by a key trusted for trust.

EST and CMP need an HTTPS client on the board and a way to a server beside the broker; this way
serves every board, and whichever authority stands behind the HES.
"""

from __future__ import annotations

from gateway.contract.fields import Message, field, message
from gateway.contract.rules import TIME, array_of, octets, text

MAX_REQUEST = 1024  # octets
MAX_CERTIFICATE = 2048
MAX_CHAIN = 4


@message("certificates")
class LineStatus(Message):
    """Up, after a hello. When certificates end, seconds since 1970 UTC: `until` ours, `broker` the
    first one of the broker's chain; 0: there is none, or it is not known. `digest`: SHA-256 of
    ours, empty where there is none. `request`: that a certificate be made of; empty: none is
    wanted.
    """

    until: int = field(TIME)
    digest: bytes = field(octets(32))
    broker: int = field(TIME)
    request: bytes = field(octets(MAX_REQUEST))


@message("certificate", "certificate")
class LineCertificate(Message):
    """Down, signed: the payload inside the envelope. `chain`: in DER, the concentrator's own first,
    which is for the key of its last request; then those above it, without the root. `issued` and
    `not_after` in seconds since 1970 UTC: how long the message counts.
    """

    concentrator: str = field(text(64, 1))
    issued: int = field(TIME)
    not_after: int = field(TIME)
    chain: list[bytes] = field(array_of(octets(MAX_CERTIFICATE, 1), MAX_CHAIN, 1))
