"""The queue: which execution is next; what becomes of one that has been tried is in outcomes.py.

The ledger remembers; this decides. A job waits with its priority, and gains one level for every
`ageing_s` it has waited, but not the level of the urgent ones (9), which nothing overtakes. A meter
is in work for one job at a time.

A job with a package does not start before `release(job_id)`: whoever fetches packages calls it once
the package is at hand, after a restart too, or `fail_job()` if it never will be.
"""

from __future__ import annotations

import asyncio

from gateway.contract.job import URGENT, State
from gateway.contract.result import KO, Result
from gateway.contract.window import opening
from gateway.jobs.forecast import Durations
from gateway.jobs.foresight import Foresight
from gateway.jobs.in_work import InWork
from gateway.jobs.meter_order import MeterOrder, queued
from gateway.jobs.outcomes import MAX_BACKOFF_S, Outcomes
from gateway.jobs.remaining import Standing
from gateway.jobs.traffic import TrafficOfJobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from gateway.contract.job import Job
    from gateway.jobs.entry import Entry
    from gateway.jobs.foresight import Transfer
    from gateway.jobs.ledger import Ledger
    from gateway.jobs.progress import Progress
    from hal.ports import Clock

AGEING_S = 3600
# A job that makes the gateway restart is not tried for ever: attempts that a restart interrupted do
# not count, but their number has an end, which their pauses put off by ten days at least.
_MOST_ATTEMPTS = 255
_IDLE_MS = 3600000
_NONE = b"-"  # instead of the digest of the one image that may travel now


class Execution:
    """One attempt, counted from 1, of a job on the meter `serial`. For one worker, until it calls
    Queue.finish(). `tries`: attempts so far that count. `again`: the job has been at this meter
    before. `others`: taken together with it, for the same worker.
    """

    __slots__ = ("again", "attempt", "index", "job", "others", "seq", "serial", "tries")

    def __init__(
        self, job: Job, seq: int, index: int, attempt: int, tries: int, again: bool
    ) -> None:
        self.job = job
        self.seq = seq
        self.index = index
        self.attempt = attempt
        self.tries = tries
        self.again = again
        self.others: list[Execution] = []
        self.serial = job.serials[index]


class Queue:
    """`random(n)` gives n random bytes, for the jitter; `cost(serial)`: what an exchange with the
    meter is likely to take of its medium (gateway/jobs/meter_order.py); `standing(job, serial)`:
    how it stands with the meter now (gateway/jobs/remaining.py). Times as in hal.ports."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        random: Callable[[int], bytes],
        ageing_s: int = AGEING_S,
        max_backoff_s: int = MAX_BACKOFF_S,
        durations: Durations | None = None,
        cost: Callable[[str], int] | None = None,
        standing: Callable[[Job, str], Standing] | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._ageing_ms = ageing_s * 1000
        self._in_work = InWork()
        self._released: set[bytes] = set()
        standing = standing or _free
        self._outcomes = Outcomes(ledger, clock, random, max_backoff_s, standing)
        self._foresight = Foresight(
            ledger, clock, durations or Durations(clock), standing, self._outcomes.usual_backoff_ms
        )
        self._meter_order = MeterOrder(cost or _alike)
        self.traffic = TrafficOfJobs()
        self._version = 0
        self._waiters: list[asyncio.Event] = []
        ledger.on_change = self.wake

    def take(
        self,
        usable: Callable[[str, Job], bool],
        who_joins: Callable[[Execution], Callable[[str], bool] | None] | None = None,
    ) -> Execution | None:
        """The most urgent execution that is due, on a meter that is free and for which
        `usable(serial, job)` holds (its path can be used right now). It is asked last: the
        execution it says yes to is taken. The attempt is in the ledger when this returns. None:
        nothing at the moment.

        who_joins(execution): None, or what must hold of a meter's serial for its execution of the
        same job to be taken with it (`others`).
        """
        self.expire()
        now_ms = self._clock.ticks_ms()
        image = self._image_in_work()
        for entry in self._by_urgency(now_ms):
            if image and entry.job.traits.exclusive and _image(entry.job) != image:
                # One image at a time: a meter that is in the midst of another would take blocks
                # that are broadcast. What is more urgent waits for what is in hand, no longer.
                if self._any_due(entry, now_ms):
                    image = _NONE
                continue
            index = self._due_in(entry, now_ms, usable)
            if index is not None:
                execution = self._started(entry, index)
                joins = None if who_joins is None else who_joins(execution)
                if joins is not None:
                    execution.others = self._gathered(entry, now_ms, joins)
                return execution
        return None

    def _image_in_work(self) -> bytes:
        """Its digest; empty: none."""
        for execution in self._in_work.executions():
            if execution.job.traits.exclusive:
                return _image(execution.job)
        return b""

    def _any_due(self, entry: Entry, now_ms: int) -> bool:
        return any(entry.due.get(index, 0) <= now_ms for index in queued(entry))

    def _gathered(self, entry: Entry, now_ms: int, joins: Callable[[str], bool]) -> list[Execution]:
        taken = []
        for index in queued(entry):
            serial = entry.job.serials[index]
            ripe = entry.due.get(index, 0) <= now_ms and not self._worn_out(entry, index)
            if ripe and self._in_work.is_free(serial, entry.job) and joins(serial):
                taken.append(self._started(entry, index))
        return taken

    def _started(self, entry: Entry, index: int) -> Execution:
        before = self._ledger.reason_of(entry, index)
        attempt = self._ledger.started(entry.seq, index)
        again = attempt > 1 or before != ""
        tries = entry.tries(index)
        execution = Execution(entry.job, entry.seq, index, attempt, tries, again)
        self._in_work.begin(execution)
        return execution

    async def begin(
        self,
        usable: Callable[[str, Job], bool],
        who_joins: Callable[[Execution], Callable[[str], bool] | None] | None = None,
    ) -> Execution | None:
        """take() for many workers: those who call it or finish() in the same turn of the loop share
        one sync of the flash. After an OSError nothing has been taken.
        """
        execution = None
        try:
            with self._ledger.deferred():
                execution = self.take(usable, who_joins)
            await self._ledger.durable()
        except BaseException as error:
            self._foresight.flash_refuses = isinstance(error, OSError)
            if execution is not None:
                for taken in [execution] + execution.others:
                    self._in_work.abandon(taken)
            raise
        self._foresight.flash_refuses = False
        return execution

    # Work that is no job's goes to meters that are lent for it, one at a time (gateway/work).

    def lend(self, serial: str, priority: int) -> bool:
        """False while a job speaks to the meter, or one that is as urgent does now and then."""
        return self._in_work.lend(serial, priority)

    def give_back(self, serial: str) -> None:
        """wake() is to be called too, once the meter has really been spoken to."""
        self._in_work.give_back(serial)

    def is_lent(self, serial: str) -> bool:
        return self._in_work.is_lent(serial)

    def waits(self, least: int, wanted: Callable[[str, Job], bool]) -> bool:
        """Whether an execution of a job of at least this priority is due, on a meter that no job
        has in work, for which `wanted(serial, job)` holds."""
        now_ms = self._clock.ticks_ms()
        for entry in self._waiting(least):
            for index in queued(entry):
                serial = entry.job.serials[index]
                if self._is_due(entry, index, now_ms) and wanted(serial, entry.job):
                    return True
        return False

    def waits_for(self, serial: str, least: int) -> bool:
        """The same for this meter."""
        now_ms = self._clock.ticks_ms()
        for entry in self._waiting(least):
            if serial in entry.job.serials:
                index = entry.job.serials.index(serial)
                begins = entry.states[index] == State.QUEUED and index < entry.first()
                if begins and self._is_due(entry, index, now_ms):
                    return True
        return False

    def _waiting(self, least: int) -> Iterator[Entry]:
        image = self._image_in_work()
        for entry in self._ledger.jobs():
            if entry.job.priority < least or not entry.count(State.QUEUED):
                continue
            other = image and entry.job.traits.exclusive and _image(entry.job) != image
            if not other and self._may_start(entry):
                yield entry

    def _is_due(self, entry: Entry, index: int, now_ms: int) -> bool:
        if entry.due.get(index, 0) > now_ms or self._worn_out(entry, index):
            return False
        return self._in_work.is_free(entry.job.serials[index], entry.job)

    # A transfer to many meters takes all executions of its job at once.

    def due(self, execution: Execution) -> int:
        """How many more executions of the same job are due now."""
        entry, now_ms = self._ledger.entry_of(execution.seq), self._clock.ticks_ms()
        return len([index for index in queued(entry) if entry.due.get(index, 0) <= now_ms])

    def park(self, execution: Execution) -> None:
        """Nobody speaks to its meter for now: a job of higher priority may."""
        if self._in_work.park(execution):
            self.wake()

    def unpark(self, execution: Execution) -> bool:
        """False while somebody else speaks to its meter."""
        return self._in_work.unpark(execution)

    def overtaken(self, execution: Execution) -> bool:
        """Whether a more urgent job waits for its meter."""
        now_ms, serial = self._clock.ticks_ms(), execution.serial
        for entry in self._ledger.jobs():
            if entry.job.priority > execution.job.priority and not entry.job.traits.exclusive:
                if not entry.count(State.QUEUED) or not self._may_start(entry):
                    continue
                for index in queued(entry):
                    if entry.job.serials[index] == serial:
                        if entry.due.get(index, 0) <= now_ms:
                            return True
                        break
        return False

    def transfers(self, execution: Execution, transfer: Transfer | None) -> None:
        """Whom progress() is to ask about the execution's job; None: it is over."""
        self._foresight.transfers(execution.seq, transfer)

    def signal(self, execution: Execution) -> str:
        """ "go", "pause", or "stop": its job is canceled, or its window not open any more."""
        entry = self._ledger.entry_of(execution.seq)
        if entry.stopped():
            return "stop"
        if entry.paused:
            return "pause"
        return "go" if self._may_start(entry) else "stop"

    async def finish(
        self, execution: Execution, result: Result, path: str = "", duration_ms: int = 0
    ) -> None:
        """The attempt is over: the execution succeeds, fails, or waits for its next attempt. One
        sync for many workers, as begin(). After an OSError nothing has changed: call it again."""
        with self._ledger.deferred():
            self._record(execution, result, path, duration_ms)
        await self._ledger.durable()
        self._over(execution, result, duration_ms)

    def _record(self, execution: Execution, result: Result, path: str, duration_ms: int) -> None:
        if not self._in_work.holds(execution):
            raise ValueError("the execution on %s is not in work" % execution.serial)
        self._outcomes.record(execution, result, path, duration_ms)

    def _over(self, execution: Execution, result: Result, duration_ms: int) -> None:
        self._foresight.note(execution, result, duration_ms, self._in_work.count())
        self._in_work.end(execution)
        self.wake()

    def expire(self) -> None:
        """End what still waits of the jobs whose window has closed. take() does it too."""
        self._ledger.settle()
        jobs = self._ledger.jobs()
        running = [entry.seq for entry in jobs if not entry.final_number]
        self._meter_order.keep(running)
        self._outcomes.keep(running)
        self._foresight.keep(running)
        for entry in jobs:
            if not entry.final_number and self._outcomes.closed(entry):
                self._outcomes.close(entry, self._held(entry))

    def forecast(self, job: Job) -> tuple[str, str]:
        """(warning, detail) for the answer to a new job; see Foresight.of_new()."""
        return self._foresight.of_new(job)

    def progress(self) -> list[Progress]:
        """How far the open jobs are, the most urgent first."""
        now_ms = self._clock.ticks_ms()
        entries = [entry for entry in self._ledger.jobs() if entry.open()]
        entries.sort(key=lambda entry: self._rank(entry, now_ms))
        return self._foresight.progress(entries)

    def open_jobs(self) -> list[bytes]:
        """Ids of the jobs that progress() tells of, in any order."""
        return [entry.job.id for entry in self._ledger.jobs() if entry.open()]

    def release(self, job_id: bytes) -> None:
        """The job's package is at hand: it may start."""
        self._released = {entry.job.id for entry in self._ledger.jobs()} & self._released
        self._released.add(job_id)
        self.wake()

    def over(self, hindrance: str) -> None:
        """Who waits for that to be over may be tried at once."""
        now_ms = self._clock.ticks_ms()
        for entry in self._ledger.jobs():
            for index in queued(entry):
                if self._ledger.reason_of(entry, index) == hindrance:
                    entry.due[index] = now_ms
        self.wake()

    def fail_job(self, job_id: bytes, reason: str, detail: str = "") -> None:
        """End what still waits of the job as FAILED; what is in hand ends by itself."""
        entry = self._ledger.entry(job_id)
        if entry is not None:
            self._outcomes.fail(entry, Result(KO, reason, detail))

    def held(self) -> list[Job]:
        """Jobs that wait for their package, the most urgent first."""
        now_ms = self._clock.ticks_ms()
        entries = [entry for entry in self._ledger.jobs() if self._held(entry) and entry.open()]
        entries.sort(key=lambda entry: self._rank(entry, now_ms))
        return [entry.job for entry in entries]

    def next_due_ms(self) -> int:
        """How long until take() may have something by the mere passing of time: at most an hour, at
        least 1.
        """
        now_ms, now = self._clock.ticks_ms(), self._clock.unix_time()
        wait = _IDLE_MS
        for entry in self._ledger.jobs():
            if not entry.count(State.QUEUED):
                continue
            window = opening(entry.job, now) if now else None
            if window is not None and window[0] > now:
                wait = min(wait, (window[0] - now) * 1000)
                continue
            if window is not None and window[1]:
                wait = min(wait, (window[1] - now) * 1000)
            for due in entry.due.values():
                if due > now_ms:
                    wait = min(wait, due - now_ms)
        return max(wait, 1)

    def changed(self) -> Coroutine[Any, Any, None]:
        """Awaitable: ends once something has changed since this call (not since it is awaited) that
        may give take() something to do. Wait at most next_due_ms() for it."""
        return self._changed(self._version)

    def wake(self) -> None:
        """Something changed outside of here that take() depends on: the date was set, a path has
        come up.
        """
        self._version += 1
        waiters, self._waiters = self._waiters, []
        for event in waiters:
            event.set()

    # Inside.

    async def _changed(self, seen: int) -> None:
        if self._version != seen:
            return
        event = asyncio.Event()
        self._waiters.append(event)
        try:
            await event.wait()
        finally:
            if event in self._waiters:
                self._waiters.remove(event)

    def _by_urgency(self, now_ms: int) -> list[Entry]:
        entries = [entry for entry in self._ledger.jobs() if self._may_start(entry)]
        entries.sort(key=lambda entry: self._rank(entry, now_ms))
        return entries

    def _rank(self, entry: Entry, now_ms: int) -> tuple[int, int]:
        since_ms = entry.since_ms
        now = self._clock.unix_time()
        if now and entry.job.not_before:
            since_ms = max(since_ms, now_ms - (now - entry.job.not_before) * 1000)
        level = entry.job.priority + max(now_ms - since_ms, 0) // self._ageing_ms
        return -min(level, max(entry.job.priority, URGENT - 1)), entry.seq

    def _may_start(self, entry: Entry) -> bool:
        if entry.final_number or entry.stopped() or entry.paused or self._held(entry):
            return False
        now, job = self._clock.unix_time(), entry.job
        if now == 0:
            return not job.not_before and not job.not_after and job.daily is None
        window = opening(job, now)
        return window is not None and window[0] == now

    def _held(self, entry: Entry) -> bool:
        return entry.job.package is not None and entry.job.id not in self._released

    def _due_in(self, entry: Entry, now_ms: int, usable: Callable[[str, Job], bool]) -> int | None:
        """The first execution of the job that can be taken now."""
        for index in self._meter_order.of(entry, self._outcomes.waited(entry), now_ms):
            serial = entry.job.serials[index]
            if entry.due.get(index, 0) > now_ms or self._in_work.is_lent(serial):
                continue
            if self._in_work.is_free(serial, entry.job):
                if self._worn_out(entry, index):
                    reason = self._ledger.reason_of(entry, index) or "interrupted"
                    self._ledger.finished(entry.seq, index, State.FAILED, Result(KO, reason))
                elif usable(serial, entry.job):
                    return index
        return None

    def _worn_out(self, entry: Entry, index: int) -> bool:
        return entry.attempts[index] >= _MOST_ATTEMPTS


def _alike(serial: str) -> int:
    return 0


def _free(job: Job, serial: str) -> Standing:
    return Standing("", 0, False)


def _image(job: Job) -> bytes:
    return b"" if job.package is None else job.package.digest
