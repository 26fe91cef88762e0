"""Who speaks to which meter: one at a time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.contract.job import Job
    from gateway.jobs.queue import Execution


class InWork:
    def __init__(self) -> None:
        self._working: dict[str, Execution] = {}
        # Of a transfer to many meters, while none of its conversations is with this one.
        self._parked: dict[str, Execution] = {}
        self._lent: set[str] = set()  # for work that is no job's

    def executions(self) -> Iterator[Execution]:
        for held in (self._parked, self._working):
            yield from held.values()

    def count(self) -> int:
        """Executions in hand."""
        return max(len(self._working), 1) + len(self._parked)

    def is_free(self, serial: str, job: Job) -> bool:
        """Whether no other job is in the way: nobody speaks to the meter, or only in the breaks of
        a transfer of an image that is less urgent; two images at once are too many."""
        parked = self._parked.get(serial)
        return serial not in self._working and (
            parked is None or (job.priority > parked.job.priority and not job.traits.exclusive)
        )

    def is_lent(self, serial: str) -> bool:
        return serial in self._lent

    def lend(self, serial: str, priority: int) -> bool:
        """For work of this priority that is no job's: False while the meter is not free for it."""
        parked = self._parked.get(serial)
        if serial in self._working or serial in self._lent:
            return False
        if parked is not None and priority <= parked.job.priority:
            return False
        self._lent.add(serial)
        return True

    def give_back(self, serial: str) -> None:
        self._lent.remove(serial)

    def begin(self, execution: Execution) -> None:
        self._working[execution.serial] = execution

    def abandon(self, execution: Execution) -> None:
        del self._working[execution.serial]

    def park(self, execution: Execution) -> bool:
        """False: it is not in work."""
        if self._working.get(execution.serial) is not execution:
            return False
        del self._working[execution.serial]
        self._parked[execution.serial] = execution
        return True

    def unpark(self, execution: Execution) -> bool:
        """False while somebody else speaks to its meter."""
        serial = execution.serial
        if serial in self._working:
            return self._working[serial] is execution
        if serial in self._lent:
            return False
        self._parked.pop(serial, None)
        self._working[serial] = execution
        return True

    def holds(self, execution: Execution) -> bool:
        serial = execution.serial
        return execution in (self._working.get(serial), self._parked.get(serial))

    def end(self, execution: Execution) -> None:
        for held in (self._working, self._parked):
            if held.get(execution.serial) is execution:
                del held[execution.serial]
