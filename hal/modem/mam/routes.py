"""The nodes of a Meters and More network and the ways to each: which carried what, and which is
best. The host routes: the modem knows nothing of all this."""

from __future__ import annotations

from hal.modem.mam.frames import MAX_REPEATERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    Via = tuple[bytes, ...]  # repeaters, nearest first

MAX_NODES = 2000
MAX_ROUTES = 3  # ways remembered of a node
LOST_AFTER = 4  # frames in a row that came to nothing: look for another way
_FULL = 256
_TOLD = 64  # worth of a way one was told of, and never used
_PROVEN = 160
_A_HOP = 16  # worth of delivery that one repeater less makes up for


class Route:
    """`worth`: 0..256, a fading share of frames answered over it."""

    __slots__ = ("via", "worth")

    def __init__(self, via: Via, worth: int) -> None:
        self.via = via
        self.worth = worth

    def rank(self) -> int:
        return self.worth - _A_HOP * len(self.via)


class Node:
    """`joined`: answered, and not lost since. `heard`: when, in ms. `looked`: the last pass of the
    search in which it looked around. `tries`: how many nodes were tried as repeaters for it."""

    __slots__ = ("address", "failures", "heard", "joined", "looked", "routes", "tries")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.routes: list[Route] = []
        self.joined = False
        self.failures = 0
        self.heard = 0
        self.looked = 0
        self.tries = 0

    def best(self) -> Route | None:
        best = None
        for route in self.routes:
            if best is None or route.rank() > best.rank():
                best = route
        return best

    def route(self, via: Via) -> Route | None:
        for route in self.routes:
            if route.via == via:
                return route
        return None


class Routes:
    """At most 2,000 nodes."""

    def __init__(self) -> None:
        self._nodes: dict[bytes, Node] = {}

    def __len__(self) -> int:
        """Those lost too."""
        return len(self._nodes)

    def node(self, address: bytes) -> Node | None:
        return self._nodes.get(address)

    def all(self) -> list[Node]:
        return list(self._nodes.values())

    def joined(self) -> list[Node]:
        return [node for node in self._nodes.values() if node.joined]

    def clear(self) -> None:
        self._nodes = {}

    def told(self, address: bytes, via: Via) -> Node | None:
        """There is a node, and this may be a way to it. None when the table is full or the way is
        none."""
        if len(via) > MAX_REPEATERS or address in via:
            return None
        node = self._nodes.get(address)
        if node is None:
            if len(self._nodes) >= MAX_NODES and not self._make_room():
                return None
            node = self._nodes[address] = Node(address)
        if node.route(via) is None:
            self._add(node, Route(via, _TOLD))
        return node

    def carried(self, node: Node, via: Via, now_ms: int) -> bool:
        """The node answered over this way. True when it was not joined before."""
        route = node.route(via)
        if route is None:
            route = Route(via, 0)
            self._add(node, route)
        route.worth = max(_PROVEN, route.worth + (_FULL - route.worth) // 4)
        node.failures = 0
        node.heard = now_ms
        fresh = not node.joined
        node.joined = True
        return fresh

    def failed(self, node: Node, via: Via) -> bool:
        """The node did not answer over this way. True when it is time to look for another."""
        route = node.route(via)
        if route is not None:
            route.worth -= (route.worth + 3) // 4
        node.failures += 1
        return node.failures >= LOST_AFTER

    def lost(self, node: Node) -> None:
        """No way leads to the node. Ways of others that lead over it are now the last choice."""
        node.joined = False
        node.failures = 0
        for other in self._nodes.values():
            for route in other.routes:
                if node.address in route.via:
                    route.worth //= 4

    def ways(self, node: Node, most: int) -> list[Via]:
        """Where a node may be found: the ways remembered, directly, then over others, at most
        `most`; the others change from one call to the next."""
        remembered = sorted(node.routes, key=lambda route: (-route.rank(), len(route.via)))
        ways = [route.via for route in remembered]
        if () not in ways:
            ways.append(())
        others = [other for other in self.joined() if other is not node]
        others = (
            others[node.tries % max(1, len(others)) :] + others[: node.tries % max(1, len(others))]
        )
        for other in others:
            if len(ways) >= most:
                break
            node.tries += 1
            best = other.best()
            if best is None or len(best.via) >= MAX_REPEATERS or node.address in best.via:
                continue
            via = best.via + (other.address,)
            if via not in ways:
                ways.append(via)
        return ways[:most]

    def covering(self, most: int) -> list[Via]:
        """Ways at whose ends a frame to all is to be said again so that every node hears it, few
        and short ones, at most `most`. Nodes heard directly need none."""
        covered: dict[Via, list[Node]] = {}
        left = [node for node in self.joined() if node.route(()) is None]
        for node in left:
            for route in node.routes:
                covered.setdefault(route.via, []).append(node)
        chosen: list[Via] = []
        while left and covered and len(chosen) < most:
            best = None
            for via, nodes in covered.items():
                if best is None or (len(nodes), -len(via)) > (len(covered[best]), -len(best)):
                    best = via
            if best is None or not covered[best]:
                break
            chosen.append(best)
            heard = set(covered.pop(best))
            left = [node for node in left if node not in heard]
            for via in covered:
                covered[via] = [node for node in covered[via] if node not in heard]
        return sorted(chosen, key=lambda via: (len(via), via))

    def _add(self, node: Node, route: Route) -> None:
        if len(node.routes) >= MAX_ROUTES:
            worst = node.routes[0]
            for one in node.routes:
                if one.rank() < worst.rank():
                    worst = one
            node.routes.remove(worst)
        node.routes.append(route)

    def _make_room(self) -> bool:
        for address, node in self._nodes.items():
            if not node.joined:
                del self._nodes[address]
                return True
        return False
