"""UDP to many places from one port, over IPv6 and IPv4."""

from __future__ import annotations

import asyncio
import errno
import socket

_LONGEST = 65535


class UdpPort:
    """See hal.ports.Datagrams. One socket for both: IPv4 goes by its IPv6-mapped form (RFC 4291
    2.5.5.2), as far as the machine has IPv6."""

    def __init__(self, line: socket.socket) -> None:
        """`line`: bound and non-blocking."""
        self._line: socket.socket | None = line

    @classmethod
    async def open(cls, port: int = 0) -> UdpPort:
        """On this port of ours, 0: any. OSError when it is taken."""
        try:
            line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        except OSError:
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.setblocking(False)
        try:
            line.bind(("", port))
        except OSError:
            line.close()
            raise
        return cls(line)

    async def place(self, host: str, port: int) -> object:
        """See hal.ports.Datagrams."""
        line = self._open_line()
        found = await asyncio.get_running_loop().getaddrinfo(
            host,
            port,
            family=line.family,
            type=socket.SOCK_DGRAM,
            flags=socket.AI_V4MAPPED if line.family == socket.AF_INET6 else 0,
        )
        return found[0][4]

    def text(self, place: object) -> str:
        """See hal.ports.Datagrams."""
        assert isinstance(place, tuple)
        host, port = place[:2]
        if host.startswith("::ffff:"):
            host = host[7:]
        return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)

    async def send(self, data: bytes, place: object) -> None:
        """See hal.ports.Datagrams."""
        assert isinstance(place, tuple)
        await asyncio.get_running_loop().sock_sendto(self._open_line(), data, place)

    async def receive(self) -> tuple[bytes, object]:
        """See hal.ports.Datagrams."""
        return await asyncio.get_running_loop().sock_recvfrom(self._open_line(), _LONGEST)

    async def close(self) -> None:
        """See hal.ports.Datagrams."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _open_line(self) -> socket.socket:
        if self._line is None:
            raise OSError(errno.EBADF, "the UDP port is closed")
        return self._line
