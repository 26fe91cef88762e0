"""A PRIME base node's network: nodes that register and leave, a link layer that repeats.

The link layer repeats (ARQ) a bounded number of times and knows what arrived; the meter sees a
frame once however often it was repeated. Every hop repeats for itself, as switches that support
ARQ do. A node's number changes with every registration.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem.prime.api import MAX_PAYLOAD
from hal.modem.prime.nodes import FIRST_RESERVED, MAX_NODES
from hal.sim.channel import Channel
from tools.emulator.air import Meter, Time
from tools.emulator.emulator import Emulator

_REGISTER_MS = 10000  # until a node whose connection was released has a new one


class Node:
    def __init__(self, address: str, meter: Meter, number: int) -> None:
        self.address = address
        self.eui48 = bytes.fromhex(address)
        self.name = address.upper().encode()
        self.meter = meter
        self.number = number
        self.registered = True
        self.sending = False


class PrimeNetwork(Emulator):
    """population: EUI-48 text -> meter. All nodes are registered from the start; join() and leave()
    change that. A protocol towards the host gives _joined(), _left() and _arrived().

    arq_tries: how often the link layer sends a frame over a hop, arq_timeout_ms apart, before it
    gives up. ack_bytes: of the acknowledgement of a hop; None: it costs no airtime of its own and
    is never lost, as when the bit rate is what is left beside acknowledgements. meter_ms: how long
    a meter takes to answer."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        arq_tries: int = 5,
        arq_timeout_ms: int = 1000,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
        ack_bytes: int | None = 8,
    ) -> None:
        super().__init__(channel or Channel(), speed, clock)
        if len(population) > MAX_NODES:
            raise ValueError("a PRIME base node serves at most %d nodes" % MAX_NODES)
        self._arq_tries = arq_tries
        self._ack_bytes = ack_bytes
        self._arq_timeout_ms = arq_timeout_ms
        self._meter_ms = meter_ms
        self.nodes = [
            Node(address, meter, index + 1)
            for index, (address, meter) in enumerate(population.items())
        ]
        self._by_number = {node.number: node for node in self.nodes}
        self._by_address = {node.address: node for node in self.nodes}
        self._last_number = len(self.nodes)

    def leave(self, address: str) -> None:
        node = self._by_address[address]
        if node.registered:
            node.registered = False
            self._left(node)

    def join(self, address: str) -> None:
        node = self._by_address[address]
        if not node.registered:
            self._register(node)

    def node(self, address: str) -> Node | None:
        return self._by_address.get(address)

    def numbered(self, number: int) -> Node | None:
        """The node that is registered under this number."""
        node = self._by_number.get(number)
        return node if node is not None and node.registered else None

    def _register(self, node: Node) -> None:
        del self._by_number[node.number]
        while True:
            self._last_number = self._last_number % (FIRST_RESERVED - 1) + 1
            if self._last_number not in self._by_number:
                break
        node.number = self._last_number
        self._by_number[node.number] = node
        node.registered = True
        self._joined(node)

    def _release(self, node: Node) -> None:
        """Take its connection from a node; it gets itself a new one."""
        node.registered = False
        self._begin(self._reconnect(node))

    async def _reconnect(self, node: Node) -> None:
        await self.air.sleep_ms(_REGISTER_MS)
        if not node.registered:
            self._register(node)

    def _joined(self, node: Node) -> None:
        """Tell the host."""
        raise NotImplementedError

    def _left(self, node: Node) -> None:
        """Tell the host."""
        raise NotImplementedError

    def _arrived(self, node: Node, client_sap: int, server_sap: int, response: bytes) -> None:
        """Tell the host of a meter's answer."""
        raise NotImplementedError

    # Over the air

    async def deliver(self, node: Node, size: int) -> tuple[bool, bool]:
        """A frame of the host to a node: (it arrived, and the base node knows)."""
        node.sending = True
        try:
            return await self.arq(node, size)
        finally:
            node.sending = False

    async def answer(self, node: Node, client_sap: int, server_sap: int, apdu: bytes) -> None:
        """The meter at the node has a frame: its answer comes back, if all goes well."""
        response = node.meter.handle(client_sap, server_sap, apdu)
        if response is None or len(response) > MAX_PAYLOAD:
            return
        await self.air.sleep_ms(self._meter_ms + node.meter.delay_ms)
        arrived, _ = await self.arq(node, len(response))
        if arrived and node.registered:
            for each in [response, *node.meter.unasked()]:
                self._arrived(node, client_sap, server_sap, each)

    async def broadcast(self, client_sap: int, server_sap: int, apdu: bytes) -> None:
        """Sent once on each level of the network, never acknowledged, never answered."""
        registered = [node.address for node in self.nodes if node.registered]
        for address in await self.air.broadcast(registered, len(apdu)):
            self._by_address[address].meter.handle(client_sap, server_sap, apdu)

    async def arq(self, node: Node, size: int) -> tuple[bool, bool]:
        """Hop after hop, each until acknowledged: (the frame arrived, and the sender knows)."""
        known = True
        for _ in range(self.air.hops(node.address)):
            over, acknowledged = await self._hop(node, size)
            if not over:
                return False, False
            known = known and acknowledged
        return True, known

    async def _hop(self, node: Node, size: int) -> tuple[bool, bool]:
        over = False
        for tried in range(self._arq_tries):
            if tried:
                await self.air.sleep_ms(self._arq_timeout_ms)
            if not node.registered:
                break
            if await self.air.hop(node.address, size):
                over = True
                if self._ack_bytes is None or await self.air.hop(node.address, self._ack_bytes):
                    return True, True
        return over, False
