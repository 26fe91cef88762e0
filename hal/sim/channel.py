"""A lossy channel: seeded, and told the time, so the same in real and in simulated time.

Every node has its own random sequence, so what happens to one does not depend on the traffic of
others. Default figures are PRIME's in practice; all are settings, and assumptions where no field
data is public.
"""

from __future__ import annotations


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
        state = self._state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self._state = state
        return state % limit

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
    ) -> None:
        if not 0 <= loss <= 1 or bit_rate <= 0 or sum(hops) != 100:
            raise ValueError("channel: loss is 0..1, bit_rate > 0, hops add up to 100")
        self._seed = seed
        self._loss = loss
        self._bit_rate = bit_rate
        self._overhead = overhead
        self._latency_ms = latency_ms
        self._hops = hops
        self._bursts = bursts
        self._nodes: dict[str, _Node] = {}

    def hops(self, node: str) -> int:
        """How many hops the node is away; 1 is direct. Stays the same for a seed."""
        return self._node(node).hops

    def airtime_ms(self, node: str, size: int) -> int:
        """How long `size` bytes keep the medium busy on their way to or from the node, all hops."""
        bits = 8 * (size + self._overhead)
        return self.hops(node) * (bits * 1000 // self._bit_rate + self._latency_ms)

    def delivered(self, node: str, now_ms: int) -> bool:
        """Whether a frame sent now gets through over all hops. Time must not go back."""
        state = self._node(node)
        loss = self._loss
        bursts = self._bursts
        if bursts is not None:
            if state.until < 0:
                state.until = now_ms
            while now_ms >= state.until:
                state.bad = not state.bad
                low, high = bursts.bad_ms if state.bad else bursts.good_ms
                state.until += max(1, state.rng.between(low, high))
            loss = bursts.bad_loss if state.bad else bursts.good_loss
        return all(not state.rng.chance(loss) for _ in range(state.hops))

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
