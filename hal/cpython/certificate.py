"""Whether a certificate and a key in files belong together, for people who look before the gateway
does."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key


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
