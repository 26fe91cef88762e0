"""TCP connections, and one as BytePort."""

from __future__ import annotations

import asyncio
import errno
import select
import socket

from hal.micropython.stream_port import StreamPort


async def connect(host: str, port: int) -> socket.socket:
    """A connected socket, non-blocking. OSError when that fails; however it ends, no socket stays
    open, as one would in asyncio.open_connection(). The caller limits the time (looking up a host
    name blocks: prefer addresses)."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    line = socket.socket(family, kind, protocol)
    try:
        line.setblocking(False)
        try:
            line.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await _writable(line)  # pyright: ignore[reportGeneralTypeIssues]
        _check_connected(line)
    except BaseException:
        line.close()
        raise
    return line


class TcpPort:
    """Makes byte ports of TCP connections."""

    @staticmethod
    async def open(host: str, port: int) -> StreamPort:
        """As connect()."""
        return StreamPort(await connect(host, port))


def _writable(line):
    """Awaitable, as asyncio's own streams wait."""
    queue = asyncio.core._io_queue  # pyright: ignore[reportAttributeAccessIssue]
    yield queue.queue_write(line)


def _check_connected(line) -> None:
    """A refused connection is writable too; the socket knows better."""
    poller = select.poll()
    poller.register(line, select.POLLOUT)
    for _, flags in poller.poll(0):
        if flags & (select.POLLERR | select.POLLHUP):
            line.send(b"")  # raises the reason, where the port keeps it
            raise OSError(errno.ECONNREFUSED)
