"""Where the keys of a TLS connection lie."""

from __future__ import annotations


class TlsFiles:
    """Paths of PEM files: the authority that signed the server, and our own certificate and key
    (both None: the server does not ask for them)."""

    __slots__ = ("ca", "certificate", "key")

    def __init__(self, ca: str, certificate: str | None = None, key: str | None = None) -> None:
        self.ca = ca
        self.certificate = certificate
        self.key = key
