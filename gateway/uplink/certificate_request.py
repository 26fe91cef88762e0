"""A key on P-256 and what is said of it: the request for a certificate (PKCS#10, RFC 2986), and the
key itself as TLS libraries read it (RFC 5915)."""

from __future__ import annotations

from hal.rt import der
from hal.rt.certificate import EC_P256, pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Crypto

_CURVE = bytes.fromhex("06082a8648ce3d030107")  # OID prime256v1
_COMMON_NAME = bytes.fromhex("0603550403")  # OID 2.5.4.3
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")  # RFC 5758 3.2
_EC_KEY = "EC PRIVATE KEY"


def request(name: str, private: bytes, public: bytes, crypto: Crypto) -> bytes:
    """In DER, for the subject CN=`name`."""
    pair = der.sequence(_COMMON_NAME, der.wrap(der.UTF8, name.encode()))
    body = der.sequence(
        der.unsigned(b"\0"),
        der.sequence(der.wrap(der.SET, pair)),
        der.sequence(EC_P256, _bits(b"\x04" + public)),
        der.wrap(der.CONTEXT_0, b""),
    )
    signature = crypto.ecdsa_sign("P-256", private, body)
    numbers = der.sequence(der.unsigned(signature[:32]), der.unsigned(signature[32:]))
    return der.sequence(body, _ECDSA_SHA256, _bits(numbers))


def key_pem(private: bytes, public: bytes) -> bytes:
    return pem(
        der.sequence(
            der.unsigned(b"\x01"),
            der.wrap(der.OCTET_STRING, private),
            der.wrap(der.CONTEXT_0, _CURVE),
            der.wrap(der.CONTEXT_0 + 1, _bits(b"\x04" + public)),
        ),
        _EC_KEY,
    )


def _bits(octets: bytes) -> bytes:
    return der.wrap(der.BIT_STRING, b"\0" + octets)
