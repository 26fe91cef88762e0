"""What we need to know of an X.509 certificate (RFC 5280): whose it is, who signed it, from when to
when, and for which key. Nothing here proves a signature."""

from __future__ import annotations

import binascii

from hal.rt import der
from hal.rt.calendar import days_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    Octets = bytes | bytearray | memoryview

_COMMON_NAME = b"\x55\x04\x03"  # 2.5.4.3
# id-ecPublicKey with prime256v1 (RFC 5480 2.1.1)
EC_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
_BEGIN, _END = "-----BEGIN %s-----", "-----END %s-----"
CERTIFICATE = "CERTIFICATE"


class Certificate:
    """`subject` and `issuer`: the common name, or "?" where there is none. Dates in seconds since
    1970 UTC. `public`: x||y of a key on P-256, b"" of another. DerError for what is none."""

    __slots__ = ("issuer", "not_after", "not_before", "public", "subject")

    def __init__(self, raw: Octets) -> None:
        parts = der.elements(raw)
        if len(parts) != 3:
            raise der.DerError("certificate: expected 3 parts, came %d" % len(parts))
        fields = der.elements(parts[0][2])
        if fields and fields[0][0] == der.CONTEXT_0:  # the version
            fields = fields[1:]
        if len(fields) < 6:
            raise der.DerError("certificate: expected at least 6 fields, came %d" % len(fields))
        self.issuer = _name(fields[2][2])
        dates = der.elements(fields[3][2])
        if len(dates) != 2:
            raise der.DerError("certificate: expected two dates")
        self.not_before = _date(dates[0][0], dates[0][1])
        self.not_after = _date(dates[1][0], dates[1][1])
        self.subject = _name(fields[4][2])
        self.public = public_key(fields[5][2])


def public_key(info: bytes) -> bytes:
    """x||y of a SubjectPublicKeyInfo on P-256; b"" of another kind."""
    parts = der.elements(info)
    point = parts[1][1] if len(parts) == 2 else b""
    if len(point) == 66 and parts[0][2] == EC_P256 and point[:2] == b"\x00\x04":
        return point[2:]
    return b""


def pem_blocks(text: bytes, label: str = CERTIFICATE) -> list[bytes]:
    """The DER of each block of this label (RFC 7468). DerError for what is no PEM."""
    found = []
    begin, end = (_BEGIN % label).encode(), (_END % label).encode()
    place = text.find(begin)
    while place >= 0:
        stop = text.find(end, place)
        if stop < 0:
            raise der.DerError("PEM: a block has no end")
        try:
            found.append(binascii.a2b_base64(text[place + len(begin) : stop]))
        except ValueError:
            raise der.DerError("PEM: a block is no base64")
        place = text.find(begin, stop)
    return found


def pem(raw: bytes, label: str = CERTIFICATE) -> bytes:
    """One block."""
    body = b"".join([binascii.b2a_base64(raw[i : i + 48]) for i in range(0, len(raw), 48)])
    return (_BEGIN % label).encode() + b"\n" + body + (_END % label).encode() + b"\n"


def _name(raw: bytes) -> str:
    for _, _, relative in der.elements(raw):
        for _, _, pair in der.elements(relative, der.SET):
            parts = der.elements(pair)
            if len(parts) == 2 and parts[0][1] == _COMMON_NAME:
                return "".join([chr(c) if 32 <= c < 127 else "?" for c in parts[1][1]])[:64]
    return "?"


def _date(tag: int, text: bytes) -> int:
    """RFC 5280 4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050 on; always Z."""
    digits = text[:-1]
    if tag == der.UTC_TIME and len(digits) == 12:
        digits = (b"20" if digits < b"50" else b"19") + digits
    good = len(digits) == 14 and text[-1:] == b"Z" and tag in (der.UTC_TIME, der.GENERALIZED_TIME)
    if not good or [c for c in digits if not 48 <= c <= 57]:
        raise der.DerError("certificate: no date")
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    clock = int(digits[8:10]) * 3600 + int(digits[10:12]) * 60 + int(digits[12:14])
    return days_to(year, month, day) * 86400 + clock
