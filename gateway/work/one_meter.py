"""What a worker does with one meter: one attempt at what its job orders, and the result kept."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.contract.result import HINDERED, KO, Result
from gateway.meters.traffic import Traffic
from gateway.work.results import WHERE
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.activities.attempt import Attempts
    from gateway.jobs.queue import Execution, Queue
    from gateway.meters.reach import Heartbeat, Reach
    from gateway.uplink.files import Files
    from gateway.work.asked_readings import AskedReadings
    from gateway.work.results import Results


class OneMeter:
    """`asked`: what a job that asks for rows needs; None: this concentrator keeps none."""

    def __init__(
        self, reach: Reach, queue: Queue, files: Files, results: Results, attempt_ms: int
    ) -> None:
        self.asked: AskedReadings | None = None
        self._reach = reach
        self._learned = queue.traffic
        self._files = files
        self._results = results
        self._attempt_ms = attempt_ms
        self._attempts: Attempts | None = None
        self._clock = reach.clock

    async def attempt(self, execution: Execution, heartbeat: Heartbeat) -> None:
        began = self._clock.ticks_ms()
        log.info(WHERE, "%s: attempt %d" % (execution.serial, execution.attempt))
        path = ""
        try:
            ranged = execution.job.traits.ranged
            order = await self._rows_of(execution) if ranged else self._order(execution)
            attempts = self.attempts()
        except Refused as refused:
            result = Result(KO, refused.reason, refused.detail)
        except OSError as error:
            result = Result(HINDERED, "flash-full", "the package cannot be read: %s" % error)
        else:
            result, path = await self._carried_out(execution, order, attempts, heartbeat)
        log.info(WHERE, "%s: %s %s %s" % (execution.serial, result.outcome, result.reason, path))
        await self._results.record(execution, result, path, began, heartbeat)

    async def _carried_out(
        self, execution: Execution, order: Any, attempts: Attempts, heartbeat: Heartbeat
    ) -> tuple[Result, str]:
        job = execution.job
        if job.traits.ranged and order.is_here():
            done: Result = order.done()
            return done, ""
        traffic = Traffic(self._learned.of(job))
        result, path = await attempts.run(execution.serial, job.kind, order, heartbeat, traffic)
        if result.outcome not in (KO, HINDERED):
            self._learned.note(job, traffic.sent)
        return result, path

    async def _rows_of(self, execution: Execution) -> Any:
        """As _order(), for a job that asks for rows."""
        if self.asked is None:
            raise Refused("service-refused", "this concentrator keeps no readings")
        return await self.asked.order(execution)

    def _order(self, execution: Execution) -> Any:
        """What the activity is to do. Refused, OSError."""
        from gateway.activities import activity

        job = execution.job
        content: Any = job.objects
        if job.package is not None:
            content = self._files.proven(job.traits.takes, job.package.digest)
        return activity.order_of(job, content, execution.again, self._clock)

    def attempts(self) -> Attempts:
        """Made with the first job: until then nothing of DLMS is in memory."""
        if self._attempts is None:
            from gateway.activities.attempt import Attempts

            self._attempts = Attempts(self._reach, self._attempt_ms)
        return self._attempts
