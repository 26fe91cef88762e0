"""What an image for many meters costs others on the same channel: an omniscient sender, and one
that serves a meter at a time. Sums of airtime; losses are drawn from the channel of the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.sim.channel import Channel
from tools.bench.mass_channel import THINK_MS
from tools.bench.mass_sizes import Exchange, Sizes

ORACLE = (
    "O = sum over the blocks of (broadcasts x levels x t(block) + unicast hops x t(block))"
    " + sum over the meters of both exchanges, hop by hop;"
    " t(n) = 8 (n + overhead) / rate + latency. A block is broadcast once more while that is"
    " expected to save more airtime than it costs: t x levels < sum over the meters that lack it of"
    " P(heard) x hops x t / (1 - p); the rest goes by unicast. No waiting, no polls, no initiation,"
    " no activation"
)
UNICAST = (
    "U = sum over the meters of (initiate + blocks + bitmap + verify + status + activate +"
    " confirm), each an exchange: request and answer hop by hop, a lost hop repeated at once,"
    " and the meter's time to think; one meter after the other"
)


@dataclass
class Spent:
    """Of the oracle. Times in ms; broadcasts and unicasts: blocks sent."""

    blocks_ms: int = 0
    exchanges_ms: int = 0
    broadcasts: int = 0
    unicasts: int = 0

    @property
    def total_ms(self) -> int:
        return self.blocks_ms + self.exchanges_ms


def oracle(channel: Channel, nodes: list[str], blocks: int, loss: float, sizes: Sizes) -> Spent:
    """The omniscient sender."""
    spent = Spent()
    hop_ms = channel.hop_ms(sizes.broadcast)
    to_all_ms = channel.broadcast_ms(nodes, sizes.broadcast)
    hears = {node: (1 - loss) ** channel.hops(node) for node in nodes}
    alone_ms = {node: channel.hops(node) * hop_ms / (1 - loss) for node in nodes}
    worth = {node: hears[node] * alone_ms[node] for node in nodes}
    for _ in range(blocks):
        lacking = nodes
        while to_all_ms < sum([worth[node] for node in lacking]):
            spent.blocks_ms += to_all_ms
            spent.broadcasts += 1
            heard = set(channel.heard(lacking, spent.total_ms))
            lacking = [node for node in lacking if node not in heard]
        for node in lacking:
            spent.blocks_ms += _over(channel, node, sizes.broadcast)
            spent.unicasts += 1
    for node in nodes:
        for exchange in (sizes.status, sizes.firmware):
            spent.exchanges_ms += _exchange(channel, node, exchange)
    return spent


def one_by_one(channel: Channel, nodes: list[str], blocks: int, sizes: Sizes) -> int:
    """Milliseconds that stop-and-wait takes for all."""
    around = (
        sizes.initiate,
        sizes.bitmap,
        sizes.verify,
        sizes.status,
        sizes.activate,
        sizes.firmware,
    )
    total = 0
    for node in nodes:
        for exchange in around + (sizes.block,) * blocks:
            total += _exchange(channel, node, exchange) + THINK_MS
    return total


def _exchange(channel: Channel, node: str, exchange: Exchange) -> int:
    return _over(channel, node, exchange[0]) + _over(channel, node, exchange[1])


def _over(channel: Channel, node: str, size: int) -> int:
    """Airtime of a frame until it has got over every hop."""
    hop_ms = channel.hop_ms(size)
    frames = 0
    for _ in range(channel.hops(node)):
        frames += 1
        while not channel.over_a_hop(node, 0):
            frames += 1
    return frames * hop_ms
