"""One image to many meters at once: blocks by broadcast, gaps repaired, the medium never idle.

    survey      what does each meter run, and what has it already of this image
    initiate    by broadcast if every node that hears it is to have the image, else one by one
    blocks      all of them by broadcast, some rounds blindly (block_planning.py says how many, by
                the loss that a few sentinels had in the first)
    verify      by broadcast; a meter that lacks blocks refuses, and goes on taking them
    check       each meter is asked: verified, and what would it activate? else what does it lack?
    repair      by broadcast what many lack, to each what few lack; then verify and check again
    activate    by broadcast, or one by one, now or at the set time
    end         each meter's own firmware identity; and who still lacks something one by one, as
                image.py does it, without holding the others

Where everybody who hears us is to have the image, and now, only the sentinels are checked before
activation: if what they verified is ours, all are told to activate, and each is asked but once,
what it runs then. A meter activates nothing that it has not verified itself, and one that held
another transfer before was made to drop it; so no step is taken on a failed one.

Each meter's result is told as soon as it is known. A power cut loses nothing but time: the meters
know what they have, and a later campaign begins by asking them. A meter that is not to have the
image was not told to begin one, and takes no blocks.
"""

from __future__ import annotations

from gateway.activities import attributes, identity, readable
from gateway.activities.image import block_planning, image_object, transfer
from gateway.activities.image.block_planning import Bitmap, Costs
from gateway.activities.image.conversations import STARTING, Conversations, Gone, Stopped
from gateway.activities.image.image_object import (
    ACTIVATE,
    ACTIVATED,
    ACTIVATING,
    ACTIVATION_FAILED,
    BLOCK_SIZE,
    BLOCKS,
    INITIATE,
    INITIATED,
    NOT_INITIATED,
    NOTHING,
    STATUS,
    TO_ACTIVATE,
    TRANSFER,
    VERIFIED,
    VERIFY,
    VERIFY_FAILED,
    VERIFYING,
)
from gateway.activities.readable import passing
from gateway.contract.result import KO, OK, WAIT, Result
from gateway.dlms.errors import ActionRefused, DlmsError, NoAnswer
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.activities.attributes import Attributes
    from gateway.activities.image.conversations import Control, Member, Verdict
    from gateway.activities.image.fleet import Fleet
    from gateway.activities.image.transfer import Order
    from gateway.dlms.client.client import Client

WHERE = "campaign"
SENTINELS = 16
SETTLE_MS = 5_000  # after activation, before the first meter is asked what it runs
REPAIRS = 4  # passes of repair
FEW = 4  # a meter that lacks more than this part of the blocks is no case for repair
UNKNOWN_LOSS = (0.02, 0.1, 0.3, 0.5)  # assumed of a network nothing is known of
USUAL_ROUNDS = 2  # expected before the sentinels have been asked
UNICAST_SHARE = 0.6  # assumed: what a frame to one meter costs of one to all, hops against levels


_VERIFYING = Result(WAIT, "image-verifying", "the meter verifies", wait_s=transfer.WAIT_S)
_BUSY = Result(KO, "meter-busy", "step 1: the meter does not begin the transfer now")
_STOPPED = Result(WAIT, "interrupted", "the transfer was stopped", wait_s=1)


class Campaign:
    """One image, over one kind of path, to the members that it reaches. `at_once`: conversations
    side by side."""

    def __init__(self, fleet: Fleet, order: Order, control: Control, at_once: int) -> None:
        self._fleet = fleet
        self._clock = fleet.clock
        self._order = order
        self._image = order.image
        self._talk = Conversations(fleet, control, at_once)
        self._size = 0  # of a block
        self._count = 0
        self._losses: list[float] = list(UNKNOWN_LOSS)
        self._costs = Costs(1.0, UNICAST_SHARE, 1.0)
        self._sent: Sequence[int] = ()  # the blocks broadcast last
        self._rounds = 0  # of broadcasting, so far
        self._doubt = False  # a meter was found that would not activate what it was sent
        self._told_all = False  # all have been told to activate

    async def run(self, members: list[Member]) -> None:
        """Until every member has its result. Errors of ours come out; those of meters and modems
        are results."""
        self._talk.begin(members)
        try:
            await self._survey()
            if self._talk.members and 0 < self._size <= self._fleet.room():
                await self._bring()
                await self._activate()
            await self._end_game()
        except Stopped:
            await self._talk.end_all(_STOPPED)
        except Gone as gone:
            await self._talk.end_all(Result(KO, "modem-gone", readable.one_line(str(gone))))

    def outlook(self) -> tuple[str, int, int]:
        """(phase, ms it has taken, ms likely left; 0: not known yet)."""
        return self._talk.outlook.now(len(self._talk.members))

    # ------------------------------------------------------------ survey

    async def _survey(self) -> None:
        """Finishes those not concerned; learns the block size and what is there already."""
        sizes: dict[int, int] = {}
        asked = block_planning.sentinels(len(self._talk.members), SENTINELS)
        sentinels = [self._talk.members[index] for index in asked]
        others = [member for member in self._talk.members if member not in sentinels]
        states: list[tuple[Member, Attributes]] = []  # until the number of blocks is known

        async def look(client: Client, member: Member) -> Verdict:
            keys = [identity.MODEL, identity.FIRMWARE, STATUS]
            if not self._size:
                keys.append(BLOCK_SIZE)
            if member.again:
                keys += [BLOCKS, TO_ACTIVATE]
            found = await attributes.read(client, keys)
            result = transfer.unfit(found, self._image, member.again)
            if result is not None:
                return result
            if self._size:
                self._note_state(member, found)
                return None
            size = image_object.number(found.value(BLOCK_SIZE), "image_block_size")
            sizes[size] = sizes.get(size, 0) + 1
            states.append((member, found))
            return None

        surveyed = len(self._talk.members)
        await self._talk.each(sentinels, look)
        for each in sizes:
            sensible = each and -(-self._image.size // each) <= transfer.MOST_BLOCKS
            if sensible and sizes[each] > sizes.get(self._size, 0):
                self._size = each
        if self._size:
            self._count = -(-self._image.size // self._size)
        for member, found in states:
            self._note_state(member, found)
        await self._talk.each(others, look)
        self._costs.exchange = max(1.0, self._talk.exchange_ms())
        log.info(
            WHERE,
            "%d of %d meters are to have %d blocks of %d bytes"
            % (len(self._talk.members), surveyed, self._count, self._size),
        )

    def _note_state(self, member: Member, found: Attributes) -> None:
        """What an earlier transfer has left; what it may be worth, verification will tell."""
        status = image_object.number(found.value(STATUS), "image_transfer_status")
        member.before = status
        member.stale = status not in (NOT_INITIATED, ACTIVATED, ACTIVATION_FAILED)
        if not member.again or not self._count:
            return
        member.verified = status == VERIFIED and not self._told(found)
        if member.verified or status == ACTIVATING:
            member.verified = True
            member.has = Bitmap(self._count)
        elif status in (INITIATED, VERIFYING, VERIFY_FAILED):
            member.has = self._bitmap(found.values.get(BLOCKS, b""))
            if status == VERIFY_FAILED and member.has is not None and member.has.complete():
                member.has = None

    def _told(self, found: Attributes) -> str:
        """What it would activate instead of this image."""
        data = found.value(TO_ACTIVATE)
        return image_object.would_activate(data, self._image.identifier, self._image.size)

    def _bitmap(self, data: bytes) -> Bitmap | None:
        """None where it is not of this image."""
        try:
            return image_object.bitmap(data, self._count)
        except DlmsError:
            return None

    # ------------------------------------------------------------ initiate, blocks, verify

    async def _bring(self) -> None:
        fresh = [member for member in self._talk.members if member.has is None]
        if fresh:
            await self._initiate(fresh)
        blocks = self._worth()
        if blocks:
            self._talk.outlook.blocks = USUAL_ROUNDS * len(blocks)
            await self._send(blocks)
            rounds = await self._rounds_wanted(len(blocks))
            self._talk.outlook.blocks = max(rounds - 1, 0) * len(blocks)
            for _ in range(1, rounds):
                await self._send(blocks)
            if not rounds:
                return
        self._talk.outlook.phase = "verify"
        await self._command(VERIFY, NOTHING)
        if await self._all_may_activate():
            self._told_all = await self._command(ACTIVATE, NOTHING, 0.0, self._alone)
        if self._told_all:
            for member in self._talk.members:
                member.verified, member.activating = False, True
            await self._talk.pause(SETTLE_MS)
        self._talk.outlook.phase, self._talk.outlook.rounds = "check", 1
        await self._check_all()
        await self._repair()

    async def _all_may_activate(self) -> bool:
        """By what the sentinels say: see the module's text."""
        if self._clock.unix_time() < self._order.activation or not self._alone():
            return False
        if [member for member in self._talk.members if member.stale]:
            return False
        asked = block_planning.sentinels(len(self._talk.members), SENTINELS)
        sentinels = [self._talk.members[index] for index in asked]
        self._talk.begin_waiting(sentinels)
        await self._talk.each(sentinels, self._check)
        return not self._doubt and bool([each for each in sentinels if each.verified])

    async def _initiate(self, fresh: list[Member]) -> None:
        data = image_object.initiate(self._image.identifier, self._image.size)
        if len(fresh) == len(self._talk.members):
            missed = self._count * self._costs.exchange
            if await self._command(INITIATE, data, missed, self._alone):
                for member in fresh:
                    member.has = Bitmap(self._count)
                # Nobody may hold another image by the time all are told to activate.
                fresh = [member for member in fresh if member.stale]

        async def start(client: Client, member: Member) -> Verdict:
            try:
                await transfer.initiate(client, self._image)
            except ActionRefused as refused:
                if passing(refused.result):
                    return self._talk.later(member, _BUSY)
                return Result(KO, "image-refused", readable.one_line("step 1: %s" % refused))
            member.has = Bitmap(self._count)
            member.stale = False
            return None

        self._talk.begin_waiting(fresh)
        await self._talk.each(fresh, start)

    def _alone(self) -> bool:
        """Whether every node that hears a broadcast is a meter that is to have this image, and
        holds no other that it would activate."""
        ours = [member.meter for member in self._talk.members if not member.foreign]
        return self._fleet.covered_by(ours)

    def _worth(self) -> list[int]:
        """The blocks that so many lack that a broadcast pays."""
        lacking, losses = [], []
        mean = sum(self._losses) / len(self._losses)
        for member in self._talk.members:
            if member.has is not None and not member.verified:
                lacking.append(member.has.lacking())
                losses.append(member.loss if member.seen else mean)
        return block_planning.worth_broadcasting(lacking, losses, self._costs)

    async def _send(self, blocks: Sequence[int]) -> None:
        took = 0
        self._talk.outlook.phase = "blocks"
        self._talk.outlook.blocks = max(self._talk.outlook.blocks, len(blocks))
        for number in blocks:
            data = image_object.transfer(number, self._image.block(number, self._size))
            each = await self._talk.broadcast(TRANSFER, data)
            self._talk.outlook.sent(each)
            took += each
        self._sent = blocks
        self._rounds += 1
        self._costs.broadcast = max(1.0, took / len(blocks))
        self._costs.unicast = self._costs.broadcast * UNICAST_SHARE

    def _learn(self, member: Member, has: Bitmap | None) -> None:
        """What it has got of the rounds since it was asked last."""
        before = 0 if member.has is None else member.has.held()
        wanted = min(self._count - before, len(self._sent))
        rounds = self._rounds - member.seen
        if wanted and rounds:
            got = (0 if has is None else has.held()) - before
            missed = min(max(1 - got / wanted, 0.0), 1.0)
            member.loss = missed ** (1 / rounds)
        member.has = has
        member.seen = self._rounds

    async def _rounds_wanted(self, blocks: int) -> int:
        """How many rounds in all, by what the sentinels have got of the first; 0: they hear
        nothing at all."""
        concerned = [member for member in self._talk.members if not member.verified]
        asked = [concerned[index] for index in block_planning.sentinels(len(concerned), SENTINELS)]
        answered: list[Member] = []

        async def look(client: Client, member: Member) -> Verdict:
            self._learn(member, self._bitmap(await client.get(*BLOCKS)))
            answered.append(member)
            return None

        await self._talk.each(asked, look)
        if not answered:
            return 1
        # That none was missed does not mean that none ever will be.
        least = 0.5 / (blocks * len(answered))
        self._losses = [max(member.loss, least) for member in answered]
        if min(self._losses) >= 1:
            log.warning(WHERE, "no meter takes broadcasts: check the fleet's key; one by one")
            return 0
        rounds = block_planning.blind_rounds(self._losses, blocks, len(concerned), self._costs)
        mean = sum(self._losses) / len(self._losses)
        log.info(WHERE, "sentinels lack %.1f %%: %d rounds" % (100 * mean, rounds))
        return rounds

    async def _command(
        self,
        method: int,
        data: bytes,
        missed_ms: float = 0.0,
        may: Callable[[], bool] | None = None,
    ) -> bool:
        """To all, as often as it takes for nearly all to hear it. `missed_ms`: airtime it costs to
        mend one that has not, at least an exchange. `may`: asked before each; False as soon as it
        says no."""
        missed_ms = max(missed_ms, self._costs.exchange)
        meters = len(self._talk.members)
        for _ in range(block_planning.control_rounds(self._losses, meters, self._costs, missed_ms)):
            if may is not None and not may():
                return False
            await self._talk.broadcast(method, data)
        return True

    # ------------------------------------------------------------ check and repair

    async def _check_all(self) -> None:
        asked = [member for member in self._talk.members if not member.verified]
        self._talk.begin_waiting(asked)
        await self._talk.each(asked, self._check)

    async def _check(self, client: Client, member: Member) -> Verdict:
        """It runs the image; or it has verified it; or else what it lacks."""
        other = identity.FIRMWARE if self._told_all else TO_ACTIVATE
        found = await attributes.read(client, (STATUS, other))
        if self._told_all and identity.text(found.value(other)) == self._image.firmware:
            return self._applied()
        member.activating = False
        status = image_object.number(found.value(STATUS), "image_transfer_status")
        if status == VERIFYING:
            return self._talk.later(member, _VERIFYING)
        if status not in (NOT_INITIATED, INITIATED, VERIFY_FAILED):
            told = self._told(found) if not self._told_all else await self._asked(client)
            if status == VERIFIED:
                member.foreign = told != ""
                member.verified = not member.foreign
                if member.foreign:
                    self._doubt = True
                    member.has = None  # image.py brings ours in its place
            elif status == ACTIVATING or status != member.before or not told:
                member.verified = member.activating = True  # to be confirmed
            else:
                self._learn(member, None)
            return None
        if status == NOT_INITIATED:
            self._learn(member, None)
            return None
        self._learn(member, self._bitmap(await client.get(*BLOCKS)))
        if member.has is None or not member.has.complete():
            member.foreign = member.has is None
            return None
        if status == VERIFY_FAILED:
            return self._not_good(member, "verification failed")
        return await self._verify(client, member)

    def _not_good(self, member: Member, text: str) -> Verdict:
        """It has all blocks, and does not verify them."""
        self._doubt = True
        if member.stale:
            member.has = None  # not all of them may be ours: image.py brings them anew
            return None
        text = readable.one_line("step 5: %s; not activated" % text)
        return Result(KO, "image-verify-failed", text)

    async def _asked(self, client: Client) -> str:
        """As _told()."""
        data = await client.get(*TO_ACTIVATE)
        return image_object.would_activate(data, self._image.identifier, self._image.size)

    async def _verify(self, client: Client, member: Member) -> Verdict:
        """It has every block, and has not heard that it is to verify."""
        try:
            await client.action(image_object.CLASS, image_object.NAME, VERIFY, NOTHING)
        except ActionRefused as refused:
            if not passing(refused.result):
                return self._not_good(member, str(refused))
            later = self._talk.later(member, _VERIFYING)
            return transfer.POLL_MS if isinstance(later, int) else later
        return 0

    async def _repair(self) -> None:
        """By broadcast what pays; to each the rest, where that is not much."""
        for _ in range(REPAIRS):
            broadcast = self._worth()
            lacking = self._mendable(broadcast)
            if not broadcast and not lacking:
                return
            self._talk.outlook.phase = "repair"
            if broadcast:
                await self._send(broadcast)
            told = set(broadcast)

            async def mend(client: Client, member: Member) -> Verdict:
                assert member.has is not None
                blocks = [block for block in member.has.lacking() if block not in told]  # noqa: B023
                try:
                    await transfer.send(client, self._image, self._size, blocks)
                except transfer.Failed:
                    pass  # the check tells what it lacks, and image.py why
                return None

            await self._talk.each(lacking, mend)
            await self._command(VERIFY, NOTHING)
            if self._told_all:
                await self._command(ACTIVATE, NOTHING, 0.0, self._alone)
            await self._check_all()

    def _mendable(self, broadcast: Sequence[int]) -> list[Member]:
        """Who lacks a few blocks that are not broadcast again."""
        told = set(broadcast)
        found = []
        for member in self._talk.members:
            if member.has is None or member.verified:
                continue
            rest = [block for block in member.has.lacking() if block not in told]
            if rest and member.has.held() >= self._count - self._count // FEW:
                found.append(member)
        return found

    # ------------------------------------------------------------ activate, confirm, stragglers

    async def _activate(self) -> None:
        self._talk.outlook.phase = "activate"
        verified = [each for each in self._talk.members if each.verified and not each.activating]
        now = self._clock.unix_time()
        if self._order.activation and now < self._order.activation:
            text, wait_s = "verified; waits for its time", self._order.activation - now
            result = Result(WAIT, "activation-waits", text, wait_s=wait_s)
            await self._talk.end_all(result, verified)
            return
        if verified and not await self._command(ACTIVATE, NOTHING, 0.0, self._alone):
            await self._talk.each(verified, self._activate_one)
        for member in verified:
            member.activating = True
        self._talk.begin_waiting([member for member in self._talk.members if member.activating])

    async def _activate_one(self, client: Client, member: Member) -> Verdict:
        try:
            await client.action(image_object.CLASS, image_object.NAME, ACTIVATE, NOTHING)
        except ActionRefused as refused:
            if not passing(refused.result):
                text = readable.one_line("step 7: the meter refuses: %s" % refused)
                return Result(KO, "activation-failed", text)
        except NoAnswer:
            pass  # perhaps it has begun; it will be asked
        return None

    async def _end_game(self) -> None:
        """Each to its end: those that activate confirm it, what few lack is brought one by one."""
        activating = [member for member in self._talk.members if member.activating]
        lacking = [member for member in self._talk.members if not member.activating]
        self._talk.outlook.phase, self._talk.outlook.rounds = "confirm", 0
        if activating:
            await self._talk.pause(SETTLE_MS)
        await self._talk.each(activating + lacking, self._to_the_end)

    async def _to_the_end(self, client: Client, member: Member) -> Verdict:
        if member.activating:
            return await self._confirm(client, member)
        order = transfer.Order(self._image, self._order.activation, member.again, self._clock)
        found = await attributes.read(client, identity.KEYS + transfer.KEYS)
        return await transfer.brought(client, order, found)

    def _applied(self) -> Result:
        return Result(OK, "applied", "it runs %s" % self._image.firmware)

    async def _confirm(self, client: Client, member: Member) -> Verdict:
        data = await client.get(*identity.FIRMWARE)
        if identity.text(data) == self._image.firmware:
            return self._applied()
        status = image_object.number(await client.get(*STATUS), "image_transfer_status")
        if status == VERIFIED:
            refused = await self._activate_one(client, member)
            return self._talk.later(member, STARTING) if refused is None else refused
        if status == ACTIVATING:
            return self._talk.later(member, STARTING)
        # It may have become active between the two questions.
        data = await client.get(*identity.FIRMWARE)
        if identity.text(data) == self._image.firmware:
            return self._applied()
        if status == ACTIVATION_FAILED:
            text = "step 7: activation failed; the old one should run"
            return Result(KO, "activation-failed", text)
        said = "activated" if status == ACTIVATED else image_object.state_name(status)
        text = "step 7: %s, but it runs %s, not %s"
        text = text % (said, readable.shown(data), self._image.firmware)
        return Result(KO, "activation-failed", readable.one_line(text))
