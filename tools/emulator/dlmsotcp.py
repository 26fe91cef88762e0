"""A PRIME base node offered over TCP; hal/modem/dlmsotcp.py faces it.

Like Microchip's public host software, it has room for five frames, sends one at a time, drops what
it has no room for, and says nothing of any of that. With `broadcasts` False it is like it in this
too: a broadcast goes to all only if it had to wait behind another frame, and then as one of client
0 to logical device 0; else to a node with the number 007F, if there is one.
"""

from __future__ import annotations

import asyncio
from collections import deque

from hal.modem import dlmsotcp as tcp
from hal.modem.wrapper import Unwrapper, wrap
from tools.emulator.prime_network import Node, PrimeNetwork

_ROOM = 5
_MAX_ANSWERING = 64


class DlmsOTcpEmulator(PrimeNetwork):
    """`dropped`: frames there was no room for."""

    dropped = 0
    broadcasts = True  # with the client's SAP, to the management logical device
    _enabled = False  # nobody has connected yet

    def _connected(self) -> None:
        self._unwrapper = Unwrapper()
        self._enabled = False
        self._waiting: deque[tuple[int, int, bytes, bool]] = deque()
        self._sending = False

    def reboot(self) -> None:
        """Restart the base node: it closes the session."""
        self.drop_line()

    def _received(self, data: bytes) -> None:
        try:
            messages = self._unwrapper.feed(data)
        except ValueError:
            self.drop_line()
            return
        for source, destination, body in [] if self.hanging else messages:
            if source == tcp.CONCENTRATOR and destination == tcp.BASE_NODE:
                self._control(body)
            else:
                self._take(source, destination, body)

    def _control(self, body: bytes) -> None:
        if body == bytes([tcp.ENABLE]):
            self._enabled = True
            for node in self.nodes:
                if node.registered:
                    self._joined(node)
        elif len(body) == 3 and body[0] == tcp.DELETE:
            deleted = self.numbered(int.from_bytes(body[1:], "big"))
            if deleted is not None:
                self._left(deleted)
                self._release(deleted)

    def _notify(self, body: bytes) -> None:
        if self._enabled:
            self._say(wrap(tcp.BASE_NODE, tcp.CONCENTRATOR, body))

    def _joined(self, node: Node) -> None:
        name = bytes([len(node.name)]) + node.name
        number = node.number.to_bytes(2, "big")
        self._notify(bytes([tcp.NEW_NODE]) + number + b"\x00\x01" + name + node.eui48)

    def _left(self, node: Node) -> None:
        self._notify(bytes([tcp.NODE_GONE]) + node.number.to_bytes(2, "big"))

    def _arrived(self, node: Node, client_sap: int, server_sap: int, response: bytes) -> None:
        if self._enabled:
            self._say(wrap(node.number, client_sap, response))

    def _take(self, client_sap: int, number: int, apdu: bytes) -> None:
        if len(self._waiting) + self._sending >= _ROOM or len(self._tasks) >= _MAX_ANSWERING:
            self.dropped += 1
            return
        self.requests += 1
        self._waiting.append((client_sap, number, apdu, self._sending))
        if not self._sending:
            self._sending = True
            self._begin(self._send_all())

    async def _send_all(self) -> None:
        waiting = self._waiting
        while waiting:
            client_sap, number, apdu, waited = waiting.popleft()
            if number == tcp.BROADCAST_NODE and (self.broadcasts or waited):
                saps = (client_sap, tcp.SERVER_SAP) if self.broadcasts else (0, 0)
                await self.broadcast(*saps, apdu)
                continue
            node = self.numbered(number)
            if node is None:
                continue
            arrived, _ = await self.deliver(node, len(apdu))
            if arrived:
                self._begin(self.answer(node, client_sap, tcp.SERVER_SAP, apdu))
            await asyncio.sleep(0)
        if waiting is self._waiting:
            self._sending = False
