"""The workers: each takes one execution after the other from the queue and has it carried out;
where no job has anything to do, or only less urgent ones, a meter of a task that is due
(gateway/tasks). A job that may be broadcast is one worker's campaign for all its meters
(many_meters.py, imported when the first one comes); the others go on with what else there is.
"""

from __future__ import annotations

import asyncio

from gateway.contract.kinds import OBJECTS
from gateway.work.giving_way import GivingWay
from gateway.work.one_meter import OneMeter
from gateway.work.results import STORAGE_PAUSE_MS, WHERE, Results
from gateway.work.task_meter import TaskMeter
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.activities.image.fleet import Fleet
    from gateway.activities.readings import Collector, Recorder
    from gateway.contract.job import Job
    from gateway.contract.task import Task
    from gateway.jobs.queue import Execution, Queue
    from gateway.meters.inventory import Meter
    from gateway.meters.reach import Heartbeat, Reach
    from gateway.readings.recorder import Recorder as AskedRecorder
    from gateway.tasks.runs import Errand, Runs
    from gateway.tasks.traffic import TrafficOfTasks
    from gateway.uplink.files import Files
    from gateway.work.many_meters import ManyMeters

FULL_MS = 250  # how often it looks while all slots of all modems are taken
TURN_MS = 60000  # how often a worker that waits for its turn to look shows that it lives
LOOK_MS = 1000  # how often a worker without work looks whether a modem has room or has come back
LEAST_CAMPAIGN = 3  # meters for which a broadcast is worth its while


class Worker:
    """run() it as one task; any number may run side by side."""

    def __init__(
        self,
        reach: Reach,
        queue: Queue,
        files: Files,
        attempt_ms: int,
        runs: Runs | None = None,
        collector: Callable[[], Collector] | None = None,
        recorder: Callable[[Task], Recorder] | None = None,
        asked: Callable[[], AskedRecorder] | None = None,
    ) -> None:
        """attempt_ms: as of Attempts. `runs` of tasks, with `collector()` and `recorder(task)` of
        TaskMeter; `asked()`: a recorder for what a job asks for."""
        self._reach = reach
        self._clock = reach.clock
        self._queue = queue
        self._files = files
        self._results = Results(queue, reach.clock)
        self._one_meter = OneMeter(reach, queue, files, self._results, attempt_ms)
        self._many_meters: ManyMeters | None = None
        self._looking = asyncio.Lock()
        self._giving_way = GivingWay(reach, queue)
        self._runs = runs
        self._task_meter: TaskMeter | None = None
        if runs is not None and collector is not None and recorder is not None:
            attempts = self._one_meter.attempts
            self._task_meter = TaskMeter(
                queue, runs, self._giving_way, attempts, collector, recorder
            )
        if self._task_meter is not None and asked is not None:
            from gateway.work.asked_readings import AskedReadings

            self._one_meter.asked = AskedReadings(reach, self._task_meter.collector, asked)

    async def run(self, heartbeat: Heartbeat) -> None:
        """For ever; `heartbeat()` is called whenever there is some progress."""
        tasks = self._task_meter
        look = _Look(
            self._reach,
            self._queue,
            None if tasks is None else tasks.traffic,
            lambda execution: self._fleet(execution, heartbeat),
        )
        self._giving_way.idle += 1
        while True:
            await self._my_turn(heartbeat)
            try:
                look.begin_anew()
                execution, errand = await self._next(look)
            finally:
                self._looking.release()
            self._giving_way.idle -= 1
            try:
                if errand is not None and tasks is not None:
                    await tasks.visit(errand, heartbeat)
                elif execution is not None:
                    await self._carry_out(execution, look, heartbeat)
            finally:
                self._giving_way.idle += 1

    async def _carry_out(self, execution: Execution, look: _Look, heartbeat: Heartbeat) -> None:
        if look.fleet is None:
            await self._one_meter.attempt(execution, heartbeat)
        else:
            look.give_back()
            await self._many().transfer(execution, look.fleet, heartbeat)
        traits = execution.job.traits
        if self._task_meter is not None and traits.takes != OBJECTS and not traits.compares:
            for each in [execution] + execution.others:
                self._task_meter.forget(each.serial)

    async def _my_turn(self, heartbeat: Heartbeat) -> None:
        """One worker at a time looks for work; the others wait here."""
        while True:
            heartbeat()
            try:
                await self._clock.wait_for_ms(self._looking.acquire(), TURN_MS)
                return
            except asyncio.TimeoutError:
                pass

    async def _next(self, look: _Look) -> tuple[Execution | None, Errand | None]:
        """Neither: nothing now; something may have come up since."""
        if self._reach.network.full():
            await self._idle(FULL_MS)
            return None, None
        runs = self._runs
        urgency = -1 if runs is None else runs.urgency()
        try:
            execution = await self._begin(look, urgency)
            if execution is None and runs is not None and urgency >= 0:
                errand = runs.take(look.may_visit)
                if errand is not None:
                    return None, errand
                execution = await self._begin(look, 0)
        except OSError as error:
            log.error(WHERE, "storage: cannot begin an attempt: %s" % error)
            await self._clock.sleep_ms(STORAGE_PAUSE_MS)
            return None, None
        if execution is None:
            await self._idle(LOOK_MS)
        return execution, None

    async def _begin(self, look: _Look, least: int) -> Execution | None:
        """Of a job of at least this priority."""
        look.least = least
        return await self._queue.begin(look.may_begin, look.who_joins)

    async def _idle(self, most_ms: int) -> None:
        try:
            limit = min(self._queue.next_due_ms(), most_ms)
            await self._clock.wait_for_ms(self._queue.changed(), limit)
        except asyncio.TimeoutError:
            pass

    def _fleet(self, execution: Execution, heartbeat: Heartbeat) -> Fleet | None:
        """Whom to speak to all at once; None where each meter is better served by itself."""
        if not execution.job.traits.broadcast:
            return None
        if self._queue.due(execution) + 1 < LEAST_CAMPAIGN:
            return None
        return self._many().fleet(execution, heartbeat)

    def _many(self) -> ManyMeters:
        if self._many_meters is None:
            from gateway.work.many_meters import ManyMeters  # what few boards ever need

            self._many_meters = ManyMeters(self._reach, self._queue, self._files, self._results)
        return self._many_meters


class _Look:
    """One worker's look for work: the meters for which a slot is kept meanwhile, and whether all
    meters of the job found are to be spoken to at once. `least`: jobs of lower priority are passed
    over."""

    def __init__(
        self,
        reach: Reach,
        queue: Queue,
        traffic_of_tasks: TrafficOfTasks | None,
        fleet_for: Callable[[Execution], Fleet | None],
    ) -> None:
        self.fleet: Fleet | None = None
        self.least = 0
        self._reach = reach
        self._queue = queue
        self._traffic_of_tasks = traffic_of_tasks
        self._fleet_for = fleet_for
        self._claimed: list[Meter] = []

    def begin_anew(self) -> None:
        self.fleet = None
        self.give_back()

    def give_back(self) -> None:
        """Slots that were kept and not used."""
        while self._claimed:
            self._reach.network.release(self._claimed.pop())

    def may_begin(self, serial: str, job: Job) -> bool:
        """Whether a worker may begin with this meter now. An unknown one ends at once: yes."""
        return job.priority >= self.least and self._claims(serial, self._queue.traffic.of(job))

    def may_visit(self, serial: str, task: Task) -> bool:
        """As may_begin(); the meter is lent."""
        assert self._traffic_of_tasks is not None
        if not self._queue.lend(serial, task.priority):
            return False
        if self._claims(serial, self._traffic_of_tasks.of(task)):
            return True
        self._queue.give_back(serial)
        return False

    def _claims(self, serial: str, traffic: tuple[int, int]) -> bool:
        meter = self._reach.inventory.meter(serial)
        if meter is None:
            return True
        if not self._reach.network.claim(meter, traffic):
            return False
        self._claimed.append(meter)
        return True

    def who_joins(self, execution: Execution) -> Callable[[str], bool] | None:
        fleet = self.fleet = self._fleet_for(execution)
        return None if fleet is None else lambda serial: self._is_of(fleet, serial)

    def _is_of(self, fleet: Fleet, serial: str) -> bool:
        meter = self._reach.inventory.meter(serial)
        return meter is not None and fleet.reaches(meter)
