"""A lossy channel: seeded, and told the time, so the same in real and in simulated time.

Every node has its own random sequence, so what happens to one does not depend on the traffic of
others. Default figures are PRIME's in practice; all are settings, and assumptions where no field
data is public.

Nodes live on levels: level 1 hears the modem, level n is n hops away. A frame to one node costs its
airtime once per hop, one to all of them once per level.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_MS = 86400000
_MOST_HOPS = 16


def _fnv(text: str) -> int:
    """FNV-1a, 32 bits: a hash that is the same on every runtime."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


class Rng:
    """xorshift32: small, and the same numbers on every runtime."""

    def __init__(self, seed: int, text: str = "") -> None:
        # Neighbouring seeds would start alike: mix them (finaliser of MurmurHash3).
        state = (seed & 0xFFFFFFFF) ^ _fnv(text)
        state = (state ^ state >> 16) * 0x85EBCA6B & 0xFFFFFFFF
        state = (state ^ state >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
        self._state = (state ^ state >> 16) or 1

    def below(self, limit: int) -> int:
        """An integer 0 <= n < limit; limit up to 2**32."""
        return self.draw() % limit

    def draw(self) -> int:
        """An integer 0 < n < 2**32."""
        state = self._state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self._state = state
        return state

    def chance(self, probability: float) -> bool:
        return self.below(1000000) < probability * 1000000

    def between(self, low: int, high: int) -> int:
        """An integer low <= n <= high."""
        return low + self.below(high - low + 1)


class Bursts:
    """Gilbert-Elliott: each hop of a node is good or bad for a while, and loses frames accordingly.

    Durations in ms; loss 0..1 per frame and hop."""

    def __init__(
        self,
        good_loss: float = 0.02,
        bad_loss: float = 0.4,
        good_ms: tuple[int, int] = (60000, 600000),
        bad_ms: tuple[int, int] = (5000, 60000),
    ) -> None:
        self.good_loss = good_loss
        self.bad_loss = bad_loss
        self.good_ms = good_ms
        self.bad_ms = bad_ms


class Evening:
    """Hours of every day in which `factor` times as many frames are lost.

    begins, ends: minutes after midnight, over midnight where begins is the greater. midnight_ms: a
    moment of the channel's time at which a local day begins."""

    def __init__(
        self, begins: int = 18 * 60, ends: int = 23 * 60, factor: float = 3.0, midnight_ms: int = 0
    ) -> None:
        self.begins = begins
        self.ends = ends
        self.factor = factor
        self.midnight_ms = midnight_ms

    def now(self, now_ms: int) -> bool:
        minute = (now_ms - self.midnight_ms) % DAY_MS // 60000
        if self.begins <= self.ends:
            return self.begins <= minute < self.ends
        return minute >= self.begins or minute < self.ends


class _Node:
    __slots__ = ("bad", "hops", "rng", "until")

    def __init__(self, rng: Rng, hops: int) -> None:
        self.rng = rng
        self.hops = hops
        self.bad = True  # turned over by the first look
        self.until = -1


class Channel:
    """loss: 0..1 per frame and hop, unless `bursts` rules. bit_rate in bit/s; overhead in bytes a
    frame. latency_ms per hop. hops: share in percent of nodes 1, 2, 3... hops away."""

    def __init__(
        self,
        seed: int = 1,
        loss: float = 0.0,
        bit_rate: int = 21400,
        overhead: int = 30,
        latency_ms: int = 5,
        hops: tuple[int, ...] = (100,),
        bursts: Bursts | None = None,
        evening: Evening | None = None,
    ) -> None:
        if not 0 <= loss <= 1 or bit_rate <= 0 or sum(hops) != 100 or len(hops) > _MOST_HOPS:
            raise ValueError("channel: loss is 0..1, bit_rate > 0, hops add up to 100")
        self._seed = seed
        self._loss = loss
        self._bit_rate = bit_rate
        self._overhead = overhead
        self._latency_ms = latency_ms
        self._hops = hops
        self._bursts = bursts
        self._evening = evening
        self._noise = (0.0, -1)  # loss, until when
        self._nodes: dict[str, _Node] = {}
        self._chances: dict[float, list[int]] = {}

    def make_noise(self, loss: float, until_ms: int) -> None:
        """A spell of noise that everybody hears: so many frames (0..1) more are lost on every
        hop."""
        self._noise = (loss, until_ms)

    def hops(self, node: str) -> int:
        """How many hops the node is away, which is its level; 1 is direct. Stays the same for a
        seed."""
        return self._node(node).hops

    def airtime_ms(self, node: str, size: int, route: Sequence[str] | None = None) -> int:
        """How long `size` bytes keep the medium busy on their way to or from the node, all hops.
        `route`: the repeaters, where the host names them."""
        return self.hop_ms(size) * (self.hops(node) if route is None else len(route) + 1)

    def broadcast_ms(self, nodes: Sequence[str], size: int) -> int:
        """How long `size` bytes for all these nodes keep the medium busy, level after level."""
        return self.hop_ms(size) * max([self._node(node).hops for node in nodes], default=1)

    def hop_ms(self, size: int) -> int:
        """How long `size` bytes keep the medium busy on one hop."""
        return 8 * (size + self._overhead) * 1000 // self._bit_rate + self._latency_ms

    def over_a_hop(self, node: str, now_ms: int) -> bool:
        """Whether a frame sent now gets over one of the hops to or from the node, where each hop
        repeats for itself."""
        return self._passes(self._node(node), 1, now_ms, self._chances_now(now_ms))

    def delivered(self, node: str, now_ms: int, route: Sequence[str] | None = None) -> bool:
        """Whether a frame sent now gets through over all hops. Time must not go back.

        With each repeater of a `route`, and at its end, a frame gets one level further out at most:
        on a route too short for the node's level it never arrives."""
        state = self._node(node)
        chances = self._chances_now(now_ms)
        if route is None:
            return self._passes(state, state.hops, now_ms, chances)
        level = 0
        for step in list(route) + [node]:
            link = self._node(step)
            if link.hops > level + 1 or not self._passes(link, 1, now_ms, chances):
                return False
            level = link.hops
        return True

    def heard(self, nodes: Sequence[str], now_ms: int) -> list[str]:
        """Which of the nodes a frame sent to all of them now reaches."""
        chances = self._chances_now(now_ms)
        found = []
        for node in nodes:
            state = self._node(node)
            if self._passes(state, state.hops, now_ms, chances):
                found.append(node)
        return found

    def _passes(
        self, state: _Node, hops: int, now_ms: int, chances: tuple[list[int], list[int]]
    ) -> bool:
        bursts = self._bursts
        if bursts is None:
            return state.rng.draw() < chances[0][hops]
        if now_ms >= state.until:
            if state.until < 0:
                state.until = now_ms
            while now_ms >= state.until:
                state.bad = not state.bad
                low, high = bursts.bad_ms if state.bad else bursts.good_ms
                state.until += max(1, state.rng.between(low, high))
        return state.rng.draw() < chances[state.bad][hops]

    def _chances_now(self, now_ms: int) -> tuple[list[int], list[int]]:
        """Of a frame to get over 0, 1, 2... hops, in 2**-32: of a node in good and in bad times."""
        factor = 1.0
        if self._evening is not None and self._evening.now(now_ms):
            factor = self._evening.factor
        noise, until = self._noise
        if now_ms >= until:
            noise = 0.0
        if self._bursts is None:
            good = bad = self._loss
        else:
            good, bad = self._bursts.good_loss, self._bursts.bad_loss
        return self._chances_of(good, factor, noise), self._chances_of(bad, factor, noise)

    def _chances_of(self, loss: float, factor: float, noise: float) -> list[int]:
        one = (1 - min(1.0, loss * factor)) * (1 - noise)
        chances = self._chances.get(one)
        if chances is None:
            # 2**32 stands for certain: draw() stays below it.
            chances = [int(one**hops * 4294967296) for hops in range(_MOST_HOPS + 1)]
            self._chances[one] = chances
        return chances

    def _node(self, node: str) -> _Node:
        state = self._nodes.get(node)
        if state is None:
            rng = Rng(self._seed, node)
            share = rng.below(100)
            hops = 1
            for part in self._hops:
                share -= part
                if share < 0:
                    break
                hops += 1
            state = _Node(rng, hops)
            self._nodes[node] = state
        return state
