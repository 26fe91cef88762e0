"""Where the keys of a TLS connection lie."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.rt.certificate import Certificate


class TlsFiles:
    """Paths of PEM files: the authority that signed the server, and our own certificate and key
    (both None: the server does not ask for them). ca "": the authorities that the system knows,
    where it knows any.

    `pair`: instead of those two, our chain of certificates and its key, as PEM.
    """

    __slots__ = ("ca", "certificate", "key", "pair")

    def __init__(self, ca: str, certificate: str | None = None, key: str | None = None) -> None:
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.pair: tuple[bytes, bytes] | None = None

    def chain(self) -> bytes:
        """Our certificates, as PEM; b"": none. OSError."""
        if self.pair is not None:
            return self.pair[0]
        return b"" if self.certificate is None else content(self.certificate)

    def own(self) -> Certificate | None:
        """Ours, if there is one that can be read."""
        return _first(self.chain)

    def authority(self) -> Certificate | None:
        """That which the broker's certificate is judged by, or the first of them."""
        return _first(lambda: content(self.ca))


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _first(read: Callable[[], bytes]) -> Certificate | None:
    from hal.rt import certificate, der  # not without TLS

    try:
        blocks = certificate.pem_blocks(read())
        return certificate.Certificate(blocks[0]) if blocks else None
    except (OSError, der.DerError):
        return None
