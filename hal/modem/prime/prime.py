"""PRIME base node over USI: protocol 30 (PRIME API), convergence layer 4-32, the one made for DLMS.

Sans-IO: bytes and milliseconds in, events and bytes out; `hal.modem.attached` gives it a serial
line. Every node is known by its EUI-48 (12 hex digits); the base node speaks of it by a 4-32
address that changes with each registration. What travels is in hal/modem/prime/api.py.

Not in evidence: whether a base node takes more than one data request for different nodes before the
first confirm (its status C2 "previous pending" speaks of one per node, the public example sends one
at a time); `in_flight` is therefore a setting. That a broadcast is confirmed like any other request
(the public example expects it). That a node whose 4-32 connection is released connects anew, which
kick() relies on: PRIME nodes keep theirs open by themselves, and Microchip's own interface for
concentrators deletes a node this way. The PIB actions that unregister a node altogether (006D, or
006E in older firmware) differ between versions; set() sends them to a base node one knows.
"""

from __future__ import annotations

from hal.modem import supervisor, usi
from hal.modem.answer import Question
from hal.modem.in_flight import InFlight
from hal.modem.prime import api
from hal.modem.prime.nodes import FIRST_RESERVED, NodeTable
from hal.modem.prime.topology import Topology
from hal.modem.prime.walk import Walk
from hal.modem.sans_io import SansIo, check_saps, check_size
from hal.ports import (
    BROADCAST,
    Capabilities,
    Joined,
    Left,
    ModemReset,
    NoRoute,
    PortError,
    Rx,
)

_MAX_KICKED = 32  # releases that are not confirmed
_MOST_ANNOUNCED = 64  # nodes whose switch is told, and whose connection is still to come
_RESET_TRIES = 3


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


class Prime(SansIo):
    """Driver of one base node. Addresses: EUI-48 as 12 lower-case hex digits. Parameters: PIB
    attributes as 4 hex digits, "0024"; the lists 0050 to 005A come as the base node packs them."""

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
        super().__init__()
        self.capabilities = Capabilities(
            "plc",
            api.MAX_PAYLOAD,
            api.MAX_PAYLOAD,
            in_flight,
            joins=True,
            addresses="eui48",
            confirmed=True,
            node_list=True,
        )
        self._confirm_ms = confirm_ms
        self._answer_ms = answer_ms
        self._supervisor = supervisor.Supervisor(silence_ms, answer_ms)
        self._parser = usi.Parser()
        self._nodes = NodeTable()
        self._topology = Topology()
        self._walk = Walk(self._nodes, answer_ms, refresh_ms)
        self._in_flight = InFlight(in_flight)  # by node
        # Address: switch that it hangs on; the event of it comes before the node's connection.
        self._announced: dict[str, int] = {}
        self._question = Question()  # by command, and PIB where the answer tells
        self._kicked: list[int] = []
        self._resetting = False  # a reset was asked for, by us or by the supervisor
        self._reset_tries = 0  # how often it was, by us
        self._reset_due = 0
        self._network_events = [0] * len(api.EVENTS)
        names = "received resets table-full malformed unknown-command other-protocol unasked"
        names += " stranger unknown-event kick-refused reset-refused"
        self._counts = dict.fromkeys(names.split(), 0)

    # What the runner calls

    @property
    def dead(self) -> bool:
        """The modem does not answer, not even to a reset."""
        return self._supervisor.dead or self._reset_tries > _RESET_TRIES

    def start(self, now_ms: int) -> None:
        """The line is open (anew): forget the state of the modem before and ask for its nodes."""
        self._parser.reset()
        self._outgoing = bytearray()
        self._forget()
        self._supervisor.heard(now_ms)
        self._query(self._walk.begin(now_ms))

    def feed(self, data: bytes, now_ms: int) -> None:
        for frame in self._parser.feed(data):
            self._supervisor.heard(now_ms)
            if frame.protocol == usi.PRIME_API:
                self._said(frame.data, now_ms)
            elif frame.protocol == usi.PRIME_GET_RESPONSE_ENHANCED:
                self._listed(frame.data, now_ms)
            else:
                self._counts["other-protocol"] += 1

    def tick(self, now_ms: int) -> None:
        self._events += self._in_flight.expire(now_ms, api.STATUS_TIMEOUT)
        self._query(self._walk.tick(now_ms))
        if self._reset_tries and now_ms >= self._reset_due:
            self.reset(now_ms)
        step = self._supervisor.step(now_ms)
        if step == supervisor.PROBE:
            self._command(bytes([api.MLME_GET_REQUEST]) + api.PIB_MAC_STATE.to_bytes(2, "big"))
        elif step == supervisor.RESET:
            self._ask_reset()

    def due_ms(self, now_ms: int) -> int:
        """Milliseconds until tick() has something to do; at least 1."""
        due = min(self._walk.due_ms, self._supervisor.due_ms())
        if self._reset_tries:
            due = min(due, self._reset_due)
        return max(1, self._in_flight.due_ms(due) - now_ms)

    def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        now_ms: int,
        route: list[str] | None = None,
    ) -> int:
        """Queue one data request; returns its handle. Busy, TooLong or NoRoute; the base node
        routes by itself."""
        check_size("PRIME", len(data), api.MAX_PAYLOAD)
        check_saps("PRIME", source_sap, destination_sap)
        node = api.BROADCAST_NODE if address == BROADCAST else self._registered(address)
        handle = self._in_flight.begin(node, now_ms, self._confirm_ms)
        request = bytearray((api.CL432_DATA_REQUEST, destination_sap, source_sap))
        request += node.to_bytes(2, "big")
        request += len(data).to_bytes(2, "big")
        request += data
        request.append(0)  # link class: not used
        self._command(request)
        return handle

    def discover(self, now_ms: int) -> None:
        """Read the base node's list of nodes anew."""
        if not self._walk.active:
            self._query(self._walk.begin(now_ms))

    def kick(self, address: str, now_ms: int) -> None:
        """Release the node's 4-32 connection, so that it connects anew. NoRoute."""
        node = self._registered(address)
        self._kicked = self._kicked[1 - _MAX_KICKED :]
        self._kicked.append(node)
        self._command(bytes([api.CL432_RELEASE_REQUEST]) + node.to_bytes(2, "big"))

    def get(self, parameter: str, now_ms: int) -> int:
        pib = api.pib(parameter)
        listed = pib in api.PIB_MAC_LISTS
        request = api.MLME_LIST_GET_REQUEST if listed else api.MLME_GET_REQUEST
        self._command(bytes([request]) + pib.to_bytes(2, "big"))
        return self._question.ask((request + 1, pib))

    def set(self, parameter: str, value: bytes, now_ms: int) -> int:
        if len(value) > 0xFF:
            raise PortError("PRIME PIB values have at most 255 bytes, not %d" % len(value))
        pib = api.pib(parameter).to_bytes(2, "big")
        self._command(bytes([api.MLME_SET_REQUEST]) + pib + bytes([len(value)]) + value)
        return self._question.ask((api.MLME_SET_CONFIRM, 0))

    def reset(self, now_ms: int) -> None:
        """Reset the base node: the whole network registers anew, which takes a while. Asked for
        three times; a base node that never confirms is given up as dead."""
        self._reset_tries += 1
        self._reset_due = now_ms + self._answer_ms
        if self._reset_tries <= _RESET_TRIES:
            self._ask_reset()

    def nodes(self) -> list[str]:
        return self._nodes.addresses()

    def statistics(self) -> dict[str, int]:
        counts = dict(self._counts)
        counts["sent"] = self._in_flight.sent
        counts["failed"] = self._in_flight.failed
        counts["unasked"] += self._in_flight.unexpected
        counts.update(self._parser.damage())
        counts["list-unanswered"] = self._walk.unanswered
        for kind in range(len(api.EVENTS)):
            counts[api.EVENTS[kind]] = self._network_events[kind]
        return counts

    # What the base node says

    def _said(self, data: bytes, now_ms: int) -> None:
        command = data[0] if data else -1
        if command not in api.ANSWERS:
            self._counts["unknown-command"] += 1
        elif not self._understood(command, data, now_ms):
            self._counts["malformed"] += 1

    def _understood(self, command: int, data: bytes, now_ms: int) -> bool:
        """False when the frame is not as long as it should be."""
        size = len(data)
        if command == api.CL432_DATA_INDICATION:
            return self._received(data, now_ms)
        if command == api.CL432_DATA_CONFIRM and size == 6:
            self._events += self._in_flight.confirm(_u16(data, 3), data[5])
        elif command == api.CL432_JOIN_INDICATION:
            # Newer firmware sends eight bytes of which six are the EUI-48; `ae` may be absent.
            after = 2 + data[1] if size >= 2 else size
            if size < after + 8:
                return False
            self._joined(_u16(data, after), data[after + 2 :][:6])
        elif command == api.CL432_LEAVE_INDICATION and size == 3:
            self._left(_u16(data, 1))
        elif command == api.CL432_RELEASE_CONFIRM and size == 4:
            self._released(_u16(data, 1), data[3])
        elif command == api.NETWORK_EVENT and size >= api.EVENT_SIZE:
            self._network_event(data, now_ms)
        elif command == api.MLME_RESET_CONFIRM and size == 2:
            self._reset_confirmed(data[1], now_ms)
        elif command == api.MLME_SET_CONFIRM and size == 2:
            self._answered((command, 0), data[1], b"")
        elif command == api.MLME_GET_CONFIRM and size >= 5 and size == 5 + data[4]:
            self._answered((command, _u16(data, 2)), data[1], data[5:])
        elif command == api.MLME_LIST_GET_CONFIRM and size >= 6 and size == 6 + _u16(data, 4):
            self._answered((command, _u16(data, 2)), data[1], data[6:])
        else:
            return False
        return True

    def _received(self, data: bytes, now_ms: int) -> bool:
        length = _u16(data, 7)
        if len(data) < 10 or len(data) != 10 + length:
            return False
        node = _u16(data, 5)
        address = self._nodes.address(node)
        if address is None:
            self._counts["stranger"] += 1
            self._walk.hurry(now_ms)  # its join was missed
            return True
        self._counts["received"] += 1
        quality = self._topology.quality(node)
        self._events.append(Rx(address, data[2], data[1], data[9 : 9 + length], quality))
        return True

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
            switch = self._announced.pop(address, None)
            if switch is not None:
                self._topology.placed(node, switch)
            self._events.append(Joined(address))
        else:
            self._counts["table-full"] += 1

    def _left(self, node: int | None) -> None:
        address = None if node is None else self._nodes.remove(node)
        if node is None or address is None:
            return
        self._topology.forget(node)
        self._events += self._in_flight.fail(node, api.STATUS_BAD_ADDRESS)
        self._events.append(Left(address))

    def _released(self, node: int, result: int) -> None:
        if node not in self._kicked:
            self._counts["unasked"] += 1
            return
        self._kicked.remove(node)
        if result == 0:
            self._left(node)
        else:
            self._counts["kick-refused"] += 1

    def _network_event(self, data: bytes, now_ms: int) -> None:
        kind = data[1]
        if kind >= len(api.EVENTS):
            self._counts["unknown-event"] += 1
            return
        self._network_events[kind] += 1
        if kind == api.EVENT_REBOOT:
            self._restarted(now_ms)
            return
        node = self._nodes.node(data[2:8].hex())
        sid = data[8]
        lsid = data[11]
        if kind == api.EVENT_UNREGISTER:
            self._left(node)
            return
        if kind == api.EVENT_PROMOTE:
            self._topology.switched(lsid, sid)
        elif kind == api.EVENT_DEMOTE:
            self._topology.switched(lsid, None)
        if node is not None:
            self._topology.placed(node, sid)
            if kind == api.EVENT_ALIVE:
                self._topology.alive(node, data[12], data[13])
        elif len(self._announced) < _MOST_ANNOUNCED:
            self._announced[data[2:8].hex()] = sid
        else:
            self._announced.clear()  # of nodes that never came

    def _answered(self, key: tuple[int, int], result: int, value: bytes) -> None:
        answers = (
            self._question.answer(key, value)
            if result == 0
            else self._question.answer(key, None, "refused: " + api.mlme_result(result))
        )
        self._events += answers
        if not answers and key != (api.MLME_GET_CONFIRM, api.PIB_MAC_STATE):  # our sign of life
            self._counts["unasked"] += 1

    def _reset_confirmed(self, result: int, now_ms: int) -> None:
        if not self._resetting:
            self._counts["unasked"] += 1
        elif result != 0:
            self._resetting = False
            self._reset_tries = 0
            self._counts["reset-refused"] += 1
        else:
            self._restarted(now_ms)

    def _restarted(self, now_ms: int) -> None:
        self._forget()
        self._events.append(ModemReset())
        self._query(self._walk.begin(now_ms))

    def _forget(self) -> None:
        self._nodes.clear()
        self._topology.clear()
        self._announced.clear()
        self._in_flight.clear()
        self._kicked = []
        self._resetting = False
        self._reset_tries = 0

    def _listed(self, data: bytes, now_ms: int) -> None:
        try:
            page = self._walk.answer(data, now_ms)
        except ValueError:
            self._counts["malformed"] += 1
            return
        if page is None:
            self._counts["unasked"] += 1
            return
        nodes, query = page
        for node, eui48 in nodes:
            self._joined(node, eui48)
        if query:
            self._query(query)
        else:
            for node in self._nodes.unmarked():
                self._left(node)

    # What is said to it

    def _registered(self, address: str) -> int:
        node = self._nodes.node(address)
        if node is None:
            raise NoRoute("no PRIME node %s is registered" % address)
        return node

    def _ask_reset(self) -> None:
        self._resetting = True
        self._counts["resets"] += 1
        self._command(bytes([api.MLME_RESET_REQUEST]))

    def _command(self, data: bytes | bytearray) -> None:
        if data:
            self._outgoing += usi.frame(usi.PRIME_API, bytes(data))

    def _query(self, data: bytes) -> None:
        if data:
            self._outgoing += usi.frame(usi.PRIME_GET_QUERY_ENHANCED, data)
