"""The blocks of a transfer to many meters on the medium: which are worth a broadcast, how often,
and what has got through. The sums are block_planning.py's.
"""

from __future__ import annotations

from gateway.activities.image import block_planning, image_object, methods, transfer
from gateway.activities.image.block_planning import Bitmap, Costs
from gateway.activities.image.image_object import BLOCKS, NOT_INITIATED, STATUS, TRANSFER
from gateway.activities.pauses import Pauses
from gateway.dlms.errors import DlmsError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.activities.image.conversations import Conversations, Member, Verdict
    from gateway.contract.image_file import ImageFile
    from gateway.dlms.client.client import Client

WHERE = "campaign"
SENTINELS = 16  # meters that are asked first, for all
PROBE = 8  # blocks that are sent first, where there are many
PROBERS = 4  # meters that are asked what they have got of these
PROBES = 3  # of a fleet that is busy at first
FEW = 4  # a meter that lacks more than this part of the blocks is no case for repair
UNKNOWN_LOSS = (0.02, 0.1, 0.3, 0.5)  # assumed of a network nothing is known of
UNICAST_SHARE = 0.6  # assumed: what a frame to one meter costs of one to all, hops against levels


class Blocks:
    """`size`: of a block, `count`: of blocks; 0: not known yet. `costs`: on this medium."""

    def __init__(self, talk: Conversations, image: ImageFile) -> None:
        self.size = 0
        self.count = 0
        self.costs = Costs(1.0, UNICAST_SHARE, 1.0)
        self._talk = talk
        self._image = image
        self._losses: list[float] = list(UNKNOWN_LOSS)
        self._sent: Sequence[int] = ()  # the blocks broadcast last
        self._rounds = 0  # of broadcasting, so far

    def cut(self, sizes: dict[int, int]) -> None:
        """In blocks of the size that most meters want. sizes: how many want each."""
        for each in sizes:
            sensible = each and -(-self._image.size // each) <= transfer.MOST_BLOCKS
            if sensible and sizes[each] > sizes.get(self.size, 0):
                self.size = each
        if self.size:
            self.count = -(-self._image.size // self.size)

    def bitmap(self, data: bytes) -> Bitmap | None:
        """None where it is not of this image: it tells of a block that this image has not."""
        try:
            if image_object.any_block(data, self.count):
                return None
            return image_object.bitmap(data, self.count)
        except DlmsError:
            return None

    def worth(self) -> list[int]:
        """The blocks that so many lack that a broadcast pays."""
        lacking, losses = [], []
        mean = sum(self._losses) / len(self._losses)
        for member in self._talk.members:
            if member.has is not None and not member.verified:
                lacking.append(member.has.lacking())
                losses.append(member.loss if member.seen else mean)
        return block_planning.worth_broadcasting(lacking, losses, self.costs)

    async def send(self, blocks: Sequence[int], sent: int = 0) -> None:
        """A round of broadcasts; so many of the blocks have been `sent` already."""
        took = 0
        self._talk.outlook.phase = "blocks"
        self._talk.outlook.blocks = max(self._talk.outlook.blocks, len(blocks))
        for number in blocks[sent:]:
            took += await self._broadcast(number)
        self._sent = blocks
        self._rounds += 1
        self.costs.broadcast = max(1.0, took / len(blocks[sent:]))
        self.costs.unicast = self.costs.broadcast * UNICAST_SHARE

    async def _broadcast(self, number: int) -> int:
        """How many ms it took."""
        data = image_object.transfer(number, transfer.block_of(self._image, number, self.size))
        took = await self._talk.broadcast(TRANSFER, data)
        self._talk.outlook.sent(took)
        return took

    def learn(self, member: Member, has: Bitmap | None) -> None:
        """What it has got of the rounds since it was asked last."""
        before = 0 if member.has is None else member.has.held()
        wanted = min(self.count - before, len(self._sent))
        rounds = self._rounds - member.seen
        if wanted and rounds:
            got = (0 if has is None else has.held()) - before
            missed = min(max(1 - got / wanted, 0.0), 1.0)
            member.loss = missed ** (1 / rounds)
        member.has = has
        member.seen = self._rounds

    async def taken(self, blocks: Sequence[int], sent: bool) -> int | None:
        """Whether broadcasts arrive: a few blocks are sent (if they are not `sent` already), and a
        few meters are asked for them. Who is busy at first (with erasing its flash) is waited for.
        How many need not be sent again; None: none arrives. When nobody answers, that says nothing.
        """
        self._talk.outlook.phase = "blocks"
        probe = blocks[:PROBE]
        concerned = [member for member in self._talk.members if not member.verified]
        asked = [concerned[index] for index in block_planning.sentinels(len(concerned), PROBERS)]
        for _ in range(PROBES):
            for number in [] if sent else probe:
                await self._broadcast(number)
            sent = False
            look = _Look(self, probe)
            await self._talk.each(asked, look.at)
            if look.heard or not look.answered:
                return len(probe)
            if not look.busy:
                break
        self.warn_deaf(len(look.answered))
        return None

    def warn_deaf(self, asked: int) -> None:
        """Whoever reads the log is to know what to look at."""
        log.warning(
            WHERE,
            "%s: none of %d meters has got a broadcast: one by one; what serves this path cannot"
            " broadcast, or the fleet's key is another" % (self._talk.kind, asked),
        )

    async def unicast(self, client: Client, number: int) -> None:
        """One block. methods.Busy, methods.Failed."""
        await transfer.send(client, self._image, self.size, [number])

    async def rounds_wanted(self, blocks: int) -> int:
        """How many rounds in all, by what the sentinels have got of the first; 0: they hear
        nothing at all."""
        concerned = [member for member in self._talk.members if not member.verified]
        asked = [concerned[index] for index in block_planning.sentinels(len(concerned), SENTINELS)]
        answered: list[Member] = []

        async def look(client: Client, member: Member) -> Verdict:
            self.learn(member, self.bitmap(await client.get(*BLOCKS)))
            answered.append(member)
            return None

        await self._talk.each(asked, look)
        if not answered:
            return 1
        # That none was missed does not mean that none ever will be.
        least = 0.5 / (blocks * len(answered))
        self._losses = [max(member.loss, least) for member in answered]
        if min(self._losses) >= 1:
            return 0
        rounds = block_planning.blind_rounds(self._losses, blocks, len(concerned), self.costs)
        mean = sum(self._losses) / len(self._losses)
        log.info(WHERE, "sentinels lack %.1f %%: %d rounds" % (100 * mean, rounds))
        return rounds

    async def command(
        self,
        method: int,
        data: bytes,
        missed_ms: float = 0.0,
        may: Callable[[], bool] | None = None,
    ) -> bool:
        """To all, as often as it takes for nearly all to hear it. `missed_ms`: airtime it costs to
        mend one that has not, at least an exchange. `may`: asked before each; False as soon as it
        says no."""
        missed_ms = max(missed_ms, self.costs.exchange)
        meters = len(self._talk.members)
        for _ in range(block_planning.control_rounds(self._losses, meters, self.costs, missed_ms)):
            if may is not None and not may():
                return False
            await self._talk.broadcast(method, data)
        return True

    def mendable(self, broadcast: Sequence[int]) -> list[Member]:
        """Who lacks a few blocks that are not broadcast again."""
        told = set(broadcast)
        found = []
        for member in self._talk.members:
            if member.has is None or member.verified:
                continue
            rest = [block for block in member.has.lacking() if block not in told]
            if rest and member.has.held() >= self.count - self.count // FEW:
                found.append(member)
        return found


class _Look:
    """What a few meters have got of the first broadcasts: serials of those that `answered`, `heard`
    any, and of those that were `busy`, with their pauses."""

    def __init__(self, blocks: Blocks, probe: Sequence[int]) -> None:
        self.answered: set[str] = set()
        self.heard: set[str] = set()
        self.busy: dict[str, Pauses] = {}
        self._blocks = blocks
        self._probe = probe

    async def at(self, client: Client, member: Member) -> Verdict:
        serial = member.meter.serial
        status = image_object.status(await client.get(*STATUS))
        self.answered.add(serial)
        if status == NOT_INITIATED:
            return None  # nor has it heard that it is to begin
        has = self._blocks.bitmap(await client.get(*BLOCKS))
        if has is not None and serial not in self.busy and self._new(member, has):
            self.heard.add(serial)
            return None
        try:
            await self._blocks.unicast(client, self._probe[0])
        except methods.Busy:
            return self.busy.setdefault(serial, Pauses()).next_ms() or None
        except methods.Failed:
            pass  # transfer.py will say why
        return None

    def _new(self, member: Member, has: Bitmap) -> list[int]:
        """The blocks of the probe that it had not before."""
        had = member.has
        return [
            block for block in self._probe if has.has(block) and (had is None or not had.has(block))
        ]
