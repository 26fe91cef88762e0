"""The attacker between the broker and the concentrator: holds messages back, brings them in another
order, and says to the concentrator what no broker says.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from tests.system.faulty_line import FaultyLine, _packet_identifier, _puback, _variable_header

SUBACK = 9


class HostileLine(FaultyLine):
    """`poison`: sent to the concentrator on each connection, as soon as it has subscribed."""

    def __init__(self, broker_port: int) -> None:
        super().__init__(broker_port)
        self.poison = b""
        self._names: tuple[str, ...] = ()
        self._held: list[tuple[socket.socket, bytes]] = []

    def hold(self, *names: str) -> None:
        """Messages on these topics are acknowledged and go no further, both ways."""
        self._names = names

    def held(self, name: str) -> int:
        """How many of this topic."""
        return len([packet for _, packet in list(self._held) if _name(packet) == name])

    def release(self) -> None:
        """All that was held goes where it was going, the newest first."""
        self._names = ()
        held, self._held = self._held[::-1], []
        for sink, packet in held:
            with contextlib.suppress(OSError):
                self._send(sink, packet)

    def cut(self) -> None:
        """The connection that is there ends."""
        for connection in self._connections[-1:]:
            connection.close()

    def _publish(self, connection: Any, way: str, sink: socket.socket, packet: bytes) -> None:
        if _name(packet) not in self._names:
            super()._publish(connection, way, sink, packet)
            return
        self._held.append((sink, packet))
        for source in connection.both:
            if source is not sink:
                self._send(source, _puback(packet))

    def _send(self, sink: socket.socket, packet: bytes) -> None:
        super()._send(sink, packet)
        if self.poison and packet[0] >> 4 == SUBACK:
            super()._send(sink, self.poison)


def _name(publish: bytes) -> str:
    """At its topic's end."""
    topic = publish[_variable_header(publish) + 2 : _packet_identifier(publish)]
    return topic.decode().rsplit("/", 1)[1]
