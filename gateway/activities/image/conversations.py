"""The meters of a transfer that have no result yet, and talking to them: to one after the other,
several at once, or to all by broadcast, without getting in the way of anything more urgent."""

from __future__ import annotations

import asyncio

from gateway.activities import readable
from gateway.activities.image.image_object import NOT_INITIATED, VERIFYING
from gateway.activities.image.methods import WAIT_S
from gateway.activities.image.remaining_time import Outlook
from gateway.activities.verdict import explained
from gateway.contract.result import HINDERED, KO, WAIT, Result
from gateway.dlms.errors import DlmsError, NotSupported
from gateway.meters import hindrance
from gateway.meters.counters import NotStored
from gateway.meters.hindrance import Hindrance
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError
from gateway.meters.reach import Unreached
from hal.ports import ModemError
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Protocol

    from gateway.activities.image.block_planning import Bitmap
    from gateway.activities.image.fleet import Fleet
    from gateway.dlms.client.client import Client
    from gateway.meters.inventory import Meter

    Verdict = int | Result | None  # ask it again in so many ms; its end; done with this phase

    class Control(Protocol):
        """How a campaign is bound to its job."""

        async def may_go_on(self) -> bool:
            """Asked before each broadcast and each conversation; returns late while the job is
            paused. False: stop at once (canceled, the window has closed)."""
            ...

        def goes_on(self, member: Member) -> bool:
            """Asked before each frame of a conversation. False: break it off (paused, to be
            stopped, or the meter is wanted by a job that is more urgent)."""
            ...

        async def turn(self, member: Member) -> bool:
            """Whether the meter is free for a conversation now; if so, it is ours until over()."""
            ...

        def over(self, member: Member) -> None: ...

        async def finish(self, member: Member, result: Result) -> None:
            """The result is known."""
            ...


WHERE = "campaign"
SILENT = 3  # conversations in a row in which nothing is heard of a meter: it is not there
MOST_TRIES = 20  # conversations that broke off, in all
TALK_MS = 1_800_000  # the longest conversation with one meter
AGAIN_MS = 10_000  # before the next try, and before a meter that needs time is asked again
TURN_MS = 1_000  # when somebody else speaks to the meter
PATIENCE_MS = 900_000  # for verification, and for activation, before the meter's result is WAIT
GONE_MS = 600_000  # a modem that is out of order for so long ends the transfer
RESULTS_AT_ONCE = 32  # written down side by side

AT_VERIFYING = Result(WAIT, "image-verifying", "the meter verifies", wait_s=WAIT_S)
STARTING = Result(WAIT, "image-activating", "the meter starts the image", wait_s=WAIT_S)


class Member:
    """One meter of a campaign. `again`: the job has been at it before. `token`: the caller's."""

    __slots__ = (
        "activating",
        "again",
        "before",
        "begun_ms",
        "broken",
        "foreign",
        "has",
        "heard",
        "loss",
        "meter",
        "seen",
        "silent",
        "stale",
        "token",
        "told_to_verify",
        "verified",
    )

    def __init__(self, meter: Meter, again: bool, token: Any) -> None:
        self.meter = meter
        self.again = again
        self.token = token
        self.has: Bitmap | None = None  # None: nothing, or not known
        self.seen = 0  # how many rounds had been broadcast when it said so
        self.loss = 0.0  # 0..1 of the blocks broadcast
        self.before = NOT_INITIATED  # its status when it was asked first
        self.stale = False  # what it has may be of an earlier transfer
        self.foreign = False  # it would activate another image
        self.told_to_verify = False  # and has not answered since
        self.verified = False
        self.activating = False  # it has been told to
        self.heard = False
        self.silent = 0  # conversations in a row without an answer
        self.broken = 0  # conversations that broke off, in all
        self.begun_ms = 0  # of what it is being waited for


class Stopped(Exception):
    """The job is not to go on."""


class Gone(Exception):
    """For a long time something of ours has been in the way, such as a modem out of order; the text
    says what."""

    def __init__(self, hindrance: Hindrance) -> None:
        super().__init__(hindrance.text)
        self.reason = hindrance.reason


class _Interrupted(Exception):
    """Between two frames of a conversation: not now."""


class Conversations:
    """`members`: those without a result. `at_once`: conversations side by side. `outlook`: what the
    HES is told of the transfer."""

    def __init__(self, fleet: Fleet, control: Control, at_once: int) -> None:
        self.members: list[Member] = []
        self.kind = fleet.kind
        self.outlook = Outlook(fleet.clock, at_once, 0)
        self._fleet = fleet
        self._clock = fleet.clock
        self._control = control
        self._at_once = max(at_once, 1)
        self._expected_s = {
            "image-verifying": fleet.model.verify_s,
            "image-activating": fleet.model.activate_s,
        }
        self._gone_since: int | None = None
        self._halted: Stopped | Gone | None = None
        self._talked_ms = 0
        self._talks = 0

    def begin(self, members: list[Member]) -> None:
        self.members = list(members)
        self.outlook = Outlook(self._clock, self._at_once, len(members))

    def exchange_ms(self) -> float:
        """What a conversation has taken of the medium's time, on average; 0: there was none."""
        return self._talked_ms / self._talks / self._at_once if self._talks else 0.0

    async def each(
        self, members: list[Member], work: Callable[[Client, Member], Awaitable[Verdict]]
    ) -> None:
        """work() with each meter, several at once."""
        fresh = [member for member in members if member in self.members]
        fresh.reverse()  # the next is the last
        waiting: list[tuple[int, Member]] = []  # those to be asked again, and when
        self.outlook.begin(len(fresh))
        group = Group()
        for _ in range(min(self._at_once, len(fresh))):
            group.start(self._talks_with(fresh, waiting, work))
        await group.wait()
        if self._halted is not None:
            raise self._halted

    async def _talks_with(
        self,
        fresh: list[Member],
        waiting: list[tuple[int, Member]],
        work: Callable[[Client, Member], Awaitable[Verdict]],
    ) -> None:
        """One conversation after the other, until none is left. Who finds that it is not to go on
        stops the others after theirs: none is torn from writing a result down."""
        try:
            while (fresh or waiting) and self._halted is None:
                member = await self._next(fresh, waiting)
                if member is None:
                    continue
                wait_ms: int | None = TURN_MS
                if await self._control.turn(member):
                    try:
                        wait_ms = await self._one(member, work)
                    finally:
                        self._control.over(member)
                if wait_ms is not None:
                    waiting.append((self._clock.ticks_ms() + wait_ms, member))
        except (Stopped, Gone) as halt:
            self._halted = halt

    async def _next(self, fresh: list[Member], waiting: list[tuple[int, Member]]) -> Member | None:
        """Whom to ask now; None: nobody yet."""
        if not await self._control.may_go_on():
            raise Stopped
        now = self._clock.ticks_ms()
        for entry in waiting:
            if entry[0] <= now:
                waiting.remove(entry)
                return entry[1]
        if fresh:
            return fresh.pop()
        if waiting:
            await self.pause(min(min([at for at, _ in waiting]) - now, TURN_MS))
        return None

    async def _one(
        self, member: Member, work: Callable[[Client, Member], Awaitable[Verdict]]
    ) -> int | None:
        """In how many ms it is to be asked again."""

        def check() -> None:
            if not self._control.goes_on(member):
                raise _Interrupted

        began = self._clock.ticks_ms()
        talk = self._fleet.talk(member.meter, lambda client: work(client, member), check)
        try:
            verdict = await self._clock.wait_for_ms(talk, TALK_MS)
        except _Interrupted:
            return TURN_MS
        except asyncio.TimeoutError:
            verdict = self._broken(member, Unreached(True, "no end within %d ms" % TALK_MS))
        except Unreached as unreached:
            verdict = self._broken(member, unreached)
        except NotSupported as error:
            verdict = Result(KO, "block-too-large", readable.one_line(str(error)))
        except DlmsError as error:
            verdict = explained(error, True)
        except InventoryError as error:
            verdict = Result(KO, "no-keys", readable.one_line(str(error)))
        except OSError as error:  # of the flash, as in attempts
            verdict = Result(HINDERED, "flash-full", readable.one_line(str(error)))
        except ModelError as error:
            verdict = Result(KO, error.reason, readable.one_line(str(error)))
        except Exception as error:  # a fault of ours must cost one attempt, not all
            log.error(WHERE, "%s: %s: %s" % (member.meter.serial, type(error).__name__, error))
            verdict = Result(KO, "gateway-error", type(error).__name__)
        else:
            took_ms = self._clock.ticks_ms() - began
            self._talked_ms += took_ms
            self._talks += 1
            self.outlook.talked(took_ms)
            self._gone_since = None
            member.silent, member.heard = 0, True
        if isinstance(verdict, Result):
            await self.end(member, verdict)
            return None
        return verdict

    def _broken(self, member: Member, unreached: Unreached) -> Verdict:
        """A conversation that broke off: whether there is another."""
        member.heard = member.heard or unreached.heard
        hindered = unreached.hindrance
        if hindered is None and not unreached.silent and not self._fleet.up():
            hindered = Hindrance("modem-gone", str(unreached))
        if hindered is not None:
            self._gone(hindered)
            return AGAIN_MS
        member.broken += 1
        member.silent = 0 if unreached.heard else member.silent + 1
        if member.silent < SILENT and member.broken < MOST_TRIES:
            return AGAIN_MS << max(member.silent - 1, 0)
        if member.activating:
            return STARTING  # it may be starting: the next attempt will tell
        if not member.verified and (member.before == VERIFYING or member.told_to_verify):
            return AT_VERIFYING  # it may have no time for us
        reason = "link-lost" if member.heard else "no-answer"
        return Result(KO, reason, readable.one_line(str(unreached)))

    def later(self, member: Member, last: Result) -> int | Result:
        """In how many ms to ask a meter that needs time; past our patience, its end: `last`."""
        self.outlook.waits(member.begun_ms, self._expected_s.get(last.reason, 0))
        if self._clock.ticks_ms() - member.begun_ms < PATIENCE_MS:
            return AGAIN_MS
        return last

    def begin_waiting(self, members: list[Member]) -> None:
        for member in members:
            member.begun_ms = self._clock.ticks_ms()

    async def end(self, member: Member, result: Result) -> None:
        if member in self.members:
            self.members.remove(member)
            await self._control.finish(member, result)

    async def end_all(self, result: Result, members: list[Member] | None = None) -> None:
        """Many at once, which costs the flash less; None: all that are left."""
        left = list(self.members if members is None else members)
        while left:
            group = Group()
            for member in left[:RESULTS_AT_ONCE]:
                group.start(self.end(member, result))
            await group.wait()
            left = left[RESULTS_AT_ONCE:]

    async def pause(self, duration: int) -> None:
        """Not longer than a cancel may wait."""
        end = self._clock.ticks_ms() + duration
        while True:
            if not await self._control.may_go_on():
                raise Stopped
            left = end - self._clock.ticks_ms()
            if left <= 0:
                return
            await self._clock.sleep_ms(min(left, TURN_MS))

    async def broadcast(self, method: int, data: bytes) -> int:
        """How many ms it took."""
        while True:
            if not await self._control.may_go_on():
                raise Stopped
            try:
                began = self._clock.ticks_ms()
                await self._fleet.broadcast(method, data)
                self._gone_since = None
                return self._clock.ticks_ms() - began
            except (OSError, ModemError, NotStored) as error:
                self._gone(hindrance.of(error) or Hindrance("modem-gone", str(error)))
                await self.pause(AGAIN_MS)

    def _gone(self, hindered: Hindrance) -> None:
        """Just now something of ours is in the way."""
        now = self._clock.ticks_ms()
        if self._gone_since is None:
            self._gone_since = now
            log.warning(WHERE, "the transfer waits: %s" % hindered.text)
        if now - self._gone_since > GONE_MS:
            raise Gone(hindered)
