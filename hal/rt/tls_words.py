"""What is wrong with a TLS connection, in words: what was expected, what came, and what to do. One
for each thing that can be wrong, so that an expired certificate is not taken for a wrong clock, and
neither for a wrong authority."""

from __future__ import annotations

from hal.rt.calendar import day_text
from hal.rt.certificate import Certificate
from hal.rt.der import DerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.rt.tls_files import TlsFiles

ANY_TIME = (0, 0xFFFFFFFF)
# What an alert means that refuses us (RFC 8446 6.2), by its name there.
ALERTS = {
    "certificate_required": "it wants one of us",
    "handshake_failure": "it wants one of us, or shares no cipher with us",
    "bad_certificate": "it is damaged",
    "unsupported_certificate": "it is of a kind that it does not take",
    "certificate_revoked": "it is revoked",
    "certificate_expired": "it has expired, by the broker's clock",
    "certificate_unknown": "it does not accept it",
    "unknown_ca": "it does not know the authority that signed it",
    "access_denied": "it may not connect",
}


def chain_fault(chain: Sequence[bytes], bounds: tuple[int, int]) -> str:
    """Why certificates are not valid now, "" if they are. `chain`: in DER, the broker's own first.
    `bounds`: now is not before the first and not after the second of them."""
    earliest, latest = bounds
    for place, raw in enumerate(chain):
        try:
            found = Certificate(raw)
        except DerError as error:
            return "TLS: the broker's certificate cannot be read: %s" % error
        whose = "the broker's certificate" if place == 0 else "a certificate above the broker's"
        if found.not_after < earliest:
            return "TLS: %s has expired: expected one that is valid %s, came %s; %s" % (
                whose,
                _now(bounds),
                shown(found),
                "the broker needs a new one"
                if earliest == latest
                else "the broker needs a new one, unless the last known time is wrong: a time"
                " signed by a key for orders brings it back",
            )
        if found.not_before > latest:
            return (
                "TLS: %s is not valid yet: expected one that is valid %s, came %s;"
                " is our clock right?" % (whose, _now(bounds), shown(found))
            )
    return ""


def shown(found: Certificate) -> str:
    return '"%s" by "%s", valid from %s to %s' % (
        found.subject,
        found.issuer,
        day_text(found.not_before),
        day_text(found.not_after),
    )


def _now(bounds: tuple[int, int]) -> str:
    if bounds[0] == bounds[1]:
        return "on " + day_text(bounds[0])
    return "after %s (the clock is unset; that day has passed)" % day_text(bounds[0])


def refused(files: TlsFiles, bounds: tuple[int, int], why: str) -> str:
    """The broker has ended the connection because of who we are."""
    own = files.own()
    text = "TLS: the broker refuses our certificate: %s; " % why
    if own is None:
        return text + "we show none: put one into uplink.certificate and uplink.key"
    text += "ours is " + shown(own)
    if own.not_after < bounds[0]:
        return text + ", which has expired: renew it"
    if own.not_before > bounds[1]:
        return text + ", which is not valid yet: is our clock right?"
    return text + "; check which authority the broker trusts for clients, and its clock"


def wrong_authority(files: TlsFiles, came: str) -> str:
    expected = files.authority()
    name = "one that the system knows"
    if expected is not None:
        name = '"%s" (%s)' % (expected.subject, files.ca)
    return (
        "TLS: wrong authority: expected a broker with a certificate by %s, came %s; put the"
        " authority of the broker into uplink.ca" % (name, came)
    )


def wrong_host(host: str, came: str) -> str:
    return (
        'TLS: wrong host name: expected a certificate for "%s", came %s; put the name that the'
        " broker's certificate has into uplink.host" % (host, came)
    )


def no_tls() -> str:
    return (
        "TLS: expected a TLS handshake, came none: what is there speaks no TLS; put the broker's"
        " TLS port into uplink.port"
    )
