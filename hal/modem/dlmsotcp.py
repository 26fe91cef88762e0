"""DLMSoTCP: how a PRIME base node is offered over TCP, usually to port 4059.

Every message has the DLMS wrapper's header: 0001 | source(2) | destination(2) | size(2) | data.

    concentrator to base node      source       destination
      APDU for a node              client SAP   node         0000 to 0FFD, but see below
      APDU for all                 client SAP   007F
      03                           1            0            tell of the nodes: those there, and
                                                             those that come and go
      04 node(2)                   1            0            delete: release its connection
    base node to concentrator
      APDU from a node             node         client SAP
      01 node(2) flags(2) size     0            1            a node is there
         id EUI48(6)
      02 node(2)                   0            1            it has gone

The server SAP does not travel: it is 1. A node with the number 007F cannot be told from a broadcast
and is not spoken to. Source: Microchip's public PRIME host software; computed, not seen on a wire.

In that host software itself a broadcast does not work, in both of its versions: one that finds
nothing before it goes to the node 007F, not to all, and one that had to wait goes out as of client
0, to logical device 0. Nor does it say so. Whether a host does better, only meters can tell; a
campaign asks a few of them before it sends much (gateway/activities/image/blocks.py).

The base node confirms nothing: it has room for five messages, sends one after the other, and drops
what it has no room for. So a frame counts as under way until its node answers, or for `hold_ms`
and those of the frames before it; its TxDone says no more. Nor does the base node answer anything
but 03, with one message for each node, which is therefore the sign of life; a network without nodes
is silent and cannot be told from a base node that hangs. It cannot be restarted from here: reset()
opens the session anew.
"""

from __future__ import annotations

from hal.modem import supervisor
from hal.modem.in_flight import InFlight
from hal.modem.prime.nodes import FIRST_RESERVED, NodeTable
from hal.modem.sans_io import SansIo, check_size
from hal.modem.wrapper import Unwrapper, wrap
from hal.ports import (
    BROADCAST,
    Capabilities,
    Joined,
    Left,
    NoRoute,
    PortError,
    Quality,
    Rx,
)

BASE_NODE = 0
CONCENTRATOR = 1
BROADCAST_NODE = 0x007F
SERVER_SAP = 1

NEW_NODE = 0x01
NODE_GONE = 0x02
ENABLE = 0x03
DELETE = 0x04

MAX_PAYLOAD = 1021  # of layer 4-32
_MOST_IN_FLIGHT = 5
_TCP_FRAME = 2048  # longest data taken for a message, of whatever kind


class DlmsOTcp(SansIo):
    """Driver of one base node. Addresses: EUI-48 as 12 lower-case hex digits."""

    def __init__(
        self,
        in_flight: int = 4,
        hold_ms: int = 5000,
        silence_ms: int = 300000,
        answer_ms: int = 10000,
        broadcast_ms: int = 2000,
    ) -> None:
        """in_flight: at most 5. hold_ms: how long a frame may be under way, repetitions of the link
        layer included; broadcast_ms: the same of a broadcast, which is not repeated. silence_ms:
        after so long without a message the nodes are listed anew. answer_ms: how long that may
        take."""
        if not 1 <= in_flight <= _MOST_IN_FLIGHT:
            raise ValueError("DLMSoTCP: a base node has room for 1..5 frames, not %d" % in_flight)
        super().__init__()
        self.capabilities = Capabilities(
            "plc",
            MAX_PAYLOAD,
            MAX_PAYLOAD,
            in_flight,
            joins=True,
            addresses="eui48",
            node_list=True,
        )
        self._hold_ms = hold_ms
        self._broadcast_ms = broadcast_ms
        self._supervisor = supervisor.Supervisor(silence_ms, answer_ms)
        self._unwrapper = Unwrapper(_TCP_FRAME)
        self._nodes = NodeTable()
        self._in_flight = InFlight(in_flight)  # by node
        self._given_up = False  # the session has to be opened anew
        names = "received resets malformed unknown-command stranger table-full unreachable"
        self._counts = dict.fromkeys(names.split(), 0)

    @property
    def dead(self) -> bool:
        """The session is of no use any more."""
        return self._given_up or self._supervisor.dead

    def start(self, now_ms: int) -> None:
        """The session is open (anew): the base node's list begins."""
        self._unwrapper = Unwrapper(_TCP_FRAME)
        self._outgoing = bytearray()
        self._nodes.clear()
        self._in_flight.clear()
        self._given_up = False
        self._supervisor.heard(now_ms)
        self.discover(now_ms)

    def feed(self, data: bytes, now_ms: int) -> None:
        if self._given_up:
            return
        try:
            messages = self._unwrapper.feed(data)
        except ValueError:
            # There is no telling where the next message begins.
            self._counts["malformed"] += 1
            self._given_up = True
            return
        for source, destination, body in messages:
            self._supervisor.heard(now_ms)
            if source == BASE_NODE and destination == CONCENTRATOR:
                self._said(body)
            else:
                self._received(source, destination, body)

    def tick(self, now_ms: int) -> None:
        self._events += self._in_flight.expire(now_ms, 0)
        if not len(self._nodes):
            self._supervisor.heard(now_ms)
        step = self._supervisor.step(now_ms)
        if step == supervisor.PROBE:
            self.discover(now_ms)
        elif step == supervisor.RESET:
            self.reset(now_ms)

    def due_ms(self, now_ms: int) -> int:
        """Milliseconds until tick() has something to do; at least 1."""
        return max(1, self._in_flight.due_ms(self._supervisor.due_ms()) - now_ms)

    def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        now_ms: int,
        route: list[str] | None = None,
    ) -> int:
        """Queue one frame; returns its handle. Busy, TooLong or NoRoute: so it is, too, when a node
        is meant at another server SAP than DLMSoTCP has."""
        check_size("PRIME", len(data), MAX_PAYLOAD)
        if not 0 < source_sap <= 0xFF:
            raise ValueError("DLMSoTCP client SAPs are 1..255, not %d" % source_sap)
        hold_ms = self._hold_ms
        if address == BROADCAST:
            node, hold_ms = BROADCAST_NODE, self._broadcast_ms
        elif destination_sap != SERVER_SAP:
            raise NoRoute("DLMSoTCP reaches SAP %d only, not %d" % (SERVER_SAP, destination_sap))
        else:
            node = self._node(address)
        before = len(self._in_flight)  # those go first
        handle = self._in_flight.begin(node, now_ms, before * self._hold_ms + hold_ms)
        self._outgoing += wrap(source_sap, node, data)
        return handle

    def discover(self, now_ms: int) -> None:
        """Have the base node list its nodes."""
        self._control(bytes([ENABLE]))

    def kick(self, address: str, now_ms: int) -> None:
        """Have the node's connection released, so that it connects anew. NoRoute."""
        self._control(bytes([DELETE]) + self._node(address).to_bytes(2, "big"))

    def get(self, parameter: str, now_ms: int) -> int:
        raise PortError("DLMSoTCP has no parameters, not %r either" % parameter)

    def set(self, parameter: str, value: bytes, now_ms: int) -> int:
        return self.get(parameter, now_ms)

    def reset(self, now_ms: int) -> None:
        """Open the session anew."""
        self._counts["resets"] += 1
        self._given_up = True

    def nodes(self) -> list[str]:
        return self._nodes.addresses()

    def statistics(self) -> dict[str, int]:
        counts = dict(self._counts)
        counts["sent"] = self._in_flight.sent
        counts["failed"] = self._in_flight.failed
        return counts

    def _node(self, address: str) -> int:
        node = self._nodes.node(address)
        if node is None:
            raise NoRoute("no PRIME node %s is registered" % address)
        if node == BROADCAST_NODE:
            raise NoRoute("DLMSoTCP cannot address node 7F, which %s is" % address)
        return node

    def _control(self, command: bytes) -> None:
        self._outgoing += wrap(CONCENTRATOR, BASE_NODE, command)

    # What the base node says

    def _said(self, body: bytes) -> None:
        command = body[0] if body else -1
        if command == NEW_NODE:
            size = 6 + body[5] if len(body) > 5 else len(body)
            if len(body) < size + 6:
                self._counts["malformed"] += 1
            else:
                self._joined(int.from_bytes(body[1:3], "big"), body[size : size + 6])
        elif command == NODE_GONE and len(body) == 3:
            self._left(int.from_bytes(body[1:3], "big"))
        elif command == NODE_GONE:
            self._counts["malformed"] += 1
        else:
            self._counts["unknown-command"] += 1

    def _received(self, node: int, client_sap: int, apdu: bytes) -> None:
        address = self._nodes.address(node)
        if address is None:
            self._counts["stranger"] += 1
            return
        self._counts["received"] += 1
        self._events += self._in_flight.fail(node, 0)
        self._events.append(Rx(address, SERVER_SAP, client_sap, apdu, Quality()))

    def _joined(self, node: int, eui48: bytes) -> None:
        if node >= FIRST_RESERVED or eui48 == bytes(6):
            self._counts["stranger"] += 1
            return
        address = eui48.hex()
        if self._nodes.address(node) == address:
            return
        self._left(node)
        self._left(self._nodes.node(address))
        if not self._nodes.put(node, address):
            self._counts["table-full"] += 1
            return
        self._events.append(Joined(address))
        if node == BROADCAST_NODE:
            self._counts["unreachable"] += 1

    def _left(self, node: int | None) -> None:
        address = None if node is None else self._nodes.remove(node)
        if node is None or address is None:
            return
        self._events += self._in_flight.fail(node, 1)
        self._events.append(Left(address))
