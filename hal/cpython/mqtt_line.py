"""The line under paho: dialled without a thread, and a socket that gives paho no more than it may
have.

paho dials for itself, blocking, in the one place where it makes its socket. `Paho` puts our line
there. That is all of paho's inside we touch: tests/contract/test_mqtt_paho.py holds it to that, and
fails with a clear text if a release of paho has no such place any more.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import SocketLike

    from hal.cpython.tls import Tls

_TCP_S = 5  # for each address of the broker
_AT_ONCE = 65536  # octets
_MAX_TOPIC = 65535
_SAMPLES = 8192  # octets that stand for the rest of an oversized packet
_MAX_CONTROL = 256  # octets of any packet but PUBLISH
_PUBLISH = 3
_PUBLISH_QOS_2 = 0x34
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Paho(Client):
    """A client of MQTT 3.1.1 with a clean session that acknowledges only by ack(); its connect()
    takes the line it was given and does not block."""

    def __init__(self, line: Line, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=True,
            protocol=MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.line = line

    def _create_socket(self) -> SocketLike:
        return self.line


class Line:
    """What paho takes for its socket: a connected, non-blocking one, plain or TLS.

    MQTT lets a broker send packets of 256 MB, and paho would gather them whole. `limit`: of the
    largest payload wanted, in octets. Of what is too long for it, paho sees the beginning, and of
    the rest one octet in so many: the message is still too large, and the line still lives.
    `words` makes a text of what the socket fails with.
    """

    def __init__(
        self,
        sock: socket.socket,
        limit: int,
        words: Callable[[OSError], str] = lambda error: error.strerror or str(error),
    ) -> None:
        self._sock = sock
        self._words = words
        self._whole = limit + _MAX_TOPIC + 8  # octets of a packet that paho gets as they are
        self._head = bytearray()  # of the packet that comes
        self._told = b""  # of it, for paho to take
        self._body = 0  # octets to come as they are
        self._rest = 0  # octets to come of which paho gets one in `_stride`
        self._stride = 1
        self.paused = False  # no packet is begun
        self.heard = time.monotonic()  # when the last octets came
        self.fault = ""  # what recv() or send() failed with; paho keeps it to itself

    def recv(self, buffer_size: int) -> bytes:
        if not self._told and not self._body and not self._rest:
            if self.paused:
                raise BlockingIOError
            self._read_head()
        if self._told:
            told, self._told = self._told[:buffer_size], self._told[buffer_size:]
            return told
        if self._body:
            octets = self._receive(min(buffer_size, self._body, _AT_ONCE))
            self._body -= len(octets)
            return octets
        octets = self._receive(min(self._rest, _AT_ONCE))
        self._rest -= len(octets)
        # What is left is a whole number of strides after each octet that paho gets.
        samples = octets[(self._rest + len(octets) - 1) % self._stride :: self._stride]
        if not samples:
            raise BlockingIOError
        return samples

    def send(self, buffer: bytes | bytearray) -> int:
        try:
            return self._sock.send(buffer)
        except _LATER:
            raise
        except OSError as error:
            self.fault = self._words(error)
            raise

    def close(self) -> None:
        self._sock.close()

    def fileno(self) -> int:
        """-1: closed."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    def pending(self) -> int:
        """Octets that TLS has deciphered already: they do not make the line readable."""
        return self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0

    def _read_head(self) -> None:
        """The first octet and the remaining length (2.2.3)."""
        while len(self._head) < 2 or self._head[-1] >= 128:
            if len(self._head) == 5:
                raise self._fault("remaining length of more than four octets")
            self._head += self._receive(1)
        head, self._head = bytes(self._head), bytearray()
        size = sum((octet & 127) << 7 * place for place, octet in enumerate(head[1:]))
        kind = head[0] >> 4
        if kind != _PUBLISH and size > _MAX_CONTROL:
            raise self._fault("packet type %d of %d octets" % (kind, size))
        if head[0] & 0xF6 == _PUBLISH_QOS_2:
            raise self._fault("PUBLISH with QoS 2, which nobody asked for")
        self._told = head
        self._body, self._rest = size, 0
        if size > self._whole:
            rest = size - self._whole
            self._stride = -(-rest // _SAMPLES)
            self._rest = rest - rest % self._stride
            self._body = size - self._rest
            self._told = head[:1] + _remaining_length(self._body + self._rest // self._stride)

    def _fault(self, text: str) -> OSError:
        self.fault = text
        return OSError(errno.EPROTO, text)

    def _receive(self, size: int) -> bytes:
        try:
            octets = self._sock.recv(size)
            if not octets:
                raise ConnectionResetError(errno.ECONNRESET, "the broker closed the connection")
        except _LATER:
            raise
        except OSError as error:
            self.fault = self._words(error)
            raise
        self.heard = time.monotonic()
        return octets


async def dial(host: str, port: int, tls: Tls | None) -> socket.socket:
    """A connected, non-blocking socket; with TLS, once the broker has proven itself. The caller
    limits the time."""
    line = await _connected(host, port)
    try:
        return line if tls is None else await tls.secured(line)
    except BaseException:
        line.close()
        raise


async def _connected(host: str, port: int) -> socket.socket:
    """To the first address that answers; OSError with the reason of the last."""
    loop = asyncio.get_running_loop()
    fault = OSError(errno.EHOSTUNREACH, "%s has no address" % host)
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        line = socket.socket(family, kind, protocol)
        try:
            line.setblocking(False)
            async with asyncio.timeout(_TCP_S):
                await loop.sock_connect(line, address)
            return line
        except OSError as error:
            line.close()
            code = error.errno or errno.ETIMEDOUT  # asyncio's own has none
            fault = OSError(code, os.strerror(code))
        except BaseException:
            line.close()
            raise
    raise fault


def _remaining_length(size: int) -> bytes:
    octets = bytearray()
    while size >= 128:
        octets.append(size & 127 | 128)
        size >>= 7
    octets.append(size)
    return bytes(octets)
