"""Now and then, all meters are compared with all nodes: who is registered, and who is a stranger.

One walk through the inventory a minute, and only when nodes have come or gone, instead of an index
of addresses in RAM.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.meters.inventory import Inventory
    from gateway.meters.modem_port import ModemPort
    from gateway.meters.network import Network
    from gateway.meters.strangers import Strangers
    from hal.ports import Clock

SURVEY_MS = 60000
_PAUSE_METERS = 64  # others get their turn after so many


class Survey:
    def __init__(
        self, network: Network, inventory: Inventory, strangers: Strangers, clock: Clock
    ) -> None:
        self._network = network
        self._inventory = inventory
        self._strangers = strangers
        self._clock = clock
        self._seen: list[int] = []  # what the last walk went by

    async def look(self) -> None:
        """One walk, if there is something new to be seen, and one a day."""
        ports = [port for port in self._network.ports() if port.alive() and port.settled()]
        seen = [port.nodes_version + port.node_count() for port in ports]
        seen += [len(self._inventory), self._clock.unix_time() // 86400]
        if seen == self._seen:
            return
        self._seen = seen
        # A meter that is not registered with these may be with one that is not heard now.
        absent = [port for port in self._network.ports() if port not in ports]
        nodes = [port.nodes() for port in ports]
        known = [0] * len(ports)
        for number, serial in enumerate(self._inventory.serials()):
            if number % _PAUSE_METERS == 0:
                await self._clock.sleep_ms(0)
            meter = self._inventory.meter(serial)
            for path in [] if meter is None else meter.paths:
                registered: bool | None = None
                for place in range(len(ports)):
                    if ports[place].serves(path):
                        here = path[1] in nodes[place]
                        known[place] += here
                        if ports[place].modem.capabilities.joins:
                            registered = here or bool(registered)
                if registered is False and any(port.serves(path) for port in absent):
                    registered = None
                if meter is not None and registered is not None:
                    self._network.reachability.registered(meter, path, registered)
        for place in range(len(ports)):
            if known[place] < len(nodes[place]):
                await self._find_strangers(ports[place], nodes[place])

    async def _find_strangers(self, port: ModemPort, nodes: set[str]) -> None:
        # IP has no nodes of its own: those listed are the ones we called.
        if port.modem.capabilities.addresses == "host:port":
            return
        rest = set(nodes)
        for number, serial in enumerate(self._inventory.serials()):
            if number % _PAUSE_METERS == 0:
                await self._clock.sleep_ms(0)
            meter = self._inventory.meter(serial)
            for path in [] if meter is None else meter.paths:
                if port.serves(path):
                    rest.discard(path[1])
            if len(rest) == 0:
                return
        self._strangers.found(port.kind, sorted(rest))
