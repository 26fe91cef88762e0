"""A gateway's life on a flash that loses power: what was promised is written down outside, and
checked after each cut.

Runs on both runtimes.
"""

from __future__ import annotations

import hashlib

from gateway.audit import Audit, verify
from gateway.contract.envelope import digest_of
from gateway.contract.job import Canary, Job, PackageRef, State
from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.result import KO, OK, VALUE, Result
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Execution, Queue
from hal.rt import cbor
from hal.sim.clock import ManualClock
from hal.sim.storage import PowerCut
from tests.portable.jobs.support import done
from tests.portable.jobs.told import Told, told
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hal.ports import Storage

    Flash = Any  # has arm() and after_cut(): a MemoryStorage, a BlockDevice

NOW = 1_700_000_000
TRAIL = 65536  # bytes of the audit trail


KNOWN = ("duplicate", "already-ended")  # what a job that is not new is refused as


class Limits:
    jobs = 5
    ledger_bytes = 65536  # segments of 4 KiB
    free_bytes = 0


def _job(
    number: int,
    meters: int,
    priority: int,
    package: bool = False,
    canary: Canary | None = None,
) -> Job:
    return Job(
        number.to_bytes(16, "big"),
        CONFIGURE if package else READ,
        "ct-1",
        NOW,
        priority,
        0,
        0,
        3,
        1,
        ["M%d-%d" % (number, i) for i in range(meters)],
        PackageRef("tariff", 10, bytes(32)) if package else None,
        [] if package else [(8, b"\x00\x00\x01\x00\x00\xff", 2)],
        None,
        canary,
    )


JOBS = [
    _job(1, 10, 5, canary=Canary(4, 75)),
    _job(2, 9, 7, True),
    _job(3, 22, 3),
    _job(4, 8, 4, canary=Canary(5, 100)),
    _job(5, 3, 8),
]
PAUSED = JOBS[0].id  # for a while
CANCELED = JOBS[2].id
CANARY_FAILS = JOBS[3].id
CANCELED_EARLY = JOBS[4].id  # before it comes


class Hes:
    """What the other side knows: nothing here is ever taken back."""

    def __init__(self) -> None:
        self.epoch = 0
        self.last = 0
        self.contents: list[tuple[object, ...]] = []
        self.ends: dict[tuple[bytes, str], str] = {}
        self.jobs_ended: set[bytes] = set()
        self.verdicts: dict[bytes, str] = {}

    def take(self, ledger: Ledger, limit: int) -> None:
        """Fetch reports, from the acknowledged one on, as after a reconnection: those seen must be
        the same.
        """
        assert self.epoch in (0, ledger.epoch), "the numbering began anew"
        self.epoch = ledger.epoch
        expected = ledger.acknowledged + 1
        assert expected <= self.last + 1, "reports acknowledged by nobody are gone"
        for report in told(ledger, ledger.acknowledged, limit):
            assert report.number == expected, "a gap before report %d" % expected
            expected += 1
            self._one(report)

    def _one(self, report: Told) -> None:
        content = (
            report.kind,
            report.job_id,
            report.serial,
            report.state,
            report.reason,
            report.attempts,
            report.value,
            report.finished_at,
        )
        assert report.kind in ("execution", "job", "refusal", "event"), report
        assert report.kind != "event" or report.reason == "ledger-cut"
        if report.number <= self.last:
            assert self.contents[report.number - 1] == content, "a report has changed"
            return
        self.contents.append(content)
        self.last = report.number
        if report.kind == "execution" and report.job_id is not None:
            key = (report.job_id, report.serial)
            assert key not in self.ends, "two results of one execution"
            self.ends[key] = report.state
        elif report.kind == "job" and report.state == "ended" and report.job_id is not None:
            assert report.job_id not in self.jobs_ended
            self.jobs_ended.add(report.job_id)
        elif report.kind == "job" and report.state == "canary" and report.job_id is not None:
            assert report.job_id not in self.verdicts, "two verdicts on one canary"
            self.verdicts[report.job_id] = report.reason


class Life:
    """The scenario, and what has been promised so far. `work` counts what was done to meters."""

    def __init__(self) -> None:
        self.hes = Hes()
        self.accepted: set[bytes] = set()
        self.cancel_ordered = False
        self.paused: bool | None = None  # None: not yet
        self.pausing: bool | None = None  # the order on its way
        self.attempts: dict[tuple[bytes, str], int] = {}
        self.finished: dict[tuple[bytes, str], int] = {}
        self.in_flight: set[tuple[bytes, str]] = set()
        self.interrupted: set[tuple[bytes, str]] = set()
        self.successes: dict[tuple[bytes, str], int] = {}
        self.acknowledged = 0
        self.told: list[tuple[int, bytes]] = []  # of the audit trail: how many records, the head
        self.date = NOW
        self.boots = 0

    def boot(self, storage: Storage) -> None:
        """The gateway starts, with a clock that went on, and all goes its way to the end."""
        self.date += 100
        self.boots += 1
        self.clock = ManualClock(self.date)
        self.interrupted |= self.in_flight
        self.in_flight = set()
        noise = random_bytes(self.date, 4)
        self.trail = Audit(storage, self.clock, TRAIL)
        self.ledger = Ledger(storage, self.clock, lambda n: noise[:n], Limits(), self.trail)
        self.queue = Queue(self.ledger, self.clock, lambda n: noise[:n])
        self.check()
        self._order()
        self._work()
        self._end()

    def _order(self) -> None:
        self.ledger.refused("job", digest_of(b"noise"), None, "malformed", "noise")
        assert self.ledger.cancel(CANCELED_EARLY, b"", NOW)
        for job in JOBS:
            if job.id in self.hes.jobs_ended:
                assert self.ledger._why_not(job, job.encode()) in KNOWN, "it would run again"
                continue
            reason = self.ledger.accept(job, job.encode())
            assert reason == "accepted" or reason in KNOWN, reason
            self.accepted.add(job.id)
        self.queue.release(JOBS[1].id)

    def _work(self) -> None:
        steps = 0
        while True:
            steps += 1
            assert steps < 200, "the queue does not come to an end"
            first = self._take()
            second = self._take()
            if steps == 11 and CANCELED not in self.hes.jobs_ended:
                self.ledger.cancel(CANCELED)
                self.cancel_ordered = True
            if steps == 4:
                self.ledger.compact()
            if steps == 5 and self.paused is None and PAUSED not in self.hes.jobs_ended:
                self._pause(True, NOW)
            if steps == 9 and self.paused:
                self._pause(False, NOW + 1)
            for execution in (first, second):
                if execution is not None:
                    self._done(execution)
            self.hes.take(self.ledger, 3)
            self.told.append((self.trail.records, self.trail.head))
            if steps % 3 == 0:
                self.ledger.acknowledge(self.hes.last)
                self.acknowledged = self.hes.last
            if first is None:
                if not [entry for entry in self.ledger.jobs() if entry.open()]:
                    return
                if self.paused:
                    self._pause(False, NOW + 1)
                wait = self.queue.next_due_ms()
                self.clock.advance(wait)
                self.date = self.clock.unix_time()

    def _pause(self, paused: bool, issued: int) -> None:
        self.pausing = paused
        refused = self.ledger.pause(PAUSED, paused, issued)
        assert refused in ("", "duplicate", "unknown-job"), refused
        self.paused = paused

    def _take(self) -> Execution | None:
        execution = self.queue.take(lambda serial, job: True)
        if execution is not None:
            assert not self.paused or execution.job.id != PAUSED, "a paused job goes on"
            assert execution.job.id != CANCELED_EARLY, "its cancel is forgotten"
            canary = execution.job.canary
            if canary is not None and execution.index >= canary.meters:
                assert execution.job.id != CANARY_FAILS, "begun in spite of its canary"
                entry = self.ledger.entry(execution.job.id)
                assert entry is not None
                assert entry.count(State.SUCCEEDED) >= canary.wanted(), "begun before its turn"
            key = (execution.job.id, execution.serial)
            assert key not in self.finished, "%s is begun again after its end" % execution.serial
            assert execution.attempt > self.attempts.get(key, 0), "an attempt was not counted"
            self.attempts[key] = execution.attempt
            self.in_flight.add(key)
        return execution

    def _done(self, execution: Execution) -> None:
        key = (execution.job.id, execution.serial)
        result = _result(execution)
        if result.outcome != KO:
            self.successes[key] = self.successes.get(key, 0) + 1
        done(self.queue, execution, result, "plc", 1000)
        self.in_flight.discard(key)
        entry = self.ledger.entry(execution.job.id)
        assert entry is not None
        if entry.states[execution.index] > State.IN_PROGRESS:
            self.finished[key] = entry.states[execution.index]

    def _end(self) -> None:
        """All is over: the HES knows the end of every execution, and the gateway forgets."""
        self.hes.take(self.ledger, 1000)
        self.ledger.acknowledge(self.hes.last)
        self.acknowledged = self.hes.last
        self.ledger.compact()
        assert self.ledger.jobs() == []
        assert self.hes.jobs_ended == {job.id for job in JOBS}
        assert self.ledger.cancel(CANCELED_EARLY, b"", NOW)
        for job in JOBS:
            assert self.ledger._why_not(job, job.encode()) == "already-ended", "it would run again"
            for serial in job.serials:
                state = self.hes.ends[(job.id, serial)]
                stopped = job.id == CANARY_FAILS and job.serials.index(serial) >= 5
                if stopped or job.id == CANCELED_EARLY:
                    assert state == "canceled", (serial, state)
                elif job.id not in (CANCELED, CANARY_FAILS):
                    assert state == _expected(serial), (serial, state)
        assert self.hes.verdicts == {JOBS[0].id: "canary-passed", CANARY_FAILS: "canary-failed"}
        self._trail_holds()
        for key, count in self.successes.items():
            # Done twice only where the power went between the meter's answer and the record of it.
            assert count == 1 or key in self.interrupted, "%r was done twice" % (key,)

    def _trail_holds(self) -> None:
        """What was reported is on record, once; what the HES was told of the trail is its past."""
        self.trail.sync()
        trail = [record for _, record in self.trail._journal.records()]
        found = verify(trail)
        assert (found.first, found.last, found.head) == (1, self.trail.records, self.trail.head)
        for number, head in self.told:
            assert number == 0 or hashlib.sha256(trail[number - 1]).digest() == head
        records = [cbor.decode(record)[3:] for record in trail]
        # One more where the power went between the record of an order and its answer.
        orders = [details[0] for kind, details in records if kind == "job"]
        assert set(orders) == {job.id for job in JOBS} and len(orders) <= len(JOBS) + self.boots - 1
        done = [tuple(details[:3]) for kind, details in records if kind == "done"]
        assert len(done) == len(set(done)), "an attempt is on record twice"
        for kind, job_id, serial, state, _, attempts, _, _ in self.hes.contents:
            if kind == "execution" and state in ("succeeded", "failed"):
                assert (job_id, serial, attempts) in done, "reported, and not on record"
        assert [1 for kind, details in records if kind == "cancel" and details[0] == CANCELED]

    def check(self) -> None:
        """After a start: every promise holds."""
        ledger = self.ledger
        assert not self.told or self.trail.records >= self.told[-1][0], "audit records are lost"
        assert not self.trail.recovery.damaged
        assert not ledger.recovery.damaged, ledger.recovery.notes
        assert ledger.acknowledged >= self.acknowledged, "an acknowledgement is lost"
        self.hes.take(ledger, 1000)
        for job_id in self.accepted:
            entry = ledger.entry(job_id)
            if entry is None:
                assert job_id in self.hes.jobs_ended, "an accepted job is gone"
                continue
            for index, serial in enumerate(entry.job.serials):
                key = (job_id, serial)
                state = entry.states[index]
                assert state != State.IN_PROGRESS
                assert entry.attempts[index] >= self.attempts.get(key, 0), "an attempt is lost"
                if key in self.finished:
                    assert state == self.finished[key], "a final state is lost"
                    assert self.hes.ends[key] == State.NAMES[state], "a result is lost"
                if job_id == PAUSED and self.paused is not None and not entry.final_number:
                    assert entry.paused in (self.paused, self.pausing), "a pause is forgotten"
                    self.paused = entry.paused
                if self.cancel_ordered and job_id == CANCELED:
                    assert state > State.IN_PROGRESS, "a canceled execution is queued"


def _result(execution: Execution) -> Result:
    kind = int(execution.serial[-1])
    if kind == 1 and execution.attempt < 3:
        return Result(KO, "no-answer", "attempt %d" % execution.attempt)
    if kind == 2:
        return Result(KO, "write-refused", "scope of access violated")
    if kind == 3:
        return Result(VALUE, "read", "", [bytes(range(100)), b"\x00"])
    return Result(OK, "applied")


def _expected(serial: str) -> str:
    return "failed" if serial[-1] == "2" else "succeeded"


def with_cuts(
    flash: Flash, start: Callable[[Flash], Storage], cuts: list[int], left: str, kind: Any = Life
) -> int:
    """A life of this kind on `start(flash)` with the power going at these operations of the flash,
    counted from each start; `left` says what the flash makes of a cut. Returns how many of them
    happened.
    """
    life = kind()
    happened = 0
    for cut in cuts:
        flash.arm(cut, left)
        try:
            life.boot(start(flash))
            return happened
        except PowerCut:
            happened += 1
            flash = flash.after_cut()
    life.boot(start(flash))
    return happened
