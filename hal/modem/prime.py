"""PRIME base node over USI: protocol 30 (PRIME API), convergence layer 4-32, the one made for DLMS.

Sans-IO: bytes and milliseconds in, events and bytes out; `hal.modem.attached` gives it a serial
line. Every node is known by its EUI-48 (12 hex digits); the base node speaks of it by a 4-32
address that changes with each registration.

Nodes registered before the gateway started never announce themselves again, so the driver asks for
them: management protocol 06, PIB 8250 (nodes connected at layer 4-32), 30 records at a time:

    06: 0E 8250 max(1) iterator(2)
    07: 0F 8250 records(1) size(1) [iterator(2) address(2) serial(16) serial length(1) EUI48(6)]...

`size` leaves out the iterator; a page shorter than asked for is the last; the next page is asked
for with the last iterator + 1. Source: Microchip's public PRIME host software (DLMSoTCP example);
computed, not seen on a wire. Not in evidence: whether a base node takes more than one data request
for different nodes before the first confirm (its status C2 "previous pending" speaks of one per
node, their example sends one at a time); `in_flight` is therefore a setting.
"""

from __future__ import annotations

from hal.modem import supervisor, usi
from hal.modem.in_flight import InFlight
from hal.modem.prime_nodes import FIRST_RESERVED, NodeTable
from hal.ports import (
    BROADCAST,
    Capabilities,
    Joined,
    Left,
    ModemReset,
    NoRoute,
    PortError,
    Quality,
    Rx,
    TooLong,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.answer import Answer
    from hal.ports import TxDone

    Event = TxDone | Rx | Joined | Left | ModemReset | Answer

MLME_RESET_REQUEST = 0x2B
MLME_RESET_CONFIRM = 0x2C
MLME_GET_REQUEST = 0x2D
MLME_GET_CONFIRM = 0x2E
CL432_RELEASE_REQUEST = 0x35
CL432_DATA_REQUEST = 0x37
CL432_DATA_INDICATION = 0x38
CL432_DATA_CONFIRM = 0x39
CL432_JOIN_INDICATION = 0x3A
CL432_LEAVE_INDICATION = 0x3B
NETWORK_EVENT = 0x4F

LIST_QUERY = 0x0E
LIST_RESPONSE = 0x0F
PIB_432_NODES = 0x8250
PIB_MAC_STATE = 0x0024
LIST_PAGE = 30
LIST_RECORD = 25  # address, serial, its length, EUI-48: what we need of a record

EVENT_UNREGISTER = 1
EVENT_REBOOT = 5

STATUS_OK = 0x00
STATUS_TIMEOUT = 0x02
STATUS_BAD_ADDRESS = 0xC0
STATUS_PREVIOUS_PENDING = 0xC2

BROADCAST_ID = 0x0FFF
MAX_PAYLOAD = 1021


class Prime:
    """Driver of one base node. Address text: EUI-48 as 12 lower-case hex digits."""

    def __init__(
        self,
        in_flight: int = 4,
        confirm_ms: int = 60000,
        silence_ms: int = 60000,
        answer_ms: int = 5000,
        refresh_ms: int = 900000,
    ) -> None:
        """in_flight: requests before the first confirm. confirm_ms: how long one may take.
        silence_ms: after this long without a frame the modem is asked for a sign of life.
        answer_ms: how long it has for an answer. refresh_ms: how often the node list is read
        anew."""
        self.capabilities = Capabilities(
            "plc",
            MAX_PAYLOAD,
            MAX_PAYLOAD,
            in_flight,
            joins=True,
            addresses="eui48",
            confirmed=True,
            node_list=True,
        )
        self._confirm_ms = confirm_ms
        self._supervisor = supervisor.Supervisor(silence_ms, answer_ms)
        self._answer_ms = answer_ms
        self._refresh_ms = refresh_ms
        self._parser = usi.Parser()
        self._outgoing = bytearray()
        self._events: list[Event] = []
        self._nodes = NodeTable()
        self._in_flight = InFlight(in_flight)  # by node number
        self._walking = False  # the base node's list is being read
        self._walk_iterator = 0
        self._walk_deadline = 0
        self._walk_tries = 0
        self._next_walk = 0
        self._received = 0
        self._resets = 0
        self._malformed = 0
        self._unknown_command = 0
        self._unexpected_confirm = 0
        self._stranger = 0
        self._table_full = 0
        self._list_unanswered = 0

    # What the runner calls

    @property
    def dead(self) -> bool:
        """The modem does not answer, not even to a reset."""
        return self._supervisor.dead

    def start(self, now_ms: int) -> None:
        """The line is open (anew): forget the state of the modem before and ask for its nodes."""
        self._parser.reset()
        self._outgoing = bytearray()
        self._forget()
        self._supervisor.heard(now_ms)
        self._begin_walk(now_ms)

    def feed(self, data: bytes, now_ms: int) -> None:
        for frame in self._parser.feed(data):
            self._supervisor.heard(now_ms)
            if frame.protocol == usi.PRIME_API:
                self._api(frame.data, now_ms)
            elif frame.protocol == usi.PRIME_GET_RESPONSE_ENHANCED:
                self._list_response(frame.data, now_ms)
            else:
                self._unknown_command += 1

    def tick(self, now_ms: int) -> None:
        self._events += self._in_flight.expire(now_ms, STATUS_TIMEOUT)
        if not self._walking:
            if now_ms >= self._next_walk:
                self._begin_walk(now_ms)
        elif now_ms >= self._walk_deadline:
            if self._walk_tries < 3:
                self._ask_list(now_ms)
            else:
                self._list_unanswered += 1
                self._walking = False
                self._next_walk = now_ms + self._refresh_ms
        step = self._supervisor.step(now_ms)
        if step == supervisor.PROBE:
            probe = bytes([MLME_GET_REQUEST]) + PIB_MAC_STATE.to_bytes(2, "big")
            self._write(usi.PRIME_API, probe)
        elif step == supervisor.RESET:
            self.reset(now_ms)

    def due_ms(self, now_ms: int) -> int:
        """Milliseconds until tick() has something to do; at least 1."""
        due = self._walk_deadline if self._walking else self._next_walk
        return max(1, self._in_flight.due_ms(min(due, self._supervisor.due_ms())) - now_ms)

    def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        now_ms: int,
        route: list[str] | None = None,
    ) -> int:
        """Queue one data request; returns its handle. Busy, TooLong or NoRoute."""
        if len(data) > MAX_PAYLOAD:
            raise TooLong("PRIME takes %d bytes a frame, not %d" % (MAX_PAYLOAD, len(data)))
        if not (0 <= source_sap <= 0xFF and 0 <= destination_sap <= 0xFF):
            raise ValueError("PRIME SAPs are 0..255, not %d, %d" % (source_sap, destination_sap))
        node = BROADCAST_ID if address == BROADCAST else self._nodes.node(address)
        if node is None:
            raise NoRoute("no PRIME node %s is registered" % address)
        handle = self._in_flight.begin(node, now_ms, self._confirm_ms)
        request = bytearray((CL432_DATA_REQUEST, destination_sap, source_sap))
        request += node.to_bytes(2, "big")
        request += len(data).to_bytes(2, "big")
        request += data
        request.append(0)  # link class: not used
        self._write(usi.PRIME_API, bytes(request))
        return handle

    def discover(self, now_ms: int) -> None:
        """Read the base node's list of nodes anew."""
        if not self._walking:
            self._begin_walk(now_ms)

    def kick(self, address: str, now_ms: int) -> None:
        """Release the node's 4-32 connection: it registers anew."""
        node = self._nodes.node(address)
        if node is None:
            raise NoRoute("no PRIME node %s is registered" % address)
        self._write(usi.PRIME_API, bytes([CL432_RELEASE_REQUEST]) + node.to_bytes(2, "big"))

    def get(self, parameter: str, now_ms: int) -> int:
        raise PortError("PRIME: there is no parameter %r" % parameter)

    def set(self, parameter: str, value: bytes, now_ms: int) -> int:
        return self.get(parameter, now_ms)

    def reset(self, now_ms: int) -> None:
        """Reset the base node: the whole network registers anew, which takes a while."""
        self._resets += 1
        self._write(usi.PRIME_API, bytes([MLME_RESET_REQUEST]))

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events = self._events
        self._events = []
        return events

    def outgoing(self) -> bytes:
        """Bytes for the line since the last call."""
        data = bytes(self._outgoing)
        self._outgoing = bytearray()
        return data

    def nodes(self) -> list[str]:
        return self._nodes.addresses()

    def statistics(self) -> dict[str, int]:
        parser = self._parser
        return {
            "sent": self._in_flight.sent,
            "received": self._received,
            "failed": self._in_flight.failed,
            "resets": self._resets,
            "bad-crc": parser.bad_crc,
            "bad-length": parser.bad_length,
            "bad-escape": parser.bad_escape,
            "too-long": parser.too_long,
            "unknown-protocol": parser.unknown_protocol,
            "unknown-command": self._unknown_command,
            "malformed": self._malformed,
            "unexpected-confirm": self._unexpected_confirm + self._in_flight.unexpected,
            "stranger": self._stranger,
            "table-full": self._table_full,
            "list-unanswered": self._list_unanswered,
        }

    # What the base node says

    def _api(self, data: bytes, now_ms: int) -> None:
        command = data[0] if data else -1
        size = len(data)
        if command == CL432_DATA_INDICATION:
            self._indication(data, now_ms)
        elif command == CL432_DATA_CONFIRM and size == 6:
            node = int.from_bytes(data[3:5], "big")
            self._events += self._in_flight.confirm(node, data[5])
        elif command == CL432_JOIN_INDICATION:
            # Newer firmware sends eight bytes of which six are the EUI-48; `ae` may be absent.
            after = 2 + data[1] if size >= 2 else size
            if size < after + 8:
                self._malformed += 1
            else:
                self._joined(int.from_bytes(data[after : after + 2], "big"), data[after + 2 :][:6])
        elif command == CL432_LEAVE_INDICATION and size == 3:
            self._left(int.from_bytes(data[1:3], "big"))
        elif command == NETWORK_EVENT and size >= 8:
            if data[1] == EVENT_REBOOT:
                self._restarted(now_ms)
            elif data[1] == EVENT_UNREGISTER:
                self._left(self._nodes.node(data[2:8].hex()))
        elif command == MLME_RESET_CONFIRM:
            self._restarted(now_ms)
        elif command != MLME_GET_CONFIRM:
            known = (CL432_DATA_CONFIRM, CL432_LEAVE_INDICATION, NETWORK_EVENT)
            if command in known:
                self._malformed += 1
            else:
                self._unknown_command += 1

    def _indication(self, data: bytes, now_ms: int) -> None:
        length = int.from_bytes(data[7:9], "big")
        if len(data) < 10 or len(data) != 10 + length:
            self._malformed += 1
            return
        address = self._nodes.address(int.from_bytes(data[5:7], "big"))
        if address is None:
            self._stranger += 1
            if not self._walking:
                # Its join was missed; not more often than once in `answer_ms`.
                self._next_walk = min(self._next_walk, now_ms + self._answer_ms)
            return
        self._received += 1
        self._events.append(Rx(address, data[2], data[1], data[9 : 9 + length], Quality()))

    def _joined(self, node: int, eui48: bytes) -> None:
        if node >= FIRST_RESERVED or eui48 == bytes(6):
            return  # the broadcast connection shows up like a node
        self._nodes.mark(node)
        address = eui48.hex()
        if self._nodes.address(node) == address:
            return
        self._left(node)
        self._left(self._nodes.node(address))
        if self._nodes.put(node, address):
            self._events.append(Joined(address))
        else:
            self._table_full += 1

    def _left(self, node: int | None) -> None:
        address = None if node is None else self._nodes.remove(node)
        if node is None or address is None:
            return
        self._events += self._in_flight.fail(node, STATUS_BAD_ADDRESS)
        self._events.append(Left(address))

    def _restarted(self, now_ms: int) -> None:
        self._forget()
        self._events.append(ModemReset())
        self._begin_walk(now_ms)

    def _forget(self) -> None:
        self._nodes.clear()
        self._in_flight.clear()
        self._walking = False

    # The list of nodes registered before we listened

    def _begin_walk(self, now_ms: int) -> None:
        self._walking = True
        self._nodes.unmark()
        self._walk_iterator = 0
        self._walk_tries = 0
        self._ask_list(now_ms)

    def _ask_list(self, now_ms: int) -> None:
        self._walk_tries += 1
        self._walk_deadline = now_ms + self._answer_ms
        query = bytearray((LIST_QUERY, PIB_432_NODES >> 8, PIB_432_NODES & 0xFF, LIST_PAGE))
        query += self._walk_iterator.to_bytes(2, "big")
        self._write(usi.PRIME_GET_QUERY_ENHANCED, bytes(query))

    def _list_response(self, data: bytes, now_ms: int) -> None:
        if len(data) < 5 or data[0] != LIST_RESPONSE:
            self._malformed += 1
            return
        if int.from_bytes(data[1:3], "big") != PIB_432_NODES or not self._walking:
            self._unexpected_confirm += 1
            return
        records = data[3]
        size = 2 + data[4]
        if records and (size < 2 + LIST_RECORD or len(data) < 5 + records * size):
            self._malformed += 1
            return
        iterator = -1
        for index in range(records):
            record = data[5 + index * size :][:size]
            iterator = int.from_bytes(record[:2], "big")
            self._joined(int.from_bytes(record[2:4], "big"), record[21:27])
        if records >= LIST_PAGE and self._walk_iterator <= iterator < 0x7FFF:
            self._walk_iterator = iterator + 1
            self._walk_tries = 0
            self._ask_list(now_ms)
            return
        self._walking = False
        self._next_walk = now_ms + self._refresh_ms
        for node in self._nodes.unmarked():
            self._left(node)

    def _write(self, protocol: int, data: bytes) -> None:
        self._outgoing += usi.frame(protocol, data)
