"""TLS on MicroPython: mbedTLS proves the chain and the name, and judges the dates by the chip's
real-time clock, which is therefore lent our date for the handshake. We judge them too, by our own
clock: some boards' mbedTLS is built without a date, and on the unix port it knows only that of the
operating system."""

from __future__ import annotations

import errno

from hal.micropython.rtc import Lent, date
from hal.ports import PortError
from hal.rt import tls_words
from hal.rt.calendar import day_text
from hal.rt.certificate import Certificate
from hal.rt.der import DerError
from hal.rt.tls_files import content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.rt.tls_files import TlsFiles

_FATAL_ALERT = -0x7780  # which one, MicroPython does not tell
_NO_TLS = (-0x7200, -0x7900, -0x6E00)  # INVALID_RECORD, UNEXPECTED_RECORD, BAD_PROTOCOL_VERSION
_ENDED = (errno.ECONNRESET, -0x7280)  # CONN_EOF


class Tls:
    """Of one connection. `bounds`: as in tls_words.chain_fault(). PortError where the files are no
    certificates."""

    def __init__(self, files: TlsFiles, host: str, bounds: tuple[int, int]) -> None:
        import tls  # not on boards built without it

        self._files = files
        self._host = host
        self._bounds = bounds
        self._clock = Lent(bounds)
        self._chain: list[bytes] = []  # of the broker, as it came, its own first
        self._fault = ""
        context: Any = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        context.verify_callback = self._shown
        try:
            context.load_verify_locations(content(files.ca))
            if files.pair is not None:
                context.load_cert_chain(files.pair[0], files.pair[1])
            elif files.certificate is not None and files.key is not None:
                context.load_cert_chain(content(files.certificate), content(files.key))
        except (OSError, ValueError) as error:
            raise PortError(
                "TLS: expected PEM files that belong together, came %s, %s and %s: %s"
                % (files.ca, files.certificate, files.key, error)
            )
        self._context = context

    def begin(self, line, seconds: int):  # type: ignore[no-untyped-def]
        """The line with TLS on it, whose handshake comes with its first use; `seconds`: the date
        that mbedTLS is to believe. After it, end()."""
        self._chain, self._fault = [], ""
        self._clock.begin(seconds)
        try:
            secured = self._context.wrap_socket(
                line, server_hostname=self._host, do_handshake_on_connect=False
            )
            secured.setblocking(False)
        except BaseException:
            line.close()
            raise
        return secured

    def end(self) -> None:
        self._clock.end()

    def ends(self) -> list[tuple[str, int]]:
        """Whose certificate ends when."""
        found = [Certificate(raw).not_after for raw in self._chain]
        return [("the broker's", min(found))] if found else []

    def valid_from(self) -> int:
        """A date at which it is worth trying again: the clock is unset, and the chain begins after
        the date that mbedTLS believed. 0: there is none."""
        if self._bounds[0] == self._bounds[1] or self._fault or not self._chain:
            return 0
        begins = max([Certificate(raw).not_before for raw in self._chain])
        return begins if begins > date() else 0

    def words(self, error: Exception) -> OSError:
        """For what has come of the handshake."""
        text = str(error).strip()
        number = error.args[0] if isinstance(error, OSError) and error.args else 0
        if self._fault:
            text = self._fault
        elif number == _FATAL_ALERT:
            text = tls_words.refused(self._files, self._bounds, "it ends TLS with an alert")
        elif number in _NO_TLS or (number in _ENDED and not self._chain):
            text = tls_words.no_tls()
        elif isinstance(error, ValueError):
            text = self._of_mbedtls(text)
        else:
            return OSError(number or errno.EIO, text)
        return OSError(errno.EACCES, text)

    def _of_mbedtls(self, text: str) -> str:
        came = "?"
        try:
            came = tls_words.shown(Certificate(self._chain[0]))
        except (DerError, IndexError):
            pass
        if "not correctly signed" in text:
            return tls_words.wrong_authority(self._files, came)
        if "does not match" in text:
            return tls_words.wrong_host(self._host, came)
        if "expired" in text or "in the future" in text:
            return (
                "TLS: the broker's certificate is valid by our clock, but not on %s, which the"
                " machine believes: came %s; set the date of the machine" % (day_text(date()), came)
            )
        return "TLS: " + text

    def _shown(self, raw, depth: int) -> int:  # type: ignore[no-untyped-def]
        """Called by mbedTLS for each certificate of the chain, the authority's first. Nothing may
        be raised into it."""
        try:
            self._chain.insert(0, bytes(raw))
            if depth == 0:
                self._fault = tls_words.chain_fault(self._chain, self._bounds)
        except Exception as error:
            self._fault = "TLS: the broker's certificate cannot be read: %s" % error
        return -1 if self._fault else 0
