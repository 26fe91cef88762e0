"""What a worker does with one meter for a task: one visit, and what came of it for the run."""

from __future__ import annotations

from gateway.contract.result import HINDERED, OK, TRIED_AGAIN, Result
from gateway.meters.reach import GivenUp
from gateway.meters.traffic import Traffic
from gateway.tasks.traffic import TrafficOfTasks
from gateway.work.results import WHERE
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.activities.attempt import Attempts
    from gateway.activities.readings import Collected, Collector, Recorder
    from gateway.contract.model import Model
    from gateway.contract.task import Task
    from gateway.dlms.client.client import Client
    from gateway.jobs.queue import Queue
    from gateway.meters.reach import Heartbeat
    from gateway.tasks.runs import Errand, Runs
    from gateway.work.giving_way import GivingWay


class TaskMeter:
    """`attempts()`, `collector()`: made with the first visit, for until then nothing of DLMS is in
    memory. `recorder(task)`: who records what a visit reads, durably; OSError."""

    def __init__(
        self,
        queue: Queue,
        runs: Runs,
        giving_way: GivingWay,
        attempts: Callable[[], Attempts],
        collector: Callable[[], Collector],
        recorder: Callable[[Task], Recorder],
    ) -> None:
        self.traffic = TrafficOfTasks()
        self._queue = queue
        self._runs = runs
        self._giving_way = giving_way
        self._attempts = attempts
        self._make_collector = collector
        self._recorder = recorder
        self._made: Collector | None = None

    async def visit(self, errand: Errand, heartbeat: Heartbeat) -> None:
        """Returns when the run knows what came of it. The meter, which was lent, is given back."""
        serial, task = errand.serial, errand.task
        traffic = Traffic(self.traffic.of(task))
        found: list[Collected] = []
        log.info(WHERE, "%s: task %s" % (serial, task.name))
        try:
            result, path = await self._visited(errand, found, heartbeat, traffic)
        except GivenUp:
            log.info(WHERE, "%s: task %s gives way to a job" % (serial, task.name))
            self._runs.give_up(errand)
            return
        except BaseException:
            self._runs.give_up(errand)
            raise
        finally:
            self._queue.give_back(serial)
            self._queue.wake()
        rows, reason = 0, result.reason
        if result.outcome == OK:
            self.traffic.note(task, traffic.sent)
            rows, reason = found[-1].rows, _worst(found[-1].gaps)
        text = (serial, task.name, result.outcome, reason or result.detail, path, rows)
        log.info(WHERE, "%s: task %s: %s %s %s, %d rows" % text)
        self._runs.finish(errand, result.outcome, reason, rows, result.wait_s)

    def forget(self, serial: str) -> None:
        """What is known of the meter's profiles: a job may have changed it."""
        if self._made is not None:
            self._made.forget(serial)

    async def _visited(
        self, errand: Errand, found: list[Collected], heartbeat: Heartbeat, traffic: Traffic
    ) -> tuple[Result, str]:
        task, check = errand.task, self._giving_way.checker(errand)
        attempts, collector = self._attempts(), self.collector()
        try:
            recorder = self._recorder(task)
        except OSError as error:
            return Result(HINDERED, "flash-full", "readings: %s" % error), ""

        async def work(client: Client, serial: str, order: Any, model: Model) -> Result:
            found.append(
                await collector.collect(
                    client, serial, model, task.items, recorder, task.name, task.keep
                )
            )
            return Result(OK, "read")

        return await attempts.visit(errand.serial, work, None, heartbeat, traffic, check)

    def collector(self) -> Collector:
        """Made with the first visit; it knows the meters' profiles."""
        if self._made is None:
            self._made = self._make_collector()
        return self._made


def _worst(gaps: list[str]) -> str:
    """The reason to go by: one for which the meter is asked again, if there is one."""
    again = [gap for gap in gaps if gap in TRIED_AGAIN]
    return (again + gaps + [""])[0]
