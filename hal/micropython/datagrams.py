"""UDP to many places from one port, over IPv4 and, where the port of MicroPython has it, IPv6."""

from __future__ import annotations

import asyncio
import errno
import socket

_LONGEST = 2048  # more than any datagram of a path with an MTU of 1500
_MAPPED = bytes(10) + b"\xff\xff"  # IPv4 as IPv6 (RFC 4291 2.5.5.2)


class UdpPort:
    """See hal.ports.Datagrams.

    The unix port's addresses are the C struct sockaddr, with IPv4 mapped into IPv6 so that one
    socket serves both; a board's are (host, port), and IPv4."""

    def __init__(self, line, family: int) -> None:
        """`line`: non-blocking."""
        self._line = line
        self._family = family
        self._readable = asyncio.StreamReader(line)
        self._closed = False

    @staticmethod
    async def open(port: int = 0) -> UdpPort:
        """On this port of ours, 0: any. OSError when it is taken."""
        family, everywhere = socket.AF_INET, "0.0.0.0"
        if hasattr(socket, "sockaddr"):  # the unix port
            family, everywhere = socket.AF_INET6, "::"
        line = socket.socket(family, socket.SOCK_DGRAM)
        try:
            line.bind(socket.getaddrinfo(everywhere, port, 0, socket.SOCK_DGRAM)[0][-1])
            line.setblocking(False)
        except OSError:
            line.close()
            raise
        return UdpPort(line, family)

    async def place(self, host: str, port: int) -> object:
        """See hal.ports.Datagrams."""
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
        if self._family == socket.AF_INET:
            return found[-1]
        address = _struct(found[-1])
        if found[0] == socket.AF_INET:
            mapped = _struct(socket.getaddrinfo("::", port, 0, socket.SOCK_DGRAM)[0][-1])
            address = mapped[:8] + _MAPPED + address[4:8] + mapped[24:]
        return address

    def text(self, place: object) -> str:
        """See hal.ports.Datagrams."""
        if isinstance(place, tuple):
            return "%s:%d" % place[:2]
        _, host, port = socket.sockaddr(place)[:3]  # pyright: ignore[reportAttributeAccessIssue]
        if host[:12] == _MAPPED:
            return "%s:%d" % (".".join([str(byte) for byte in host[12:]]), port)
        text = socket.inet_ntop(socket.AF_INET6, host)  # pyright: ignore[reportAttributeAccessIssue]
        return "[%s]:%d" % (text, port)

    async def send(self, data: bytes, place: object) -> None:
        """See hal.ports.Datagrams."""
        self._check_open()
        self._line.sendto(data, place)

    async def receive(self) -> tuple[bytes, object]:
        """See hal.ports.Datagrams."""
        while True:
            self._check_open()
            # Reading nothing is waiting until there is something. A stream's read() of more would
            # join datagrams.
            try:
                await self._readable.read(0)
                data, place = self._line.recvfrom(_LONGEST)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    continue
                raise
            return data, place if self._family == socket.AF_INET else _struct(place)

    async def close(self) -> None:
        """See hal.ports.Datagrams."""
        if not self._closed:
            self._closed = True
            self._line.close()

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the UDP port is closed")


def _struct(address) -> bytes:
    """A sockaddr of the unix port."""
    return bytes(address)
