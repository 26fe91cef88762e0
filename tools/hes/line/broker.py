"""Where the broker is, from a URL and the files of TLS."""

from __future__ import annotations

import ssl
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from hal.rt.tls_files import TlsFiles


class BrokerProblem(Exception):
    """The broker's URL or the TLS files are not usable; the text says what was expected."""


@dataclass(frozen=True)
class Broker:
    """Where the broker is. `name` is for people and holds no credentials."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    files: TlsFiles | None = None  # of which `tls` is made

    @classmethod
    def parse(
        cls, url: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
    ) -> Broker:
        """`mqtt://[user:password@]host[:port]`, or mqtts:// with the CA's certificates and, for
        mutual authentication, our own certificate and key (PEM). BrokerProblem.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ("mqtt", "mqtts") or parts.path not in ("", "/"):
            raise BrokerProblem(
                "expected a broker such as mqtt://user:password@host:1883 or mqtts://host:8883"
            )
        context = None
        if parts.scheme == "mqtts":
            context = _tls(ca, cert, key)
        elif ca or cert or key:
            raise BrokerProblem("certificates are for mqtts:// brokers, the URL says mqtt://")
        return cls(
            host,
            port or (8883 if context else 1883),
            urllib.parse.unquote(parts.username) if parts.username else None,
            urllib.parse.unquote(parts.password) if parts.password else None,
            context,
            None
            if context is None
            else TlsFiles(str(ca or ""), str(cert) if cert else None, str(key) if key else None),
        )

    @property
    def name(self) -> str:
        return "%s://%s:%d" % ("mqtts" if self.tls else "mqtt", self.host, self.port)


def _tls(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if cert:
            context.load_cert_chain(cert, key)
        elif key:
            raise BrokerProblem("--cert-key needs the certificate it belongs to, --cert")
    except (OSError, ssl.SSLError) as error:
        raise BrokerProblem(
            "expected PEM files for --ca, --cert and --cert-key that belong together: %s" % error
        ) from None
    return context
