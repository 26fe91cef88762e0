"""What a worker does with all meters of an image job at once: the bond between the job's executions
in the queue and the campaign (activities/image/campaign.py) that carries them out.
"""

from __future__ import annotations

from gateway.activities.image.campaign import Campaign
from gateway.activities.image.conversations import Member
from gateway.activities.image.fleet import Fleet
from gateway.activities.image.transfer import order_of
from gateway.activities.readable import one_line
from gateway.contract.image_file import CIPHERED, UNICAST
from gateway.contract.refused import Refused
from gateway.contract.result import HINDERED, KO, Result
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError
from gateway.work.results import WHERE
from hal.ports import StorageFailed
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.image_file import ImageFile
    from gateway.jobs.queue import Execution, Queue
    from gateway.meters.reach import Heartbeat, Reach
    from gateway.uplink.files import Files
    from gateway.work.results import Results
    from hal.ports import Clock

BETWEEN_MS = 2000  # how often a conversation of a campaign looks whether it may go on
PAUSED_MS = 1000  # how often a paused campaign looks whether it may go on
BROADCAST_BYTES = 320  # a block of 200 bytes, ciphered, and some room


class ManyMeters:
    def __init__(self, reach: Reach, queue: Queue, files: Files, results: Results) -> None:
        self._reach = reach
        self._clock = reach.clock
        self._queue = queue
        self._files = files
        self._results = results

    def fleet(self, execution: Execution, heartbeat: Heartbeat) -> Fleet | None:
        """Whom to speak to all at once; None where each meter is better served by itself."""
        network = self._reach.network
        meter = self._reach.inventory.meter(execution.serial)
        if meter is None or not meter.title:
            return None
        paths = network.usable(meter)
        if not paths or network.broadcast_mtu(paths[0][0]) < BROADCAST_BYTES:
            return None
        try:
            delivery = self._image(execution).delivery
            model = self._reach.model(meter)
            if delivery == UNICAST or not model.broadcast:
                return None
            return Fleet(self._reach, paths[0][0], delivery == CIPHERED, heartbeat, model)
        except (InventoryError, ModelError) as error:
            log.warning(WHERE, "no broadcast: %s" % error)
        except (OSError, Refused):
            pass  # the attempt will say what is wrong with the image
        return None

    async def transfer(self, first: Execution, fleet: Fleet, heartbeat: Heartbeat) -> None:
        """Until each has its result: `first` and those taken with it."""
        executions = [first] + first.others
        log.info(WHERE, "%d meters at once over %s" % (len(executions), fleet.kind))
        bond = _Bond(self._queue, self._results, self._clock, first, fleet.kind, heartbeat)
        members = []
        for execution in executions:
            meter = self._reach.inventory.meter(execution.serial)
            if meter is None:
                await bond.record(execution, Result(KO, "unknown-meter"), "")
                continue
            self._queue.park(execution)
            members.append(Member(meter, execution.again, execution))
        at_once = self._reach.network.slots(fleet.kind) - 1  # one is left for urgent jobs
        try:
            order = order_of(self._image(first), first.job, first.again, self._clock)
            order.model = fleet.model
            campaign = Campaign(fleet, order, bond, at_once)
            self._queue.transfers(first, campaign.outlook)
            await campaign.run(members)
        except Exception as error:  # a fault of ours, or the flash, must not cost the gateway
            log.error(WHERE, "transfer: %s: %s" % (type(error).__name__, error))
            result = Result(KO, "gateway-error", type(error).__name__)
            if isinstance(error, (OSError, StorageFailed)):
                result = Result(HINDERED, "flash-full", one_line(str(error)))
            for member in members:
                if not bond.finished(member):
                    await bond.finish(member, result)
        finally:
            self._queue.transfers(first, None)

    def _image(self, execution: Execution) -> ImageFile:
        package = execution.job.package
        assert package is not None
        return self._files.image(package.digest)


class _Bond:
    """A campaign's bond to its job: conversations.Control."""

    def __init__(
        self,
        queue: Queue,
        results: Results,
        clock: Clock,
        first: Execution,
        kind: str,
        heartbeat: Heartbeat,
    ) -> None:
        self._queue = queue
        self._results = results
        self._clock = clock
        self._first = first
        self._kind = kind
        self._heartbeat = heartbeat
        self._began = clock.ticks_ms()
        self._looked: dict[str, int] = {}  # serial of those in conversation: when (ticks)
        self._finished: set[str] = set()

    async def may_go_on(self) -> bool:
        while True:
            self._heartbeat()
            signal = self._queue.signal(self._first)
            if signal != "pause":
                return signal == "go"
            await self._clock.sleep_ms(PAUSED_MS)

    def goes_on(self, member: Member) -> bool:
        execution = _execution(member)
        now = self._clock.ticks_ms()
        if now - self._looked[execution.serial] < BETWEEN_MS:
            return True
        self._looked[execution.serial] = now
        return self._queue.signal(execution) == "go" and not self._queue.overtaken(execution)

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
        await self.record(execution, result, path)

    async def record(self, execution: Execution, result: Result, path: str) -> None:
        await self._results.record(execution, result, path, self._began, self._heartbeat)

    def finished(self, member: Member) -> bool:
        return _execution(member).serial in self._finished


def _execution(member: Member) -> Execution:
    execution: Execution = member.token
    return execution
