"""A PRIME base node, seen from the serial line; hal/modem/prime/prime.py faces it."""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem import usi
from hal.modem.prime import api
from hal.modem.prime import walk as prime_walk
from hal.sim.channel import Channel
from tools.emulator.air import Meter, Time
from tools.emulator.prime_network import Node, PrimeNetwork

_MAX_QUEUED = 64
_BASE_NODE_SID = 0
_NO_SWITCH = 0xFF
_MAX_SWITCHES = 254
_ALIVE_SIZE = 8
_DONE, _NO_SUCH_DEVICE, _NO_SUCH_ATTRIBUTE, _READ_ONLY = 0, 4, 11, 13

PIB_MAC_MIN_SWITCH_SEARCH_TIME = 0x0010  # one that can be written
PIB_UNREGISTER_NODE = 0x006D  # an action


class PrimeEmulator(PrimeNetwork):
    """alive_ms: how often each node is asked whether it is alive; 0: never, and no events of it.
    Nodes more than one hop away hang on switches, of which the events tell."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        arq_tries: int = 5,
        arq_timeout_ms: int = 1000,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
        alive_ms: int = 0,
        ack_bytes: int | None = 8,
    ) -> None:
        super().__init__(
            population, channel, arq_tries, arq_timeout_ms, meter_ms, speed, clock, ack_bytes
        )
        self._alive_ms = alive_ms
        self._asking = False
        self._parser = usi.Parser()
        self._pibs = {api.PIB_MAC_STATE: b"\x03", PIB_MAC_MIN_SWITCH_SEARCH_TIME: b"\x18"}
        self._switches: dict[str, int] = {}  # address -> LSID
        self._hang_nodes_on_switches()

    def reboot(self) -> None:
        """Restart the base node: it says so, and every node registers anew."""
        self._tell(bytes([api.NETWORK_EVENT, api.EVENT_REBOOT]) + bytes(13))
        self._register_all()

    # The line

    def _connected(self) -> None:
        self._parser.reset()
        if self._alive_ms and not self._asking:
            self._asking = True
            self._begin(self._ask_alive())

    def _received(self, data: bytes) -> None:
        frames = self._parser.feed(data)
        if self.hanging:
            return
        for frame in frames:
            if frame.protocol == usi.PRIME_GET_QUERY_ENHANCED:
                self._list_query(frame.data)
            elif frame.protocol == usi.PRIME_API and frame.data:
                self._command(frame.data)

    def _tell(self, data: bytes) -> None:
        self._say(usi.frame(usi.PRIME_API, data))

    def _joined(self, node: Node) -> None:
        self._event(api.EVENT_REGISTER, node)
        if node.address in self._switches:
            self._event(api.EVENT_PROMOTE, node)
        join = bytes([api.CL432_JOIN_INDICATION, len(node.name)]) + node.name
        self._tell(join + node.number.to_bytes(2, "big") + node.eui48 + b"\x00")

    def _left(self, node: Node) -> None:
        self._event(api.EVENT_UNREGISTER, node)
        self._tell(bytes([api.CL432_LEAVE_INDICATION]) + node.number.to_bytes(2, "big"))

    def _list_query(self, data: bytes) -> None:
        if len(data) != 6 or data[:3] != b"\x0e\x82\x50":
            return
        first = int.from_bytes(data[4:6], "big")
        listed = [
            (position, node)
            for position, node in enumerate(self.nodes)
            if node.registered and position >= first
        ][: data[3]]
        answer = bytearray((prime_walk.LIST_RESPONSE, 0x82, 0x50, len(listed)))
        answer.append(prime_walk.LIST_RECORD)
        for position, node in listed:
            answer += position.to_bytes(2, "big") + node.number.to_bytes(2, "big")
            answer += node.name.ljust(16, b"\x00") + bytes([len(node.name)]) + node.eui48
        self._say(usi.frame(usi.PRIME_GET_RESPONSE_ENHANCED, bytes(answer)))

    def _command(self, data: bytes) -> None:
        command = data[0]
        if command == api.CL432_DATA_REQUEST and len(data) >= 8:
            self._data_request(data)
        elif command == api.CL432_RELEASE_REQUEST and len(data) == 3:
            node = self.numbered(int.from_bytes(data[1:], "big"))
            result = _DONE if node is not None else 1
            self._tell(bytes([api.CL432_RELEASE_CONFIRM]) + data[1:] + bytes([result]))
            if node is not None:
                self._release(node)
        elif command == api.MLME_GET_REQUEST and len(data) == 3:
            self._get(data)
        elif command == api.MLME_LIST_GET_REQUEST and len(data) == 3:
            refused = bytes([api.MLME_LIST_GET_CONFIRM, _NO_SUCH_ATTRIBUTE])
            self._tell(refused + data[1:] + b"\x00\x00")
        elif command == api.MLME_SET_REQUEST and len(data) >= 4 and len(data) == 4 + data[3]:
            result = self._set(int.from_bytes(data[1:3], "big"), data[4:])
            self._tell(bytes([api.MLME_SET_CONFIRM, result]))
        elif command == api.MLME_RESET_REQUEST:
            self._tell(bytes([api.MLME_RESET_CONFIRM, _DONE]))
            self._register_all()

    def _get(self, data: bytes) -> None:
        value = self._pibs.get(int.from_bytes(data[1:3], "big"))
        result = _NO_SUCH_ATTRIBUTE if value is None else _DONE
        value = value or b""
        head = bytes([api.MLME_GET_CONFIRM, result])
        self._tell(head + data[1:3] + bytes([len(value)]) + value)

    def _set(self, pib: int, value: bytes) -> int:
        if pib == PIB_UNREGISTER_NODE:
            node = self.node(value.hex())
            if node is None or not node.registered:
                return _NO_SUCH_DEVICE
            self.leave(node.address)
            self._begin(self._reconnect(node))
            return _DONE
        if pib not in self._pibs:
            return _NO_SUCH_ATTRIBUTE
        if pib == api.PIB_MAC_STATE:
            return _READ_ONLY
        self._pibs[pib] = value
        return _DONE

    def _register_all(self) -> None:
        for node in self.nodes:
            if node.registered:
                self._joined(node)

    # Data

    def _data_request(self, data: bytes) -> None:
        length = int.from_bytes(data[5:7], "big")
        if len(data) != 8 + length:
            return
        self.requests += 1
        server_sap, client_sap, target = data[1], data[2], int.from_bytes(data[3:5], "big")
        apdu = data[7 : 7 + length]
        echo = data[1:5]
        if target == api.BROADCAST_NODE:
            self._begin(self._broadcast(echo, client_sap, server_sap, apdu))
            return
        node = self.numbered(target)
        if node is None:
            self._confirm(echo, api.STATUS_BAD_ADDRESS)
        elif node.sending or len(self._tasks) >= _MAX_QUEUED:
            self._confirm(echo, api.STATUS_PREVIOUS_PENDING)
        else:
            node.sending = True
            self._begin(self._exchange(node, echo, client_sap, server_sap, apdu))

    def _confirm(self, echo: bytes, status: int) -> None:
        self._tell(bytes([api.CL432_DATA_CONFIRM]) + echo + bytes([status]))

    async def _exchange(
        self, node: Node, echo: bytes, client_sap: int, server_sap: int, apdu: bytes
    ) -> None:
        arrived, acknowledged = await self.deliver(node, len(apdu))
        self._confirm(echo, api.STATUS_OK if acknowledged else api.STATUS_TIMEOUT)
        if arrived:
            await self.answer(node, client_sap, server_sap, apdu)

    def _arrived(self, node: Node, client_sap: int, server_sap: int, response: bytes) -> None:
        indication = bytearray((api.CL432_DATA_INDICATION, client_sap, server_sap, 0, 0))
        indication += node.number.to_bytes(2, "big") + len(response).to_bytes(2, "big")
        self._tell(bytes(indication + response) + b"\x00")

    async def _broadcast(self, echo: bytes, client_sap: int, server_sap: int, apdu: bytes) -> None:
        await self.broadcast(client_sap, server_sap, apdu)
        self._confirm(echo, api.STATUS_OK)

    # The network's shape, and its events

    def _hang_nodes_on_switches(self) -> None:
        """Each node two or more hops away hangs on some node one hop nearer."""
        levels: dict[int, list[Node]] = {}
        for node in self.nodes:
            levels.setdefault(self.air.hops(node.address), []).append(node)
        self._parents: dict[str, str] = {}
        for level, nodes in levels.items():
            nearer = levels.get(level - 1, [])[:8]
            for index, node in enumerate(nodes if nearer else []):
                parent = nearer[index % len(nearer)].address
                if parent in self._switches or len(self._switches) < _MAX_SWITCHES:
                    self._switches.setdefault(parent, len(self._switches) + 1)
                    self._parents[node.address] = parent

    def _event(self, kind: int, node: Node, received: int = 0, sent: int = 0) -> None:
        parent = self._parents.get(node.address)
        sid = _BASE_NODE_SID if parent is None else self._switches[parent]
        event = bytearray([api.NETWORK_EVENT, kind]) + node.eui48
        event.append(sid)
        event += node.number.to_bytes(2, "big")
        event += bytes([self._switches.get(node.address, _NO_SWITCH), received, sent, 0])
        self._tell(bytes(event))

    async def _ask_alive(self) -> None:
        counters = {node.address: [0, 0] for node in self.nodes}
        while True:
            await self.air.sleep_ms(self._alive_ms)
            for node in self.nodes:
                if node.registered:
                    counts = counters[node.address]
                    counts[1] = (counts[1] + 1) & 7
                    if await self.air.transmit(node.address, _ALIVE_SIZE):
                        counts[0] = (counts[0] + 1) & 7
                    self._event(api.EVENT_ALIVE, node, *counts)
