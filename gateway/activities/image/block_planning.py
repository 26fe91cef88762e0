"""How to bring the same blocks to many meters over one medium for the least airtime. Sans-IO: sums
and choices; gateway/activities/image/campaign.py carries them out.

A broadcast reaches every meter at once and tells nothing; a meter tells what it lacks when it is
asked, which costs an exchange. So all blocks are broadcast some rounds blindly, then every meter is
asked once, and what is lacking is repaired: by broadcast where many lack a block, by unicast where
few do. How many blind rounds pay is decided by the loss that a few meters, the sentinels, had in
the first one.

Airtimes are in ms, losses 0..1 per broadcast block and meter.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STRAGGLER = 3  # exchanges more with a meter that lacks anything, besides its blocks
MOST_ROUNDS = 24  # of blind broadcast; a meter that loses more than that is reached by unicast


class Costs:
    """What things cost on this medium, in ms of airtime.

    broadcast: one block to all. unicast: one block to one meter, on average. exchange: to ask one
    meter what it lacks, or to tell it to verify.
    """

    __slots__ = ("broadcast", "exchange", "unicast")

    def __init__(self, broadcast: float, unicast: float, exchange: float) -> None:
        self.broadcast = broadcast
        self.unicast = unicast
        self.exchange = exchange


def blind_rounds(losses: Sequence[float], blocks: int, meters: int, costs: Costs) -> int:
    """How often each block is broadcast before all meters are asked; at least 1.

    losses: of the sentinels, taken as a fair sample of the `meters`. A meter that lacks anything
    after the rounds costs its lacking blocks by unicast and STRAGGLER exchanges more.
    """
    best, least = 1, -1.0
    if not losses:
        return best
    for rounds in range(1, MOST_ROUNDS + 1):
        airtime = rounds * blocks * costs.broadcast
        if least >= 0 and airtime >= least:
            break
        for loss in losses:
            lacking = loss**rounds
            share = meters / len(losses)
            repeats = 1 / (1 - min(loss, 0.95))
            airtime += share * blocks * lacking * costs.unicast * repeats
            airtime += share * (1 - (1 - lacking) ** blocks) * STRAGGLER * costs.exchange * repeats
        if least < 0 or airtime < least:
            best, least = rounds, airtime
    return best


def control_rounds(losses: Sequence[float], meters: int, costs: Costs, missed: float) -> int:
    """How often one command is broadcast. `missed`: airtime it costs to mend one meter that has
    heard it never."""
    if not losses:
        return 1
    rounds = 1
    while rounds < MOST_ROUNDS:
        unheard = sum([loss**rounds * (1 - loss) for loss in losses]) / len(losses)
        if unheard * meters * missed <= costs.broadcast:
            break
        rounds += 1
    return rounds


class Bitmap:
    """Which of `count` blocks a meter has; image_transferred_blocks_status (Blue Book 4.4.6)."""

    __slots__ = ("_bits", "count")

    def __init__(self, count: int, bits: bytes | None = None) -> None:
        """bits: the first block is the highest bit of the first byte. ValueError when they are not
        as many as blocks; padding is ignored."""
        size = (count + 7) // 8
        if bits is None:
            bits = bytes(size)
        if len(bits) != size:
            raise ValueError("expected %d blocks in %d bytes, came %d" % (count, size, len(bits)))
        self.count = count
        self._bits = bytearray(bits)
        if count & 7:
            self._bits[-1] &= 0xFF00 >> (count & 7) & 0xFF

    def has(self, block: int) -> bool:
        return bool(self._bits[block >> 3] & 0x80 >> (block & 7))

    def add(self, block: int) -> None:
        self._bits[block >> 3] |= 0x80 >> (block & 7)

    def held(self) -> int:
        """How many blocks the meter has."""
        return sum([_ONES[byte >> 4] + _ONES[byte & 15] for byte in self._bits])

    def lacking(self) -> list[int]:
        found = []
        for index, byte in enumerate(self._bits):
            if byte != 0xFF:
                first = index << 3
                for block in range(first, min(first + 8, self.count)):
                    if not byte & 0x80 >> (block & 7):
                        found.append(block)
        return found

    def complete(self) -> bool:
        return self.held() == self.count


_ONES = bytes((0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4))


def worth_broadcasting(
    lacking: Sequence[Sequence[int]], losses: Sequence[float], costs: Costs
) -> list[int]:
    """The blocks that broadcasting once more brings to the meters for less airtime than unicast.

    lacking: of each meter, the blocks it lacks; losses: of each of them. Every meter that lacks
    anything is asked again afterwards either way.
    """
    saved: dict[int, float] = {}
    for index, blocks in enumerate(lacking):
        # Arrived with 1 - loss, a block saves 1 / (1 - loss) frames: one, but for deaf meters.
        gain = costs.unicast * min(1.0, (1 - losses[index]) / 0.05)
        for block in blocks:
            saved[block] = saved.get(block, 0.0) + gain
    return sorted([block for block, gain in saved.items() if gain > costs.broadcast])


def sentinels(count: int, wanted: int) -> list[int]:
    """Indices of the meters to be asked first: spread evenly, for neighbours share their fate."""
    if count <= wanted:
        return list(range(count))
    return [index * count // wanted for index in range(wanted)]
