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
                transfer.py does it, without holding the others

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
from gateway.activities.image import block_planning, image_object, methods, transfer
from gateway.activities.image.block_planning import Bitmap
from gateway.activities.image.blocks import SENTINELS, Blocks
from gateway.activities.image.conversations import (
    AT_VERIFYING,
    Conversations,
    Gone,
    Stopped,
)
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
    VERIFIED,
    VERIFY,
    VERIFY_FAILED,
    VERIFYING,
)
from gateway.activities.image.last_steps import LastSteps
from gateway.activities.pauses import Pauses
from gateway.activities.readable import passing
from gateway.activities.verdict import refused_with
from gateway.contract.result import HINDERED, KO, WAIT, Result
from gateway.dlms.errors import ActionRefused
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.activities.attributes import Attributes
    from gateway.activities.image.conversations import Control, Member, Verdict
    from gateway.activities.image.fleet import Fleet
    from gateway.activities.image.transfer import Order
    from gateway.dlms.client.client import Client

WHERE = "campaign"
SETTLE_MS = 5_000  # after activation, before the first meter is asked what it runs
REPAIRS = 4  # passes of repair
WORTH_A_PROBE = 16  # blocks: so many are not sent before it is known that broadcasts arrive
USUAL_ROUNDS = 2  # expected before the sentinels have been asked


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
        self._blocks = Blocks(self._talk, order.image)
        self._last_steps = LastSteps(self._talk, order)
        self._doubt = False  # a meter was found that would not activate what it was sent
        self._told_all = False  # all have been told to activate

    async def run(self, members: list[Member]) -> None:
        """Until every member has its result. Errors of ours come out; those of meters and modems
        are results."""
        self._talk.begin(members)
        try:
            await self._survey()
            if self._talk.members and 0 < self._blocks.size <= self._fleet.room():
                await self._bring()
                await self._activate()
            await self._end_game()
        except Stopped:
            await self._talk.end_all(_STOPPED)
        except Gone as gone:
            text = readable.one_line(str(gone))
            await self._talk.end_all(Result(HINDERED, gone.reason, text))

    def outlook(self) -> tuple[str, int, int]:
        """(phase, ms it has taken, ms likely left; 0: not known yet)."""
        return self._talk.outlook.now(len(self._talk.members))

    # ------------------------------------------------------------ survey

    async def _survey(self) -> None:
        """Finishes those not concerned; learns the block size and what is there already."""
        model = self._order.model
        sizes: dict[int, int] = {}
        asked = block_planning.sentinels(len(self._talk.members), SENTINELS)
        sentinels = [self._talk.members[index] for index in asked]
        others = [member for member in self._talk.members if member not in sentinels]
        states: list[tuple[Member, Attributes]] = []  # until the number of blocks is known

        async def look(client: Client, member: Member) -> Verdict:
            keys = identity.target_keys(model) + [STATUS]
            if not self._blocks.size:
                keys.append(BLOCK_SIZE)
            if member.again:
                keys += [BLOCKS, TO_ACTIVATE]
            found = await attributes.read(client, keys)
            result = transfer.unfit(found, self._image, member.again, model)
            if result is not None:
                return result
            if self._blocks.size:
                self._note_state(member, found)
                return None
            size = image_object.number(found.value(BLOCK_SIZE), "image_block_size")
            sizes[size] = sizes.get(size, 0) + 1
            states.append((member, found))
            return None

        surveyed = len(self._talk.members)
        await self._talk.each(sentinels, look)
        self._blocks.cut(sizes)
        for member, found in states:
            self._note_state(member, found)
        await self._talk.each(others, look)
        self._blocks.costs.exchange = max(1.0, self._talk.exchange_ms())
        log.info(
            WHERE,
            "%d of %d meters are to have %d blocks of %d bytes"
            % (len(self._talk.members), surveyed, self._blocks.count, self._blocks.size),
        )

    def _note_state(self, member: Member, found: Attributes) -> None:
        """What an earlier transfer has left; what it may be worth, verification will tell."""
        status = image_object.status(found.value(STATUS))
        member.before = status
        member.stale = status not in (NOT_INITIATED, ACTIVATED, ACTIVATION_FAILED)
        if not member.again or not self._blocks.count:
            return
        member.verified = status == VERIFIED and not self._told(found)
        if member.verified or status == ACTIVATING:
            member.verified = True
            member.has = Bitmap(self._blocks.count)
        elif status in (INITIATED, VERIFYING, VERIFY_FAILED):
            member.has = self._blocks.bitmap(found.values.get(BLOCKS, b""))
            if status == VERIFY_FAILED and member.has is not None and member.has.complete():
                member.has = None

    def _told(self, found: Attributes) -> str:
        """What it would activate instead of this image."""
        data = found.value(TO_ACTIVATE)
        return image_object.would_activate(data, self._image.identifier, self._image.size)

    # ------------------------------------------------------------ initiate, blocks, verify

    async def _bring(self) -> None:
        fresh = [member for member in self._talk.members if member.has is None]
        if fresh:
            await self._initiate(fresh)
        blocks = self._blocks.worth()
        if blocks and not await self._broadcast(blocks):
            return
        self._talk.outlook.phase = "verify"
        await self._tell_to_verify()
        if await self._all_may_activate():
            self._told_all = await self._blocks.command(ACTIVATE, NOTHING, 0.0, self._alone)
        if self._told_all:
            for member in self._talk.members:
                member.verified, member.activating = False, True
            await self._talk.pause(SETTLE_MS)
        self._talk.outlook.phase, self._talk.outlook.rounds = "check", 1
        await self._check_all()
        await self._repair()

    async def _broadcast(self, blocks: list[int]) -> bool:
        """All blocks, some rounds; False when no meter gets any."""
        self._talk.outlook.blocks = USUAL_ROUNDS * len(blocks)
        sent: int | None = 0
        if len(blocks) >= WORTH_A_PROBE:
            sent = await self._blocks.taken(blocks, False)
        if sent is None:
            return False
        await self._blocks.send(blocks, sent)
        rounds = await self._blocks.rounds_wanted(len(blocks))
        if not rounds:
            sent = await self._blocks.taken(blocks, True)
            if sent is None:
                return False
            await self._blocks.send(blocks, min(sent, len(blocks) - 1))
            rounds = max(await self._blocks.rounds_wanted(len(blocks)), 1)
        self._talk.outlook.blocks = (rounds - 1) * len(blocks)
        for _ in range(1, rounds):
            await self._blocks.send(blocks)
        return True

    async def _tell_to_verify(self) -> None:
        await self._blocks.command(VERIFY, NOTHING)
        for member in self._talk.members:
            member.told_to_verify = member.heard

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
            missed = self._blocks.count * self._blocks.costs.exchange
            if await self._blocks.command(INITIATE, data, missed, self._alone):
                for member in fresh:
                    member.has = Bitmap(self._blocks.count)
                # Nobody may hold another image by the time all are told to activate.
                fresh = [member for member in fresh if member.stale]

        async def start(client: Client, member: Member) -> Verdict:
            try:
                await methods.initiate(client, self._image)
            except ActionRefused as refused:
                if passing(refused.result):
                    return self._talk.later(member, _BUSY)
                reason = refused_with(refused.result, "image-refused")
                return Result(KO, reason, readable.one_line("step 1: %s" % refused))
            member.has = Bitmap(self._blocks.count)
            member.stale = False
            return None

        self._talk.begin_waiting(fresh)
        await self._talk.each(fresh, start)

    def _alone(self) -> bool:
        """Whether every node that hears a broadcast is a meter that is to have this image, and
        holds no other that it would activate."""
        ours = [member.meter for member in self._talk.members if not member.foreign]
        return self._fleet.covered_by(ours)

    # ------------------------------------------------------------ check and repair

    async def _check_all(self) -> None:
        asked = [member for member in self._talk.members if not member.verified]
        self._talk.begin_waiting(asked)
        await self._talk.each(asked, self._check)

    async def _check(self, client: Client, member: Member) -> Verdict:
        """It runs the image; or it has verified it; or else what it lacks."""
        model = self._order.model
        other = identity.firmware_key(model)[0] if self._told_all else TO_ACTIVATE
        found = await attributes.read(client, (STATUS, other))
        member.told_to_verify = False
        if self._told_all and identity.runs(found, self._image.firmware, model):
            return self._last_steps.applied()
        member.activating = False
        status = image_object.status(found.value(STATUS))
        if status == VERIFYING:
            member.before = VERIFYING
            return self._talk.later(member, AT_VERIFYING)
        if status not in (NOT_INITIATED, INITIATED, VERIFY_FAILED):
            told = self._told(found) if not self._told_all else await self._asked(client)
            if status == VERIFIED:
                member.foreign = told != ""
                member.verified = not member.foreign
                if member.foreign:
                    self._doubt = True
                    member.has = None  # transfer.py brings ours in its place
            elif status == ACTIVATING or status != member.before or not told:
                member.verified = member.activating = True  # to be confirmed
            else:
                self._blocks.learn(member, None)
            return None
        if status == NOT_INITIATED:
            self._blocks.learn(member, None)
            return None
        self._blocks.learn(member, self._blocks.bitmap(await client.get(*BLOCKS)))
        if member.has is None or not member.has.complete():
            member.foreign = member.has is None
            return None
        if status == VERIFY_FAILED and status != member.before:
            return self._not_good(member, "verification failed")
        return await self._verify(client, member)

    def _not_good(self, member: Member, text: str) -> Verdict:
        """It has all blocks, and does not verify them."""
        self._doubt = True
        if member.stale:
            member.has = None  # not all of them may be ours: transfer.py brings them anew
            return None
        text = readable.one_line("step 5: %s; not activated" % text)
        return Result(KO, "image-verify-failed", text)

    async def _asked(self, client: Client) -> str:
        """As _told()."""
        data = await client.get(*TO_ACTIVATE)
        return image_object.would_activate(data, self._image.identifier, self._image.size)

    async def _verify(self, client: Client, member: Member) -> Verdict:
        """It has every block, and has not heard that it is to verify, by its status."""
        member.told_to_verify = True
        try:
            await client.action(image_object.CLASS, image_object.NAME, VERIFY, NOTHING)
        except ActionRefused as refused:
            if not passing(refused.result):
                return self._not_good(member, str(refused))
            member.before = VERIFYING  # what its status says from now on, is new
            later = self._talk.later(member, AT_VERIFYING)
            return methods.POLL_MS if isinstance(later, int) else later
        member.before = VERIFYING
        return 0

    async def _repair(self) -> None:
        """By broadcast what pays; to each the rest, where that is not much."""
        for _ in range(REPAIRS):
            broadcast = self._blocks.worth()
            lacking = self._blocks.mendable(broadcast)
            if not broadcast and not lacking:
                return
            self._talk.outlook.phase = "repair"
            if broadcast:
                await self._blocks.send(broadcast)
            told = set(broadcast)
            busy: dict[str, Pauses] = {}  # by serial, of those that take no block now

            async def mend(client: Client, member: Member) -> Verdict:
                return await self._mend(client, member, told, busy)  # noqa: B023

            await self._talk.each(lacking, mend)
            await self._tell_to_verify()
            if self._told_all:
                await self._blocks.command(ACTIVATE, NOTHING, 0.0, self._alone)
            await self._check_all()

    async def _mend(
        self, client: Client, member: Member, told: set[int], busy: dict[str, Pauses]
    ) -> Verdict:
        """To one meter what it lacks and is not `told` to all."""
        assert member.has is not None
        pauses = busy.get(member.meter.serial)
        if pauses is not None:
            has = self._blocks.bitmap(await client.get(*BLOCKS))
            if has is not None and has.held() > member.has.held():
                pauses.begin_anew()
                member.has = has
        blocks = [block for block in member.has.lacking() if block not in told]
        try:
            await transfer.send(client, self._image, self._blocks.size, blocks)
        except methods.Busy:
            return busy.setdefault(member.meter.serial, Pauses()).next_ms() or None
        except methods.Failed:
            pass  # the check tells what it lacks, and transfer.py why
        return None

    # ------------------------------------------------------------ activate, confirm, stragglers

    async def _activate(self) -> None:
        self._talk.outlook.phase = "activate"
        verified = [each for each in self._talk.members if each.verified and not each.activating]
        now = self._clock.unix_time()
        if self._order.activation and now < self._order.activation:
            text = "verified; waits for its time"
            result = transfer.until_its_time(self._order.activation, now, text)
            await self._talk.end_all(result, verified)
            return
        if verified and not await self._blocks.command(ACTIVATE, NOTHING, 0.0, self._alone):
            await self._talk.each(verified, self._last_steps.activate)
        for member in verified:
            member.activating = True
        self._talk.begin_waiting([member for member in self._talk.members if member.activating])

    async def _end_game(self) -> None:
        """Each to its end: those that activate confirm it, what few lack is brought one by one."""
        activating = [member for member in self._talk.members if member.activating]
        lacking = [member for member in self._talk.members if not member.activating]
        self._talk.outlook.phase = "confirm" if activating else "one-by-one"
        self._talk.outlook.rounds = 0
        if activating:
            await self._talk.pause(SETTLE_MS)
        await self._talk.each(activating + lacking, self._last_steps.to_the_end)
