"""Where a meter is: the URL of the command line.

    tcp://host[:port]              DLMS wrapper over TCP
    udp://host[:port]              DLMS wrapper over UDP
    hdlc+tcp://host:port           HDLC through a TCP connection (a serial server, a modem)
    hdlc+serial:/dev/ttyUSB0       HDLC on a serial line

Options follow as ?name=value&name=value: `baud` (default 9600; with mode_e=1 the fastest to agree
to), `mode_e=1` (open by IEC 62056-21 mode E, as an optical probe needs), `physical` (the meter's
lower HDLC address), `bytes` (1, 2 or 4: length of its HDLC address), `window` (1..7) and `frame`
(longest information field, bytes). Behind a serial server, `rfc2217=1` has it change the speed as
mode E needs; without, the server's own speed is `baud` (default 300), and stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

PORT = 4059  # of DLMS/COSEM, by IANA
TCP, UDP, HDLC_TCP, HDLC_SERIAL = "tcp", "udp", "hdlc+tcp", "hdlc+serial"
SCHEMES = (TCP, UDP, HDLC_TCP, HDLC_SERIAL)
EXAMPLES = (
    "tcp://host:4059, udp://host:4059, hdlc+tcp://host:port or"
    " hdlc+serial:/dev/ttyUSB0?baud=9600&mode_e=1"
)

_HDLC = {"physical": (0, 16383), "bytes": (1, 4), "window": (1, 7), "frame": (8, 2030)}
_SERIAL = {"baud": (300, 921600), "mode_e": (0, 1)}
_SERVER = {**_SERIAL, "rfc2217": (0, 1)}
_OPTIONS = {
    TCP: {},
    UDP: {},
    HDLC_TCP: {**_HDLC, **_SERVER},
    HDLC_SERIAL: {**_HDLC, **_SERIAL},
}


class WrongUrl(ValueError):
    """Says what was expected and what came."""


@dataclass(frozen=True)
class Place:
    """`host` and `port`, or `device` for a serial line; `options` are those given in the URL."""

    scheme: str
    host: str = ""
    port: int = 0
    device: str = ""
    options: dict[str, int] = field(default_factory=dict)

    def option(self, name: str, default: int) -> int:
        return self.options.get(name, default)

    def __str__(self) -> str:
        if self.scheme == HDLC_SERIAL:
            return "%s:%s" % (self.scheme, self.device)
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s://%s:%d" % (self.scheme, host, self.port)


def parse(url: str) -> Place:
    """WrongUrl when it is not one."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise WrongUrl("URL %r: %s; expected %s" % (url, error, EXAMPLES)) from None
    if parts.scheme not in SCHEMES:
        raise WrongUrl("expected a URL such as %s, got %r" % (EXAMPLES, url))
    if parts.username is not None or parts.fragment:
        raise WrongUrl("URL of %s: no user, password or # part is expected in it" % parts.scheme)
    options = _options(parts.scheme, parts.query)
    if parts.scheme == HDLC_SERIAL:
        if parts.netloc or not parts.path:
            raise WrongUrl("expected %s:/dev/ttyUSB0, got %r" % (HDLC_SERIAL, url))
        return Place(HDLC_SERIAL, device=parts.path, options=options)
    if not host or parts.path not in ("", "/"):
        raise WrongUrl("expected %s://host:port, got %r" % (parts.scheme, url))
    if port is None and parts.scheme == HDLC_TCP:
        raise WrongUrl("expected %s://host:port, got %r without a port" % (HDLC_TCP, url))
    if port == 0:
        raise WrongUrl("expected a port 1..65535, got 0")
    return Place(parts.scheme, host, port or PORT, options=options)


def _options(scheme: str, query: str) -> dict[str, int]:
    known = _OPTIONS[scheme]
    found: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise WrongUrl(
                "expected %s after ? in a URL of %s, got %r"
                % (" or ".join(known) or "nothing", scheme, name)
            )
        least, most = known[name]
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise WrongUrl("expected %s=%d..%d, got %r" % (name, least, most, value))
        if name == "bytes" and value not in ("1", "2", "4"):
            raise WrongUrl("expected bytes=1, 2 or 4, got %r" % value)
        found[name] = int(value)
    return found
