"""What a certificate file says, for people who look before the gateway does."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def validity(path: str) -> list[tuple[str, int, int]]:
    """(subject, not before, not after) of each certificate in the file, unix times. ValueError when
    there is none, OSError."""
    with open(path, "rb") as file:
        found = x509.load_pem_x509_certificates(file.read())
    return [
        (
            one.subject.rfc4514_string() or "no name",
            int(one.not_valid_before_utc.timestamp()),
            int(one.not_valid_after_utc.timestamp()),
        )
        for one in found
    ]


def belong_together(certificate: str, key: str) -> bool:
    """Whether the private key in the one file is that of the certificate in the other. ValueError
    when it is no key that can be read, OSError."""
    with open(certificate, "rb") as file:
        public = x509.load_pem_x509_certificate(file.read()).public_key()
    with open(key, "rb") as file:
        try:
            private = load_pem_private_key(file.read(), None)
        except TypeError as error:  # it has a password
            raise ValueError(str(error)) from None
    return private.public_key() == public
