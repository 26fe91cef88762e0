"""The workers: each takes one execution after the other from the queue, has it carried out, and
puts its result into the ledger. An image for many meters is one worker's campaign for all of them
(activities/image/campaign.py); the others go on with what else there is.
"""

from __future__ import annotations

import asyncio

from gateway.activities.image.campaign import Campaign
from gateway.activities.image.conversations import Member
from gateway.activities.image.fleet import Fleet
from gateway.activities.image.transfer import Order as ImageOrder
from gateway.contract.image_file import CIPHERED, UNICAST
from gateway.contract.job import IMAGE
from gateway.contract.refused import Refused
from gateway.contract.result import KO, Result
from gateway.jobs.ledger import LedgerError
from gateway.meters.inventory import InventoryError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.activities.attempt import Attempts
    from gateway.contract.image_file import ImageFile
    from gateway.jobs.queue import Execution, Queue
    from gateway.meters.counters import Counters
    from gateway.meters.inventory import Inventory, Meter
    from gateway.meters.network import Network
    from gateway.uplink.files import Files
    from hal.ports import Clock, Crypto

    Progress = Callable[[], None]
    Patience = dict[str, tuple[int, int]]

WHERE = "work"
FULL_MS = 250  # how often it looks while all slots of all modems are taken
TURN_MS = 60000  # how often a worker that waits for its turn to look shows that it lives
LOOK_MS = 1000  # how often a worker without work looks whether a modem has room or has come back
STORAGE_PAUSE_MS = 5000  # after the flash refused a record
BETWEEN_MS = 2000  # how often a conversation of a campaign looks whether it may go on
PAUSED_MS = 1000  # how often a paused campaign looks whether it may go on
LEAST_CAMPAIGN = 3  # meters for which a broadcast is worth its while
BROADCAST_BYTES = 320  # a block of 200 bytes, ciphered, and some room


class Worker:
    """run() it as one task; any number may run side by side. `patience`: for each kind of path the
    timeout of one DLMS request in ms, and how often it is sent in all."""

    def __init__(
        self,
        clock: Clock,
        crypto: Crypto,
        queue: Queue,
        files: Files,
        network: Network,
        inventory: Inventory,
        counters: Counters,
        attempts: Attempts,
        system_title: bytes,
        patience: Patience,
    ) -> None:
        self._clock = clock
        self._crypto = crypto
        self._queue = queue
        self._files = files
        self._network = network
        self._inventory = inventory
        self._counters = counters
        self._attempts = attempts
        self._system_title = system_title
        self._patience = patience
        self._looking = asyncio.Lock()

    async def run(self, progress: Progress) -> None:
        """For ever; `progress()` is called whenever there is some."""
        claimed: list[Meter] = []

        def claim(serial: str) -> bool:
            """Whether a worker may begin with this meter now. An unknown one ends at once: yes."""
            meter = self._inventory.meter(serial)
            if meter is None:
                return True
            if not self._network.claim(meter):
                return False
            claimed.append(meter)
            return True

        fleets: list[Fleet] = []

        def together(execution: Execution) -> Callable[[str], bool] | None:
            fleet = self._fleet(execution)
            if fleet is None:
                return None
            fleets.append(fleet)
            return lambda serial: self._is_of(fleet, serial)

        while True:
            await self._my_turn(progress)
            try:
                fleets.clear()
                while claimed:
                    self._network.release(claimed.pop())
                execution = await self._next(claim, together)
            finally:
                self._looking.release()
            if execution is None:
                continue
            if not fleets:
                await self._attempt(execution, progress)
                continue
            while claimed:
                self._network.release(claimed.pop())
            await self._campaign(execution, fleets[0], progress)

    async def _my_turn(self, progress: Progress) -> None:
        """One worker at a time looks for work; the others wait here."""
        while True:
            progress()
            try:
                await self._clock.wait_for_ms(self._looking.acquire(), TURN_MS)
                return
            except asyncio.TimeoutError:
                pass

    async def _next(
        self,
        claim: Callable[[str], bool],
        together: Callable[[Execution], Callable[[str], bool] | None],
    ) -> Execution | None:
        """None: nothing now; something may have come up since."""
        if self._network.full():
            await self._idle(FULL_MS)
            return None
        try:
            execution = await self._queue.begin(claim, together)
        except OSError as error:
            log.error(WHERE, "storage: cannot begin an attempt: %s" % error)
            await self._clock.sleep_ms(STORAGE_PAUSE_MS)
            return None
        if execution is None:
            await self._idle(LOOK_MS)
        return execution

    async def _idle(self, most_ms: int) -> None:
        try:
            limit = min(self._queue.next_due_ms(), most_ms)
            await self._clock.wait_for_ms(self._queue.changed(), limit)
        except asyncio.TimeoutError:
            pass

    # ------------------------------------------------------------ one meter

    async def _attempt(self, execution: Execution, progress: Progress) -> None:
        began = self._clock.ticks_ms()
        log.info(WHERE, "%s: attempt %d" % (execution.serial, execution.attempt))
        path = ""
        try:
            order = self._order(execution)
        except Refused as refused:
            result = Result(KO, refused.reason, refused.detail)
        except OSError as error:
            result = Result(KO, "package-unavailable", "storage: %s" % error)
        else:
            result, path = await self._attempts.run(
                execution.serial, execution.job.kind, order, progress
            )
        log.info(WHERE, "%s: %s %s %s" % (execution.serial, result.outcome, result.reason, path))
        await self.done(execution, result, path, began, progress)

    def _order(self, execution: Execution) -> Any:
        """What the activity is to do. Refused, OSError."""
        job = execution.job
        if job.package is None:
            return job.objects
        if job.kind == IMAGE:
            return self._image_order(execution)
        return self._files.package(job.package.digest)

    def _image_order(self, execution: Execution) -> ImageOrder:
        job = execution.job
        return ImageOrder(self._image(execution), job.activation, execution.again, self._clock)

    def _image(self, execution: Execution) -> ImageFile:
        package = execution.job.package
        assert package is not None
        return self._files.image(package.digest)

    async def done(
        self, execution: Execution, result: Result, path: str, began: int, progress: Progress
    ) -> None:
        """Into the ledger, however long the flash refuses: what happened on a meter is not
        forgotten. `began`: ticks at the beginning of the attempt."""
        duration_ms = self._clock.ticks_ms() - began
        while True:
            progress()
            try:
                await self._queue.finish(execution, result, path, duration_ms)
                return
            except OSError as error:
                log.error(WHERE, "storage: cannot record a result: %s" % error)
                await self._clock.sleep_ms(STORAGE_PAUSE_MS)
            except LedgerError as error:
                # Recovery from the refused record has put the execution back into the queue: the
                # next attempt finds the meter as this one left it.
                log.error(WHERE, "ledger: %s" % error)
                return

    # ------------------------------------------------------------ many meters

    def _fleet(self, execution: Execution) -> Fleet | None:
        """Whom to speak to all at once; None where each meter is better served by itself."""
        if execution.job.kind != IMAGE or self._queue.due(execution) + 1 < LEAST_CAMPAIGN:
            return None
        meter = self._inventory.meter(execution.serial)
        if meter is None or not meter.title:
            return None
        paths = self._network.usable(meter)
        if not paths or self._network.broadcast_mtu(paths[0][0]) < BROADCAST_BYTES:
            return None
        kind = paths[0][0]
        try:
            delivery = self._image(execution).delivery
            if delivery == UNICAST:
                return None
            return Fleet(
                self._network,
                self._inventory,
                self._counters,
                self._clock,
                self._crypto,
                self._system_title,
                self._patience[kind],
                kind,
                delivery == CIPHERED,
            )
        except InventoryError as error:
            log.warning(WHERE, "no broadcast: %s" % error)
        except (OSError, Refused):
            pass  # the attempt will say what is wrong with the image
        return None

    def _is_of(self, fleet: Fleet, serial: str) -> bool:
        meter = self._inventory.meter(serial)
        return meter is not None and fleet.reaches(meter)

    async def _campaign(self, first: Execution, fleet: Fleet, progress: Progress) -> None:
        began = self._clock.ticks_ms()
        executions = [first] + first.others
        log.info(WHERE, "%d meters at once over %s" % (len(executions), fleet.kind))
        control = _Control(self, self._queue, self._clock, fleet.kind, first, began, progress)
        members = []
        for execution in executions:
            meter = self._inventory.meter(execution.serial)
            if meter is None:
                result = Result(KO, "unknown-meter")
                await self.done(execution, result, "", began, progress)
                continue
            self._queue.park(execution)
            members.append(Member(meter, execution.again, execution))
        at_once = self._network.slots(fleet.kind) - 1  # one is left for urgent jobs
        campaign = Campaign(fleet, self._image_order(first), control, at_once)
        self._queue.transfers(first, campaign.standing)
        try:
            await campaign.run(members)
        except Exception as error:  # a fault of ours, or the flash, must not cost the gateway
            log.error(WHERE, "transfer: %s: %s" % (type(error).__name__, error))
            for member in members:
                if not control.finished(member):
                    result = Result(KO, "gateway-error", type(error).__name__)
                    await control.finish(member, result)
        finally:
            self._queue.transfers(first, None)


class _Control:
    """A campaign's bond to its job: crowd.Control."""

    def __init__(
        self,
        worker: Worker,
        queue: Queue,
        clock: Clock,
        kind: str,
        first: Execution,
        began: int,
        progress: Progress,
    ) -> None:
        self._worker = worker
        self._queue = queue
        self._clock = clock
        self._kind = kind
        self._first = first
        self._began = began
        self._progress = progress
        self._looked: dict[str, int] = {}  # serial of those in conversation: when (ticks)
        self._finished: set[str] = set()

    async def may_go_on(self) -> bool:
        while True:
            self._progress()
            standing = self._queue.standing(self._first)
            if standing != "pause":
                return standing == "go"
            await self._clock.sleep_ms(PAUSED_MS)

    def goes_on(self, member: Member) -> bool:
        self._progress()
        execution = _execution(member)
        now = self._clock.ticks_ms()
        if now - self._looked[execution.serial] < BETWEEN_MS:
            return True
        self._looked[execution.serial] = now
        return self._queue.standing(execution) == "go" and not self._queue.overtaken(execution)

    async def turn(self, member: Member) -> bool:
        execution = _execution(member)
        if not self._queue.unpark(execution):
            return False
        self._looked[execution.serial] = self._clock.ticks_ms()
        return True

    def over(self, member: Member) -> None:
        execution = _execution(member)
        del self._looked[execution.serial]
        self._queue.park(execution)

    async def finish(self, member: Member, result: Result) -> None:
        execution = _execution(member)
        self._finished.add(execution.serial)
        path = "" if result.reason == "no-answer" else self._kind
        log.info(WHERE, "%s: %s %s" % (execution.serial, result.outcome, result.reason))
        await self._worker.done(execution, result, path, self._began, self._progress)

    def finished(self, member: Member) -> bool:
        return _execution(member).serial in self._finished


def _execution(member: Member) -> Execution:
    execution: Execution = member.token
    return execution
