"""TLS on CPython: OpenSSL proves the chain and the name, and we judge the dates, by our clock: the
ssl module cannot be told what time it is, and a board's system clock may be unset."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import tempfile
from contextlib import contextmanager

from hal.ports import PortError
from hal.rt import tls_words
from hal.rt.certificate import Certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hal.rt.tls_files import TlsFiles

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, for which the ssl module has no name
_HOST_FAULTS = (62, 63, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, EMAIL, IP_ADDRESS


class Tls:
    """Of one connection. `bounds`: as in tls_words.chain_fault(); PortError or OSError where the
    files are no certificates."""

    def __init__(self, files: TlsFiles, host: str, bounds: tuple[int, int]) -> None:
        self._files = files
        self._host = host
        self._bounds = bounds
        self.ends: list[tuple[str, int]] = []  # whose certificate ends when
        try:
            self._context = _context(files)
        except OSError as error:  # ssl.SSLError is one
            raise PortError(
                "TLS: expected PEM files that belong together, came %s, %s and %s: %s"
                % (files.ca, files.certificate, files.key, error.strerror or error)
            ) from None

    async def secured(self, line: socket.socket) -> ssl.SSLSocket:
        """The line with TLS on it, when the broker has proven itself. OSError says in words what is
        wrong; it is closed then."""
        secured = self._context.wrap_socket(
            line, server_hostname=self._host, do_handshake_on_connect=False
        )
        try:
            await _handshake(secured)
            chain = _chain(secured)
            fault = tls_words.chain_fault(chain, self._bounds)
            if fault:
                raise OSError(errno.EACCES, fault)
        except (ssl.SSLEOFError, ConnectionError):
            secured.close()
            raise OSError(errno.EACCES, tls_words.no_tls()) from None
        except ssl.SSLError as error:
            secured.close()
            raise OSError(errno.EACCES, self.words(error)) from None
        except BaseException:
            secured.close()
            raise
        self.ends = [("the broker's", min(Certificate(raw).not_after for raw in chain))]
        return secured

    def words(self, error: OSError) -> str:
        """For what has come of the handshake, or of the first use of the line."""
        if isinstance(error, ssl.SSLCertVerificationError):
            if error.verify_code in _HOST_FAULTS:
                return tls_words.wrong_host(self._host, "one for others")
            return tls_words.wrong_authority(self._files, "another (%s)" % error.verify_message)
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "").lower()
            for name, meaning in tls_words.ALERTS.items():
                if reason.endswith("alert_" + name):
                    return tls_words.refused(self._files, self._bounds, meaning)
            if reason in ("wrong_version_number", "http_request", "record_layer_failure"):
                return tls_words.no_tls()
            return "TLS: %s" % (reason.replace("_", " ") or error)
        return error.strerror or str(error)


def _context(files: TlsFiles) -> ssl.SSLContext:
    """The server must show a certificate of this authority for the host name we dialled."""
    context = ssl.create_default_context(cafile=files.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= _NO_CHECK_TIME
    if files.pair is not None:
        with _in_memory(files.pair[0]) as chain, _in_memory(files.pair[1]) as key:
            context.load_cert_chain(chain, key)
    elif files.certificate is not None:
        context.load_cert_chain(files.certificate, files.key)
    return context


@contextmanager
def _in_memory(octets: bytes) -> Iterator[str]:
    """A file for OpenSSL, which reads keys from files only: in memory where the system has that, so
    that a key does not reach the flash."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("tls", os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb") as file:
            file.write(octets)
            file.flush()
            yield "/proc/self/fd/%d" % fd
        return
    with tempfile.NamedTemporaryFile() as file:  # of mode 0600
        file.write(octets)
        file.flush()
        yield file.name


def _chain(secured: ssl.SSLSocket) -> list[bytes]:
    """In DER, from the broker's own to the authority's. Python has this in public from 3.13 on."""
    public = getattr(secured, "get_verified_chain", None)
    if public is not None:
        return list(public())
    inside = secured._sslobj  # type: ignore[attr-defined]
    der = ssl._ssl.ENCODING_DER  # type: ignore[attr-defined]
    return [each.public_bytes(der) for each in inside.get_verified_chain()]


async def _handshake(secured: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            secured.do_handshake()
            return
        except ssl.SSLWantReadError:
            await _ready(secured, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(secured, loop.add_writer, loop.remove_writer)


async def _ready(
    line: socket.socket,
    watch: Callable[[int, Callable[[], None]], None],
    leave: Callable[[int], bool],
) -> None:
    ready = asyncio.Event()
    watch(line.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        leave(line.fileno())
