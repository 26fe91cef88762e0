"""A line between a gateway and its broker that knows MQTT packets, and fails as it is told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

UP, DOWN = "up", "down"  # from the gateway, to the gateway
PUBLISH = 3
DUP = 0x08


class FaultyLine:
    """Use as a context manager; the gateway connects to `port`, the line to the broker's.

    stop() lets everything vanish that goes one of the ways, on the connection that is there and on
    new ones, until heal(): then new ones are good, and the old one stays as it is. cut_in() resets
    the connection in the middle of the next PUBLISH. With `twice` each PUBLISH comes twice.
    """

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.twice = False
        self.opened = 0  # connections of the gateway
        self.ended = 0  # of these, those it has closed, or was told are closed
        self.cuts = 0
        self.repeated = 0
        self._stopped: frozenset[str] = frozenset()
        self._cut_in = ""
        self._lock = threading.Lock()

    def __enter__(self) -> FaultyLine:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def stop(self, *ways: str) -> None:
        self._stopped = frozenset(ways)

    def heal(self) -> None:
        self._stopped = frozenset()

    def cut_in(self, way: str) -> None:
        self._cut_in = way

    def _accept(self) -> None:
        while True:
            try:
                gateway, _ = self._listener.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:
                return
            with self._lock:
                self.opened += 1
            connection = _Connection(gateway, broker)
            for way, source, sink in ((UP, gateway, broker), (DOWN, broker, gateway)):
                threading.Thread(
                    target=self._forward, args=(connection, way, source, sink), daemon=True
                ).start()

    def _forward(
        self, connection: _Connection, way: str, source: socket.socket, sink: socket.socket
    ) -> None:
        try:
            while packet := _packet(source):
                if way in self._stopped:
                    connection.dead.add(way)
                if way in connection.dead:
                    continue
                publish = packet[0] >> 4 == PUBLISH
                if publish and self._cut_in == way:
                    self._cut_in = ""
                    sink.sendall(packet[: len(packet) // 2])
                    self.cuts += 1
                    connection.reset()
                    break
                sink.sendall(packet)
                if publish and self.twice:
                    sink.sendall(bytes([packet[0] | DUP]) + packet[1:])
                    self.repeated += 1
        except OSError:
            pass
        if way == UP:
            with self._lock:
                self.ended += 1
        if way not in connection.dead:
            connection.close()


class _Connection:
    def __init__(self, gateway: socket.socket, broker: socket.socket) -> None:
        self._both = (gateway, broker)
        self.dead: set[str] = set()

    def close(self) -> None:
        for line in self._both:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """RST, not FIN, both ways."""
        for line in self._both:
            with contextlib.suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.close()


def _packet(source: socket.socket) -> bytes:
    """One MQTT packet; nothing at the end of the connection."""
    head = _exactly(source, 1)
    size = shift = 0
    while head:
        head += _exactly(source, 1)
        size |= (head[-1] & 127) << shift
        shift += 7
        if head[-1] < 128:
            return head + _exactly(source, size)
    return b""


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise OSError("the connection ended")
        data += more
    return data
