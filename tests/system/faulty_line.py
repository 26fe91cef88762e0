"""A line between a gateway and its broker that knows MQTT packets, and fails as it is told."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections import deque

UP, DOWN = "up", "down"  # from the gateway, to the gateway
PUBLISH, PUBACK = 3, 4
DUP = 0x08
RTO = 1.0  # seconds, the first of TCP's, which doubles (RFC 6298)
SWAP_WITHIN = 0.5  # seconds
REMEMBERED = 1000  # packets


class FaultyLine:
    """Use as a context manager; the gateway connects to `port`, the line to the broker's.

    stop() lets everything vanish that goes one of the ways, on the connection that is there; a new
    one is good. cut_in() resets the connection in the middle of the next PUBLISH.

    With `twice` each PUBLISH comes twice, with `swapped` after the next one (or alone when none
    comes). `loses`: the share of PUBLISH packets that are acknowledged and vanish, but never two
    of one topic in a row, which bounds how long it takes until all has come. `stalls`: the share of
    packets that TCP has to send again, after its RTO, and again. `bits_per_second`: both
    ways; 0: at once. `packets`: the last ones that came in at one of its ends, (way, packet).

    With `tls` it cannot see packets, and is only slow or stopped.
    """

    def __init__(self, broker_port: int, seed: int = 0, tls: bool = False) -> None:
        self._next = _some if tls else _packet
        self._tls = tls
        self._chance = random.Random(seed)
        self._broker_port = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.twice = False
        self.swapped = False
        self.loses = 0.0
        self.stalls = 0.0
        self.bits_per_second = 0
        self.packets: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self.opened = 0  # connections of the gateway
        self.ended = 0  # of these, those it has closed, or was told are closed
        self.cuts = 0
        self.repeated = 0
        self.swaps = 0
        self.lost = 0
        self.stalled = 0
        self._writing: dict[socket.socket, threading.Lock] = {}
        self._connections: list[_Connection] = []
        self._cut_in = ""
        self._just_lost: set[tuple[str, bytes]] = set()  # way and topic
        self._lock = threading.Lock()

    def __enter__(self) -> FaultyLine:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def stop(self, *ways: str) -> None:
        for connection in list(self._connections):
            connection.dead.update(ways)

    def cut_in(self, way: str) -> None:
        self._cut_in = way

    def _accept(self) -> None:
        while True:
            try:
                gateway, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:  # it is restarting
                gateway.close()
                continue
            with self._lock:
                self.opened += 1
            connection = _Connection(gateway, broker)
            self._connections.append(connection)
            for way, source, sink in ((UP, gateway, broker), (DOWN, broker, gateway)):
                threading.Thread(
                    target=self._forward, args=(connection, way, source, sink), daemon=True
                ).start()

    def _forward(
        self, connection: _Connection, way: str, source: socket.socket, sink: socket.socket
    ) -> None:
        try:
            while packet := self._next(source):
                self.packets.append((way, packet))
                if way in connection.dead:
                    continue
                if self._tls or packet[0] >> 4 != PUBLISH:
                    self._send(sink, packet)
                elif self._cut_in == way:
                    self._cut_in = ""
                    sink.sendall(packet[: len(packet) // 2])
                    self.cuts += 1
                    connection.reset()
                    break
                elif self._is_lost(way, packet):
                    self.lost += 1
                    self._send(source, _puback(packet))
                else:
                    self._publish(connection, way, sink, packet)
        except OSError:
            pass
        if way == UP:
            with self._lock:
                self.ended += 1
        if way not in connection.dead:
            connection.close()

    def _is_lost(self, way: str, packet: bytes) -> bool:
        start = _variable_header(packet)
        kind = (way, packet[start : _packet_identifier(packet)])
        lost = kind not in self._just_lost and self._chance.random() < self.loses
        if lost:
            self._just_lost.add(kind)
        else:
            self._just_lost.discard(kind)
        return lost

    def _publish(
        self, connection: _Connection, way: str, sink: socket.socket, packet: bytes
    ) -> None:
        if self.swapped and connection.keep(way, packet):
            timer = threading.Timer(SWAP_WITHIN, self._send_kept, (connection, way, sink))
            timer.daemon = True
            timer.start()
            return
        self._send(sink, packet)
        if self.twice:
            self._send(sink, bytes([packet[0] | DUP]) + packet[1:])
            self.repeated += 1
        if connection.kept.get(way):
            self.swaps += 1
            self._send_kept(connection, way, sink)

    def _send_kept(self, connection: _Connection, way: str, sink: socket.socket) -> None:
        packet = connection.kept.pop(way, b"")
        if packet:  # else the other one was quicker
            with contextlib.suppress(OSError):
                self._send(sink, packet)

    def _send(self, sink: socket.socket, packet: bytes) -> None:
        again = RTO
        while self._chance.random() < self.stalls:
            self.stalled += 1
            time.sleep(again)
            again *= 2
        piece = self.bits_per_second // 80 or len(packet)  # a tenth of a second's
        with self._writing.setdefault(sink, threading.Lock()):
            for start in range(0, len(packet), piece):
                if self.bits_per_second:
                    time.sleep(piece * 8 / self.bits_per_second)
                sink.sendall(packet[start : start + piece])


class _Connection:
    def __init__(self, gateway: socket.socket, broker: socket.socket) -> None:
        self.both = (gateway, broker)
        self.dead: set[str] = set()
        self.kept: dict[str, bytes] = {}  # of each way, what waits for the next

    def keep(self, way: str, packet: bytes) -> bool:
        """False if one is kept already."""
        return self.kept.setdefault(way, packet) is packet

    def close(self) -> None:
        for line in self.both:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """RST, not FIN, both ways."""
        for line in self.both:
            with contextlib.suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.close()


def _puback(publish: bytes) -> bytes:
    """The answer to a PUBLISH of QoS 1."""
    identifier = _packet_identifier(publish)
    return bytes([PUBACK << 4, 2]) + publish[identifier : identifier + 2]


def _packet_identifier(publish: bytes) -> int:
    """Where it is: behind the topic."""
    start = _variable_header(publish)
    return start + 2 + int.from_bytes(publish[start : start + 2], "big")


def _variable_header(packet: bytes) -> int:
    start = 1
    while packet[start] & 128:
        start += 1
    return start + 1


def _some(source: socket.socket) -> bytes:
    return source.recv(4096)


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
