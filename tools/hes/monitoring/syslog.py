"""Sends messages of syslog over TLS (RFC 5425): each with its length in front, to a server whose
certificate is checked.

Syslog has no acknowledgement. What comes nearest is asked of the kernel: whether the other
machine's TCP has taken everything. Only then is a message called delivered; what was not when a
connection breaks is sent again, and its sequenceId tells the receiver that it is the same.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import time
import urllib.parse
from pathlib import Path

PORT = 6514
CONNECT_S = 30
DELIVERY_S = 60
_SIOCOUTQ = 0x5411  # Linux: octets sent which the peer has not acknowledged, tcp(7)


class SyslogProblem(Exception):
    """Nothing can be sent; the text says why, and what was expected."""


class Server:
    """Where to: `tls://host[:6514]`. `ca`: who signed the server's certificate (PEM), the
    system's own if None; `cert` and `key`: who we are. SyslogProblem.
    """

    def __init__(
        self, url: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
    ) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme != "tls" or parts.path not in ("", "/"):
            raise SyslogProblem("expected a syslog server such as tls://cert.example:6514")
        self.host, self.port = host, port or PORT
        try:
            self._context = ssl.create_default_context(cafile=str(ca) if ca else None)
            if cert:
                self._context.load_cert_chain(cert, key)
        except OSError as error:
            raise SyslogProblem(
                "expected PEM files for --ca, --cert and --cert-key that belong together: %s"
                % error
            ) from None
        self._line: ssl.SSLSocket | None = None

    @property
    def name(self) -> str:
        return "tls://%s:%d" % (self.host, self.port)

    def deliver(self, messages: list[bytes]) -> None:
        """Returns when the server's machine has them all. SyslogProblem: some may have come."""
        try:
            if self._line is not None and _ended(self._line):
                self.close()
            if self._line is None:
                self._line = self._connected()
            self._line.sendall(b"".join(b"%d %s" % (len(each), each) for each in messages))
            _wait_for_peer(self._line)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise SyslogProblem(
                "the certificate of %s does not prove who it is: %s"
                % (self.name, error.verify_message)
            ) from None
        except (OSError, TimeoutError) as error:
            self.close()
            raise SyslogProblem("%s: %s" % (self.name, error or "no answer in time")) from None

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _connected(self) -> ssl.SSLSocket:
        plain = socket.create_connection((self.host, self.port), CONNECT_S)
        try:
            return self._context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _ended(line: ssl.SSLSocket) -> bool:
    """Whether the server has closed the connection; it never sends anything else."""
    line.settimeout(0)
    try:
        return not line.recv(1)
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True
    finally:
        line.settimeout(CONNECT_S)


def _wait_for_peer(line: ssl.SSLSocket) -> None:
    deadline = time.monotonic() + DELIVERY_S
    while struct.unpack("i", fcntl.ioctl(line.fileno(), _SIOCOUTQ, bytes(4)))[0]:
        if time.monotonic() > deadline:
            raise TimeoutError("it takes nothing any more")
        time.sleep(0.005)
