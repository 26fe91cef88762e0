"""A meter on UDP as Link: each APDU is one datagram, in the DLMS wrapper (Green Book 7.3)."""

from __future__ import annotations

import asyncio
import errno
import socket

from hal.modem.udp import MAX_APDU
from hal.modem.wrapper import unwrap, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Clock

_HEADER = 8


class UdpLink:
    """See hal.ports.Link. Make one with `await UdpLink.open(...)`.

    Datagrams come from the meter's address and port only (the system drops others'); what is not
    an APDU of this pair of SAPs, or longer than `max_apdu`, is dropped here.
    """

    def __init__(
        self, line, client_sap: int, server_sap: int, clock: Clock, max_apdu: int = MAX_APDU
    ) -> None:
        """`line`: connected and non-blocking."""
        self.max_apdu = max_apdu
        self._line = line
        self._saps = (server_sap, client_sap)
        self._clock = clock
        self._readable = asyncio.StreamReader(line)

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        client_sap: int,
        server_sap: int,
        clock: Clock,
        max_apdu: int = MAX_APDU,
    ) -> UdpLink:
        """OSError when there is no such host (looking up a name blocks: prefer addresses). Whether
        anybody is there shows with the answer."""
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
        line = socket.socket(family, kind, protocol)
        try:
            line.connect(address)
            line.setblocking(False)
        except OSError:
            line.close()
            raise
        return cls(line, client_sap, server_sap, clock, max_apdu)

    async def send(self, apdu: bytes | memoryview) -> None:
        server_sap, client_sap = self._saps
        try:
            self._line.send(wrap(client_sap, server_sap, apdu))
        except OSError as error:
            # No room for it now: lost, as a datagram may be; the client sends again.
            if error.errno != errno.EAGAIN:
                raise

    async def receive(self, timeout_ms: int) -> bytes:
        """OSError ECONNREFUSED when the host says that nobody listens there."""
        return await self._clock.wait_for_ms(self._receive(), timeout_ms)

    async def close(self) -> None:
        self._line.close()

    async def _receive(self) -> bytes:
        while True:
            # Reading nothing is waiting until there is something. A stream's read() of more would
            # join datagrams.
            await self._readable.read(0)
            try:
                datagram = self._line.recv(_HEADER + self.max_apdu)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    continue
                raise
            try:
                source, destination, apdu = unwrap(datagram)
            except ValueError:
                continue
            if (source, destination) == self._saps:
                return apdu
