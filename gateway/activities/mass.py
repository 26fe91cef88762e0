"""One image to many meters at once: blocks by broadcast, gaps repaired, the medium never idle.

    survey      what does each meter run, and what has it already of this image
    initiate    by broadcast if every node that hears it is to have the image, else one by one
    blocks      all of them by broadcast, some rounds blindly (spread.py says how many, by the loss
                that a few sentinels had in the first)
    verify      by broadcast; a meter that lacks blocks refuses, and goes on taking them
    check       each meter is asked: verified, and what would it activate? else what does it lack?
    repair      by broadcast what many lack; then the stragglers one by one, as image.py does it
    activate    by broadcast, or one by one, now or at the set time
    confirm     each meter's own firmware identity

Where everybody who hears us is to have the image, and now, only the sentinels are checked before
activation: if what they verified is ours, all are told to activate, and each is asked but once,
what it runs then. A meter activates nothing that it has not verified itself, and one that held
another verified image before was made to drop it; so no step is taken on a failed one.

Each meter's result is told as soon as it is known. A power cut loses nothing but time: the meters
know what they have, and a later campaign begins by asking them.
"""

from __future__ import annotations

from gateway.activities import attributes, identity, image, image_object, spread, words
from gateway.activities.attempt import explained
from gateway.activities.fleet import Unreached
from gateway.activities.image_object import (
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
from gateway.activities.spread import Bitmap, Costs
from gateway.activities.words import passing
from gateway.dlms.errors import ActionRefused, DlmsError, NotSupported
from gateway.jobs.result import KO, OK, WAIT, Result
from hal.ports import ModemError
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any, Protocol

    from gateway.activities.attributes import Attributes
    from gateway.activities.fleet import Fleet
    from gateway.activities.image import Order
    from gateway.dlms.client import Client
    from gateway.meters.inventory import Meter

    class Control(Protocol):
        """How a campaign is bound to its job."""

        async def may_go_on(self) -> bool:
            """Asked before each frame; returns late while the job is paused. False: stop at once
            (canceled, the window has closed)."""
            ...

        async def turn(self, member: Member) -> bool:
            """Whether the meter is free for a conversation now; if so, it is ours until over()."""
            ...

        def over(self, member: Member) -> None: ...

        async def finish(self, member: Member, result: Result) -> None:
            """The result is known."""
            ...


WHERE = "mass"
SENTINELS = 16
TRIES = 3  # of a conversation with one meter
AGAIN_MS = 10_000  # before the next of them, and before a meter that needs time is asked again
TURN_MS = 1_000  # when somebody else speaks to the meter
PATIENCE_MS = 900_000  # for verification, and for activation, before the meter's result is WAIT
SETTLE_MS = 5_000  # after activation, before the first meter is asked what it runs
REPAIRS = 3  # passes of repair by broadcast
GONE_MS = 600_000  # a modem that takes no broadcast for so long ends the campaign
UNKNOWN_LOSS = (0.02, 0.1, 0.3, 0.5)  # assumed of a network nothing is known of
UNICAST_SHARE = 0.6  # assumed: what a frame to one meter costs of one to all, hops against levels


_VERIFYING = Result(WAIT, "image-verifying", "the meter verifies", wait_s=image.WAIT_S)
_ACTIVATING = Result(WAIT, "image-activating", "the meter starts the image", wait_s=image.WAIT_S)


class Member:
    """One meter of a campaign. `again`: the job has been at it before. `token`: the caller's."""

    __slots__ = ("again", "begun_ms", "fails", "has", "meter", "stale", "token", "verified")

    def __init__(self, meter: Meter, again: bool, token: Any) -> None:
        self.meter = meter
        self.again = again
        self.token = token
        self.has: Bitmap | None = None  # None: nothing, or not known
        self.verified = False
        self.stale = False  # it holds a verified image, and not ours
        self.fails = 0
        self.begun_ms = 0  # of what it is being waited for


class Stopped(Exception):
    """The job is not to go on."""


class Campaign:
    """One image, over one kind of path, to the members that it reaches. `at_once`: conversations
    side by side."""

    def __init__(self, fleet: Fleet, order: Order, control: Control, at_once: int) -> None:
        self._fleet = fleet
        self._clock = fleet.clock
        self._order = order
        self._image = order.image
        self._control = control
        self._at_once = max(at_once, 1)
        self._members: list[Member] = []  # those without a result
        self._size = 0  # of a block
        self._count = 0
        self._losses: list[float] = list(UNKNOWN_LOSS)
        self._costs = Costs(1.0, UNICAST_SHARE, 1.0)
        self._alone = False  # every node that hears us is to have the image
        self._gone_since: int | None = None
        self._doubt = False  # a meter was found that would not activate what it was sent

    async def run(self, members: list[Member]) -> None:
        """Until every member has its result. Errors of ours come out; those of meters and modems
        are results."""
        self._members = list(members)
        self._begin_waiting()
        try:
            await self._survey()
            if self._members and self._count:
                await self._bring()
                if await self._all_may_activate():
                    await self._activate_all()
                else:
                    await self._check_all()
                await self._repair()
                await self._activate()
            await self._stragglers([member for member in self._members if not member.verified])
            await self._confirm()
        except Stopped:
            for member in list(self._members):
                await self._end(member, Result(KO, "interrupted", "the transfer was stopped"))

    # ------------------------------------------------------------ survey

    async def _survey(self) -> None:
        """Finishes those not concerned; learns the block size and what is there already."""
        sizes: dict[int, int] = {}
        asked = spread.sentinels(len(self._members), SENTINELS)
        sentinels = [self._members[index] for index in asked]

        async def look(client: Client, member: Member) -> int | None:
            keys = [identity.MODEL, identity.FIRMWARE, STATUS]
            if member in sentinels:
                keys.append(BLOCK_SIZE)
            if member.again:
                keys.append(BLOCKS)
            found = await attributes.read(client, keys)
            result = image.unfit(found, self._order.image, member.again)
            if result is not None:
                await self._end(member, result)
                return None
            if member in sentinels:
                size = image_object.number(found.value(BLOCK_SIZE), "image_block_size")
                sizes[size] = sizes.get(size, 0) + 1
            status = image_object.number(found.value(STATUS), "image_transfer_status")
            if member.again:
                self._note_state(member, found, status)
            member.stale = status == VERIFIED and member.has is None
            return None

        began = self._clock.ticks_ms()
        surveyed = len(self._members)
        await self._each(sentinels, look)
        size = 0
        for each in sizes:
            if each and sizes[each] > sizes.get(size, 0):
                size = each
        if size:
            self._size, self._count = size, -(-self._image.size // size)
        await self._each([member for member in self._members if member not in sentinels], look)
        self._costs.exchange = (self._clock.ticks_ms() - began) / max(surveyed, 1)
        log.info(
            WHERE,
            "%d of %d meters are to have %d blocks of %d bytes"
            % (len(self._members), surveyed, self._count, self._size),
        )

    def _note_state(self, member: Member, found: Attributes, status: int) -> None:
        """What an earlier campaign has left; what it may be worth, verification will tell."""
        if status not in (INITIATED, VERIFYING, VERIFIED, ACTIVATING) or not self._count:
            return
        try:
            member.has = image_object.bitmap(found.values.get(BLOCKS, b""), self._count)
        except DlmsError:
            member.has = None  # of another image

    # ------------------------------------------------------------ initiate, blocks, verify

    async def _bring(self) -> None:
        self._alone = self._fleet.covered_by([member.meter for member in self._members])
        fresh = [member for member in self._members if member.has is None]
        if fresh:
            await self._initiate(fresh)
        blocks = self._worth()
        if blocks:
            await self._send(blocks)
            rounds = 1 + await self._rounds_wanted(len(blocks))
            for _ in range(1, rounds):
                await self._send(blocks)
        await self._command(VERIFY, NOTHING, self._costs.exchange)

    async def _initiate(self, fresh: list[Member]) -> None:
        parameter = image_object.initiate(self._image.identifier, self._image.size)
        if self._alone and len(fresh) == len(self._members):
            missed = self._count * self._costs.exchange
            await self._command(INITIATE, parameter, missed)
            for member in fresh:
                member.has = Bitmap(self._count)
            # Nobody may hold another verified image by the time all are told to activate.
            fresh = [member for member in fresh if member.stale]

        async def start(client: Client, member: Member) -> int | None:
            try:
                await client.action(image_object.CLASS, image_object.NAME, INITIATE, parameter)
            except ActionRefused as refused:
                if passing(refused.result):
                    return await self._later(member, Result(KO, "meter-busy", str(refused)))
                await self._end(member, Result(KO, "image-refused", words.one_line(str(refused))))
                return None
            member.has = Bitmap(self._count)
            return None

        await self._each(fresh, start)

    def _worth(self) -> list[int]:
        """The blocks that so many lack that a broadcast pays."""
        lacking = []
        for member in self._members:
            if member.has is not None and not member.verified:
                lacking.append(member.has.lacking())
        losses = [sum(self._losses) / len(self._losses)] * len(lacking)
        return spread.worth_broadcasting(lacking, losses, self._costs)

    async def _send(self, blocks: Sequence[int]) -> None:
        began = self._clock.ticks_ms()
        for number in blocks:
            data = image_object.transfer(number, self._image.block(number, self._size))
            await self._broadcast(TRANSFER, data)
        took = (self._clock.ticks_ms() - began) / len(blocks)
        self._costs.broadcast, self._costs.unicast = took, took * UNICAST_SHARE

    async def _rounds_wanted(self, blocks: int) -> int:
        """How many more rounds, by what the sentinels have got of the first."""
        concerned = [member for member in self._members if not member.verified]
        asked = [concerned[index] for index in spread.sentinels(len(concerned), SENTINELS)]
        losses: list[float] = []

        async def look(client: Client, member: Member) -> int | None:
            had = member.has.held() if member.has is not None else 0
            has = image_object.bitmap(await client.get(*BLOCKS), self._count)
            wanted = min(self._count - had, blocks)
            if has.held() and wanted:
                losses.append(max(0.0, min(1.0, 1 - (has.held() - had) / wanted)))
            return None

        await self._each(asked, look)
        if losses:
            self._losses = losses
        rounds = spread.blind_rounds(self._losses, blocks, len(concerned), self._costs)
        mean = sum(self._losses) / len(self._losses)
        log.info(WHERE, "sentinels lack %.1f %%: %d rounds" % (100 * mean, rounds))
        return rounds - 1

    async def _command(self, method: int, data: bytes, missed_ms: float) -> None:
        """To all, as often as it takes for nearly all to hear it."""
        meters = len(self._members)
        rounds = spread.control_rounds(self._losses, meters, self._costs, missed_ms)
        for _ in range(rounds):
            await self._broadcast(method, data)

    async def _broadcast(self, method: int, data: bytes) -> None:
        while True:
            if not await self._control.may_go_on():
                raise Stopped
            try:
                await self._fleet.broadcast(method, data)
                self._gone_since = None
                return
            except (OSError, ModemError) as error:
                now = self._clock.ticks_ms()
                if self._gone_since is None:
                    self._gone_since = now
                    log.warning(WHERE, "no broadcast: %s" % error)
                if now - self._gone_since > GONE_MS:
                    raise Stopped
                await self._clock.sleep_ms(AGAIN_MS)

    # ------------------------------------------------------------ check and repair

    async def _check_all(self) -> None:
        self._begin_waiting()
        await self._each(list(self._members), self._check)

    async def _check(self, client: Client, member: Member) -> int | None:
        """Verified and ours; or else what it lacks."""
        found = await attributes.read(client, (STATUS, TO_ACTIVATE))
        status = image_object.number(found.value(STATUS), "image_transfer_status")
        if status == VERIFIED:
            told = image_object.would_activate(
                found.value(TO_ACTIVATE), self._image.identifier, self._image.size
            )
            member.verified = not told
            if told:
                self._doubt = True
                member.has = None  # image.py brings ours in its place
            return None
        if status == VERIFYING:
            return await self._later(member, _VERIFYING)
        if status in (ACTIVATING, ACTIVATED, ACTIVATION_FAILED):
            member.verified = True  # _confirm() is its next step
            return None
        if status == NOT_INITIATED:
            member.has = None
            return None
        try:
            member.has = image_object.bitmap(await client.get(*BLOCKS), self._count)
        except DlmsError:
            member.has = None
            return None
        if not member.has.complete():
            return None
        if status == VERIFY_FAILED:
            self._doubt = True
            text = "step 5: verification failed; not activated"
            await self._end(member, Result(KO, "image-verify-failed", text))
            return None
        return await self._verify(client, member)

    async def _verify(self, client: Client, member: Member) -> int | None:
        """It has every block, and has not heard that it is to verify."""
        try:
            await client.action(image_object.CLASS, image_object.NAME, VERIFY, NOTHING)
        except ActionRefused as refused:
            if not passing(refused.result):
                text = words.one_line("step 5: %s; not activated" % refused)
                await self._end(member, Result(KO, "image-verify-failed", text))
                return None
        return 0 if await self._later(member, _VERIFYING) is not None else None

    async def _repair(self) -> None:
        """By broadcast, as long as that pays."""
        for _ in range(REPAIRS):
            blocks = self._worth()
            if not blocks:
                return
            await self._send(blocks)
            await self._command(VERIFY, NOTHING, self._costs.exchange)
            lacking = [member for member in self._members if not member.verified]
            await self._each(lacking, self._check)

    async def _stragglers(self, lacking: list[Member]) -> None:
        """What few lack, one by one, to the very end."""

        async def bring(client: Client, member: Member) -> int | None:
            order = image.Order(self._image, self._order.activation, member.again, self._clock)
            found = await attributes.read(client, identity.KEYS + image.KEYS)
            await self._end(member, await image.brought(client, order, found))
            return None

        await self._each(lacking, bring)

    # ------------------------------------------------------------ activate and confirm

    async def _all_may_activate(self) -> bool:
        """By what the sentinels say: see the module's text."""
        if not self._alone or self._clock.unix_time() < self._order.activation:
            return False
        asked = spread.sentinels(len(self._members), SENTINELS)
        sentinels = [self._members[index] for index in asked]
        self._begin_waiting()
        await self._each(sentinels, self._check)
        return not self._doubt and any(member.verified for member in sentinels)

    async def _activate_all(self) -> None:
        """Tells all; those that run the image then are done, of the others it is known why not."""
        await self._command(ACTIVATE, NOTHING, self._costs.exchange)
        for member in self._members:
            member.verified = False
        self._begin_waiting()
        await self._pause(SETTLE_MS)
        await self._each(list(self._members), self._runs_or_check)

    async def _runs_or_check(self, client: Client, member: Member) -> int | None:
        data = await client.get(*identity.FIRMWARE)
        if identity.text(data) == self._image.firmware:
            await self._end(member, Result(OK, "applied", "it runs %s" % self._image.firmware))
            return None
        return await self._check(client, member)

    async def _activate(self) -> None:
        verified = [member for member in self._members if member.verified]
        now = self._clock.unix_time()
        if self._order.activation and now < self._order.activation:
            wait_s = self._order.activation - now
            for member in verified:
                text = "verified; waits for its time"
                await self._end(member, Result(WAIT, "activation-waits", text, wait_s=wait_s))
            return
        self._alone = self._fleet.covered_by([member.meter for member in self._members])
        if self._alone and verified:
            await self._command(ACTIVATE, NOTHING, self._costs.exchange)
        else:
            await self._each(verified, self._activate_one)
        self._begin_waiting()

    async def _activate_one(self, client: Client, member: Member) -> int | None:
        try:
            await client.action(image_object.CLASS, image_object.NAME, ACTIVATE, NOTHING)
        except ActionRefused as refused:
            if not passing(refused.result):
                text = words.one_line("step 7: the meter refuses: %s" % refused)
                await self._end(member, Result(KO, "activation-failed", text))
        return None

    async def _confirm(self) -> None:
        waiting = [member for member in self._members if member.verified]
        if waiting:
            await self._pause(SETTLE_MS)
            await self._each(waiting, self._confirm_one, patient=True)

    async def _confirm_one(self, client: Client, member: Member) -> int | None:
        data = await client.get(*identity.FIRMWARE)
        if identity.text(data) == self._image.firmware:
            await self._end(member, Result(OK, "applied", "it runs %s" % self._image.firmware))
            return None
        status = image_object.number(await client.get(*STATUS), "image_transfer_status")
        if status == VERIFIED:
            await self._activate_one(client, member)
        elif status == ACTIVATION_FAILED:
            text = "step 7: activation failed; the old one should run"
            await self._end(member, Result(KO, "activation-failed", text))
            return None
        elif status != ACTIVATING:
            text = "step 7: %s, but it runs %s, not %s"
            shown = words.shown(data)
            text = text % (image_object.state_name(status), shown, self._image.firmware)
            await self._end(member, Result(KO, "activation-failed", words.one_line(text)))
            return None
        return await self._later(member, _ACTIVATING)

    # ------------------------------------------------------------ conversations

    async def _each(
        self,
        members: list[Member],
        work: Callable[[Client, Member], Awaitable[int | None]],
        patient: bool = False,
    ) -> None:
        """work() with each meter, several at once; it returns None, or in how many ms the meter is
        to be asked again. `patient`: silence is not a failure yet, the meter may be starting."""
        waiting = [(0, member) for member in members if member in self._members]
        while waiting:
            if not await self._control.may_go_on():
                raise Stopped
            now = self._clock.ticks_ms()
            due = [member for at, member in waiting if at <= now]
            if not due:
                await self._pause(min([at for at, _ in waiting]) - now)
                continue
            waiting = [entry for entry in waiting if entry[0] > now]
            due.reverse()  # the next is the last
            again: list[tuple[int, Member]] = []
            group = Group()
            for _ in range(min(self._at_once, len(due))):
                group.start(self._talk(due, work, patient, again))
            await group.wait()
            waiting += again

    async def _talk(
        self,
        due: list[Member],
        work: Callable[[Client, Member], Awaitable[int | None]],
        patient: bool,
        again: list[tuple[int, Member]],
    ) -> None:
        while due and await self._control.may_go_on():
            member = due.pop()
            if not await self._control.turn(member):
                again.append((self._clock.ticks_ms() + TURN_MS, member))
                continue
            try:
                wait_ms = await self._one(member, work, patient)
            finally:
                self._control.over(member)
            if wait_ms is not None and member in self._members:
                again.append((self._clock.ticks_ms() + wait_ms, member))
        again += [(0, member) for member in due]
        due.clear()

    async def _one(
        self,
        member: Member,
        work: Callable[[Client, Member], Awaitable[int | None]],
        patient: bool,
    ) -> int | None:
        try:
            wait_ms = await self._fleet.talk(member.meter, lambda client: work(client, member))
            member.fails = 0
            return wait_ms
        except Unreached as unreached:
            if patient:
                return await self._later(member, _ACTIVATING)
            member.fails += 1
            if member.fails < TRIES:
                return AGAIN_MS
            reason = "no-answer" if unreached.silent else "link-lost"
            await self._end(member, Result(KO, reason, words.one_line(str(unreached))))
        except NotSupported as error:
            await self._end(member, Result(KO, "block-too-large", words.one_line(str(error))))
        except DlmsError as error:
            await self._end(member, explained(error, True))
        return None

    async def _later(self, member: Member, last: Result) -> int | None:
        """In how many ms to ask a meter that needs time; past our patience it ends with `last`."""
        if self._clock.ticks_ms() - member.begun_ms < PATIENCE_MS:
            return AGAIN_MS
        await self._end(member, last)
        return None

    def _begin_waiting(self) -> None:
        for member in self._members:
            member.begun_ms = self._clock.ticks_ms()

    async def _end(self, member: Member, result: Result) -> None:
        if member in self._members:
            self._members.remove(member)
            await self._control.finish(member, result)

    async def _pause(self, duration: int) -> None:
        """Not longer than a cancel may wait."""
        end = self._clock.ticks_ms() + duration
        while True:
            if not await self._control.may_go_on():
                raise Stopped
            left = end - self._clock.ticks_ms()
            if left <= 0:
                return
            await self._clock.sleep_ms(min(left, TURN_MS))
