"""A PRIME base node and its network, seen from the serial line; hal/modem/prime.py faces it.

As in a real one, the link layer repeats (ARQ) a bounded number of times and confirms what arrived;
the meter sees a frame once however often it was repeated.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem import prime_api as prime
from hal.modem import prime_walk, usi
from hal.modem.prime_nodes import MAX_NODES
from hal.sim.channel import Channel
from tools.emulator.air import Meter, Time
from tools.emulator.emulator import Emulator

_ACK_SIZE = 8
_MAX_QUEUED = 64


class _Node:
    def __init__(self, address: str, meter: Meter, node_id: int) -> None:
        self.address = address
        self.meter = meter
        self.id = node_id
        self.registered = True
        self.sending = False

    def record(self) -> bytes:
        serial = self.address.upper().encode().ljust(16, b"\x00")
        eui48 = bytes.fromhex(self.address)
        return self.id.to_bytes(2, "big") + serial + bytes([len(self.address)]) + eui48


class PrimeEmulator(Emulator):
    """population: EUI-48 text -> meter. All nodes are registered from the start; join() and leave()
    change that.

    arq_tries: how often the link layer sends a frame, arq_timeout_ms apart, before it gives up.
    meter_ms: how long a meter takes to answer."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        arq_tries: int = 5,
        arq_timeout_ms: int = 1000,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
    ) -> None:
        super().__init__(channel or Channel(), speed, clock)
        if len(population) > MAX_NODES:
            raise ValueError("a PRIME base node serves at most %d nodes" % MAX_NODES)
        self._arq_tries = arq_tries
        self._arq_timeout_ms = arq_timeout_ms
        self._meter_ms = meter_ms
        self._nodes = [
            _Node(address, meter, index + 1)
            for index, (address, meter) in enumerate(population.items())
        ]
        self._by_id = {node.id: node for node in self._nodes}
        self._by_address = {node.address: node for node in self._nodes}
        self._parser = usi.Parser()

    def leave(self, address: str) -> None:
        node = self._by_address[address]
        if node.registered:
            node.registered = False
            leave = bytes([prime.CL432_LEAVE_INDICATION])
            self._tell(leave + node.id.to_bytes(2, "big"))

    def join(self, address: str) -> None:
        node = self._by_address[address]
        if not node.registered:
            node.registered = True
            self._say_joined(node)

    def reboot(self) -> None:
        """Restart the base node: it says so, and every node registers anew."""
        self._tell(bytes([prime.NETWORK_EVENT, prime.EVENT_REBOOT]) + bytes(14))
        self._register_all()

    # The line

    def _connected(self) -> None:
        self._parser.reset()

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

    def _say_joined(self, node: _Node) -> None:
        name = node.address.upper().encode()
        join = bytes([prime.CL432_JOIN_INDICATION, len(name)]) + name
        self._tell(join + node.id.to_bytes(2, "big") + bytes.fromhex(node.address) + b"\x00")

    def _list_query(self, data: bytes) -> None:
        if len(data) != 6 or data[:3] != b"\x0e\x82\x50":
            return
        first = int.from_bytes(data[4:6], "big")
        listed = [
            (position, node)
            for position, node in enumerate(self._nodes)
            if node.registered and position >= first
        ][: data[3]]
        answer = bytearray(
            (prime_walk.LIST_RESPONSE, 0x82, 0x50, len(listed), prime_walk.LIST_RECORD)
        )
        for position, node in listed:
            answer += position.to_bytes(2, "big") + node.record()
        self._say(usi.frame(usi.PRIME_GET_RESPONSE_ENHANCED, bytes(answer)))

    def _command(self, data: bytes) -> None:
        command = data[0]
        if command == prime.CL432_DATA_REQUEST and len(data) >= 8:
            self._data_request(data)
        elif command == prime.MLME_GET_REQUEST and len(data) == 3:
            self._tell(bytes([prime.MLME_GET_CONFIRM, 0]) + data[1:3] + b"\x01\x00")
        elif command == prime.MLME_RESET_REQUEST:
            self._tell(bytes([prime.MLME_RESET_CONFIRM, 0]))
            self._register_all()

    def _register_all(self) -> None:
        for node in self._nodes:
            if node.registered:
                self._say_joined(node)

    # Data

    def _data_request(self, data: bytes) -> None:
        length = int.from_bytes(data[5:7], "big")
        if len(data) != 8 + length:
            return
        self.requests += 1
        server_sap, client_sap, target = data[1], data[2], int.from_bytes(data[3:5], "big")
        apdu = data[7 : 7 + length]
        echo = data[1:5]
        if target == prime.BROADCAST_NODE:
            self._begin(self._broadcast(echo, client_sap, server_sap, apdu))
            return
        node = self._by_id.get(target)
        if node is None or not node.registered:
            self._confirm(echo, prime.STATUS_BAD_ADDRESS)
        elif node.sending or len(self._tasks) >= _MAX_QUEUED:
            self._confirm(echo, prime.STATUS_PREVIOUS_PENDING)
        else:
            node.sending = True
            self._begin(self._exchange(node, echo, client_sap, server_sap, apdu))

    def _confirm(self, echo: bytes, status: int) -> None:
        self._tell(bytes([prime.CL432_DATA_CONFIRM]) + echo + bytes([status]))

    async def _exchange(
        self, node: _Node, echo: bytes, client_sap: int, server_sap: int, apdu: bytes
    ) -> None:
        try:
            arrived, acknowledged = await self._arq(node, len(apdu))
        finally:
            node.sending = False
        self._confirm(echo, prime.STATUS_OK if acknowledged else prime.STATUS_TIMEOUT)
        if arrived:
            await self._answer(node, client_sap, server_sap, apdu)

    async def _answer(self, node: _Node, client_sap: int, server_sap: int, apdu: bytes) -> None:
        response = node.meter.handle(client_sap, server_sap, apdu)
        if response is None or len(response) > prime.MAX_PAYLOAD:
            return
        await self.air.sleep_ms(self._meter_ms + node.meter.delay_ms)
        arrived, _ = await self._arq(node, len(response))
        if arrived and node.registered:
            indication = bytearray((prime.CL432_DATA_INDICATION, client_sap, server_sap, 0, 0))
            indication += node.id.to_bytes(2, "big") + len(response).to_bytes(2, "big")
            self._tell(bytes(indication + response) + b"\x00")

    async def _broadcast(self, echo: bytes, client_sap: int, server_sap: int, apdu: bytes) -> None:
        """Sent once on each level of the network, never acknowledged, never answered."""
        registered = [node.address for node in self._nodes if node.registered]
        for address in await self.air.broadcast(registered, len(apdu)):
            self._by_address[address].meter.handle(client_sap, server_sap, apdu)
        self._confirm(echo, prime.STATUS_OK)

    async def _arq(self, node: _Node, size: int) -> tuple[bool, bool]:
        """Send until acknowledged: (the frame arrived, and the sender knows)."""
        arrived = False
        for _ in range(self._arq_tries):
            if not node.registered:
                break
            if await self.air.transmit(node.address, size):
                arrived = True
                if await self.air.transmit(node.address, _ACK_SIZE):
                    return True, True
            await self.air.sleep_ms(self._arq_timeout_ms)
        return arrived, False
