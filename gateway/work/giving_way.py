"""When a conversation for a task is broken off for a job, at its next APDU: it goes on later from
the last row that is here.

Jobs that are as urgent as the task or more go first. One conversation gives way for each execution
that waits, so that the others go on; none does for a job that could not begin even then.
"""

from __future__ import annotations

from gateway.meters.reach import GivenUp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.job import Job
    from gateway.jobs.queue import Queue
    from gateway.meters.reach import Reach
    from gateway.tasks.runs import Errand

LOOK_MS = 250  # how often a conversation looks
TURN_MS = 500  # within which a slot that was given up has found its job


class GivingWay:
    """`idle`: how many workers have nothing in hand; kept up to date by them."""

    def __init__(self, reach: Reach, queue: Queue) -> None:
        self.idle = 0
        self._network = reach.network
        self._inventory = reach.inventory
        self.clock = reach.clock
        self._queue = queue
        self._next = 0  # ticks, when a slot may be given up again

    def checker(self, errand: Errand) -> Checker:
        return Checker(self, errand)

    def must(self, errand: Errand) -> bool:
        now = self.clock.ticks_ms()
        least = errand.task.priority
        own = self._queue.waits_for(errand.serial, least)
        if own or now < self._next:
            return own
        mine = self._inventory.meter(errand.serial)
        kinds = [] if mine is None else [kind for kind, _ in mine.paths]
        if self._queue.waits(least, lambda serial, job: self._needs_room(kinds, serial, job)):
            self._next = now + TURN_MS
            return True
        return False

    def _needs_room(self, kinds: list[str], serial: str, job: Job) -> bool:
        """Whether the job could begin with this meter if one more worker, or a slot on one of these
        kinds of path, were free."""
        if self._queue.is_lent(serial):
            return False
        meter = self._inventory.meter(serial)
        if meter is None:
            return self.idle < 1
        traffic = self._queue.traffic.of(job)
        if self._network.ready(meter, traffic):
            return self.idle < 1
        for path in self._network.usable(meter):
            found = self._network.hindrance_of(path, traffic)
            if found is not None and found.reason == "no-slot" and path[0] in kinds:
                return True
        return False


class Checker:
    """Called before each APDU of the errand's conversation."""

    def __init__(self, giving_way: GivingWay, errand: Errand) -> None:
        self._giving_way = giving_way
        self._errand = errand
        self._next = 0  # ticks

    def __call__(self) -> None:
        now = self._giving_way.clock.ticks_ms()
        if now >= self._next:
            self._next = now + LOOK_MS
            if self._giving_way.must(self._errand):
                raise GivenUp("a job is more urgent")
