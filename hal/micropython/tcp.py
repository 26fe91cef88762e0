"""A TCP connection as BytePort."""

from __future__ import annotations

import asyncio
import errno
import select

from hal.micropython.stream_port import StreamPort


class TcpPort:
    """Makes byte ports of TCP connections."""

    @staticmethod
    async def open(host: str, port: int) -> StreamPort:
        """Connect; OSError when that fails. The caller limits the time (looking up a host name
        blocks: prefer addresses)."""
        _, stream = await asyncio.open_connection(host, port)
        line = stream.s  # pyright: ignore[reportAttributeAccessIssue]
        try:
            check_connected(line)
        except OSError:
            line.close()
            raise
        return StreamPort(line)


def check_connected(line) -> None:
    """asyncio.open_connection calls a refused connection a success; the socket knows better."""
    poller = select.poll()
    poller.register(line, select.POLLOUT)
    for _, flags in poller.poll(0):
        if flags & (select.POLLERR | select.POLLHUP):
            line.send(b"")  # raises the reason, where the port keeps it
            raise OSError(errno.ECONNREFUSED)
