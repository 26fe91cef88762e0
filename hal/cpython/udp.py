"""A meter on UDP as Link: each APDU is one datagram, in the DLMS wrapper (Green Book 7.3)."""

from __future__ import annotations

import asyncio
import socket

from hal.modem.udp import MAX_APDU
from hal.modem.wrapper import unwrap, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Clock

_DATAGRAM = 65535


class UdpLink:
    """See hal.ports.Link. Make one with `await UdpLink.open(...)`.

    Datagrams come from the meter's address and port only (the system drops others'); what is not
    an APDU of this pair of SAPs is dropped here.
    """

    def __init__(
        self,
        line: socket.socket,
        client_sap: int,
        server_sap: int,
        clock: Clock,
        max_apdu: int = MAX_APDU,
    ) -> None:
        """`line`: connected and non-blocking."""
        self.max_apdu = max_apdu
        self._line = line
        self._saps = (server_sap, client_sap)
        self._clock = clock

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
        """OSError when there is no such host. Whether anybody is there shows with the answer."""
        loop = asyncio.get_running_loop()
        places = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = places[0]
        line = socket.socket(family, kind, protocol)
        line.setblocking(False)
        try:
            line.connect(address)
        except OSError:
            line.close()
            raise
        return cls(line, client_sap, server_sap, clock, max_apdu)

    async def send(self, apdu: bytes | memoryview) -> None:
        server_sap, client_sap = self._saps
        await asyncio.get_running_loop().sock_sendall(
            self._line, wrap(client_sap, server_sap, apdu)
        )

    async def receive(self, timeout_ms: int) -> bytes:
        """ConnectionRefusedError when the host says that nobody listens there."""
        return await self._clock.wait_for_ms(self._receive(), timeout_ms)

    async def close(self) -> None:
        self._line.close()

    async def _receive(self) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            datagram = await loop.sock_recv(self._line, _DATAGRAM)
            try:
                source, destination, apdu = unwrap(datagram)
            except ValueError:
                continue
            if (source, destination) == self._saps:
                return apdu
