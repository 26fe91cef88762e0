"""The ledger: the durable record of jobs, of how far each meter has got, and of the reports for the
HES.

Each method that changes something writes its records, makes them durable with one sync, and only
then returns; within `with ledger.batch():` the one sync comes at the end. A new state and the
report that tells of it are one record, so no cut can part them. How records get to the flash and
what they amount to is the store's (store.py, contents.py).

Reports of executions are never dropped: a job is only accepted if there is room for all of its
reports.
"""

from __future__ import annotations

from gateway.contract.envelope import digest_of
from gateway.contract.job import State
from gateway.contract.limits import MAX_VALUE, OUTBOX_SIZE
from gateway.contract.result import KO, Result
from gateway.contract.window import opening
from gateway.jobs import records
from gateway.jobs.entry import UNDECIDED, Pausing
from gateway.jobs.report import lost
from gateway.jobs.routine import Routine
from gateway.jobs.store import NOT_UNDERSTOOD, Store, decoded
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from gateway.audit import Audit
    from gateway.contract.job import Job
    from gateway.contract.reports import MeterAlarm, Outage, Report, TaskRun
    from gateway.jobs.entry import Entry
    from gateway.jobs.store import Batch
    from hal.ports import Clock, Storage

    class Limits(Protocol):
        """jobs: how many at once. ledger_bytes: of the journal. free_bytes: to be left free on the
        flash.
        """

        @property
        def jobs(self) -> int: ...
        @property
        def ledger_bytes(self) -> int: ...
        @property
        def free_bytes(self) -> int: ...


NAME = "ledger"
KEPT_DETAIL = 200  # characters of a detail that are kept
# of flash for an execution until its report is acknowledged, its audit record included
_EXECUTION_BYTES = 240
_ENOSPC = 28
# An attempt that was broken off by a restart is made again: so often at once, then after a pause
# that doubles from INTERRUPTED_S to MOST_INTERRUPTED_S.
AT_ONCE_AGAIN = 3
INTERRUPTED_S = 15
MOST_INTERRUPTED_S = 3600
ACCEPTING = ("accepted", "window-not-open", "window-short")


class LedgerError(Exception):
    """A caller asked for what cannot be: says what."""


class Ledger:
    """`random(n)` gives n random bytes. `on_change`, if set, is called when work may have come up.

    OSError of the storage comes out of every method as it is; the ledger then stands where it stood
    at the last durable moment (with new Entry objects), and goes on.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        random: Callable[[int], bytes],
        limits: Limits,
        trail: Audit,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self.trail = trail
        self._settled = False
        self._low = False  # it was reported that room is getting short
        self.on_change: Callable[[], None] | None = None
        self._new_epoch = int.from_bytes(random(4), "big") % 0xFFFFFFFF + 1
        size = min(max(limits.ledger_bytes // 16, 4096), 1 << 18)
        self._store = Store(storage, clock, NAME, size, trail, self._watch_room)
        self._routine = Routine(self._store, clock)
        self.recovery = self._store.recovery
        for note in self.recovery.notes:
            log.warning("ledger", note)
        try:
            self.settle()
        except OSError as error:
            log.error("ledger", "no room to take up work: %s" % error)

    # What is in it.

    @property
    def epoch(self) -> int:
        """Drawn at random when the ledger was made, or was found to be older than the HES knows,
        1..2^32-1: the numbers of reports count within it.
        """
        return self._store.contents.epoch

    def begin_epoch(self) -> None:
        """The numbers of reports go on in another epoch, durably: under those that follow here the
        HES has others already. Once in a life is enough.
        """
        self._store.change_epoch(self._new_epoch)

    @property
    def last_number(self) -> int:
        """Of the newest report that is durable; 0 if there was none yet."""
        return self._store.last_number

    @property
    def acknowledged(self) -> int:
        """The HES has all reports up to this number."""
        return self._store.contents.acknowledged

    def jobs(self) -> list[Entry]:
        """Those not forgotten yet, oldest first; `final_number` is set in those that have ended."""
        entries = self._store.contents.entries
        return [entries[seq] for seq in sorted(entries)]

    def open_jobs(self) -> list[Entry]:
        """Those that have not ended, oldest first."""
        return [entry for entry in self.jobs() if not entry.final_number]

    def entry(self, job_id: bytes) -> Entry | None:
        for entry in self._store.contents.entries.values():
            if entry.job.id == job_id:
                return entry
        return None

    def knows(self, job_id: bytes) -> bool:
        """Whether it is here, was and is remembered, or an order about it has come before it."""
        memory = self._store.contents.memory
        known = self.entry(job_id) is not None or job_id in memory.ended
        return known or job_id in memory.early

    def entry_of(self, seq: int) -> Entry:
        return self._store.contents.entries[seq]

    def reason_of(self, entry: Entry, index: int) -> str:
        """Why the execution's last attempt failed, "" if none has."""
        return self._store.contents.reason_of(entry, index)

    def size(self) -> int:
        """Bytes of the journal."""
        return self._store.journal.size()

    # What happens to jobs.

    def accept(
        self, job: Job, raw: bytes, warning: str = "", detail: str = "", kid: bytes = b""
    ) -> str:
        """Take a job, and put the answer into the outbox. `raw` is the payload it was decoded from,
        `warning` the reason to answer with instead of "accepted", `detail` goes with the answer,
        `kid` is the key id of who signed it. Durable at once, within a batch too.

        Returns the reason in that answer: one of ACCEPTING, or why not: "duplicate",
        "already-ended" (and the HES has all of its reports), "conflicting-duplicate", "too-old",
        "still-open", "too-many-jobs", "storage-full".
        """
        now = self._clock.unix_time()
        reason = self._why_not(job, raw)
        if not reason:
            reason = warning or _answer(job, now)
            number, seq = self._store.contents.last_number + 1, self._store.contents.next_seq
            early = self.ordered_early(job.id)
            on_record = [job.id, kid, digest_of(raw), job.kind, len(job.serials)]
            try:
                with self._store.batch():
                    self.note("job", on_record)
                    accepted = [
                        records.ACCEPTED,
                        number,
                        now,
                        seq,
                        reason,
                        raw,
                        detail[:KEPT_DETAIL],
                    ]
                    self._store.write(accepted)
                    if early:
                        self._begin_as_ordered(self._store.contents.entries[seq])
                self._store.sync()
                self._changed()
                return reason
            except OSError as error:
                self._store.lost()
                if error.errno != _ENOSPC:
                    raise
                reason = "storage-full"
        self.refused("job", digest_of(raw), job.id, reason)
        return reason

    def started(self, seq: int, index: int) -> int:
        """An attempt on the execution `index` of the job `seq` begins: returns which, from 1."""
        entry = self._execution(seq, index, State.QUEUED)
        attempt = min(entry.attempts[index] + 1, 255)
        self._store.write([records.STARTED, seq, index, attempt])
        return attempt

    def again(self, seq: int, index: int, reason: str, wait_ms: int, counted: bool = True) -> None:
        """The attempt failed, or (not `counted`) is not over yet or was none; the execution is
        queued again, due in `wait_ms`."""
        entry = self._execution(seq, index, State.IN_PROGRESS)
        now = self._clock.unix_time()
        due = now + (wait_ms + 999) // 1000 if now else 0
        attempts = entry.attempts[index] - (0 if counted else 1)
        self._store.write([records.AGAIN, seq, index, reason, due, attempts])
        # In this life the ticks count, whatever happens to the date.
        entry.due[index] = self._clock.ticks_ms() + wait_ms
        self._changed()

    def finished(
        self,
        seq: int,
        index: int,
        state: int,
        result: Result,
        path: str = "",
        duration_ms: int = 0,
    ) -> None:
        """The execution ended in a final state; with its last execution the job has ended."""
        entry = self._store.contents.entries[seq]
        if entry.states[index] > State.IN_PROGRESS or state <= State.IN_PROGRESS:
            raise LedgerError(
                "%s cannot go from %s to %s"
                % (
                    entry.job.serials[index],
                    State.NAMES[entry.states[index]],
                    State.NAMES[state],
                )
            )
        if result.value is not None and sum([len(part) for part in result.value]) > MAX_VALUE:
            state = State.FAILED
            result = Result(KO, "value-too-large", "at most %d bytes fit a report" % MAX_VALUE)
        with self._store.batch():
            self._store.write(
                [
                    records.FINISHED,
                    self._store.contents.last_number + 1,
                    self._clock.unix_time(),
                    seq,
                    index,
                    state,
                    result.outcome,
                    result.reason,
                    result.detail[:KEPT_DETAIL],
                    result.value,
                    entry.attempts[index],
                    path,
                    duration_ms,
                ]
            )
            self._judge_canary(entry)
            self._end_if_done(entry)
        self._changed()

    def ordered_early(self, job_id: bytes) -> bool:
        """Whether an order to cancel or pause the job has come before it did."""
        return job_id in self._store.contents.memory.early

    def cancel(self, job_id: bytes, kid: bytes = b"", issued: int = 0) -> bool:
        """End what is queued of the job as canceled; what is in hand ends by itself. A job that is
        not here yet is canceled when it comes. `kid` is the key id of who ordered it, `issued` the
        order's date. False if the job has ended already, and not by a cancel.
        """
        entry, memory = self.entry(job_id), self._store.contents.memory
        if entry is None:
            if job_id in memory.ended:
                return memory.was_canceled(job_id)
            early = memory.early.get(job_id)
            if early is None or not early.canceled:
                with self._store.batch():
                    self.note("cancel", [job_id, kid])
                    self._write_early(job_id, issued, None)
            return True
        if entry.canceled or entry.final_number:
            return entry.canceled
        with self._store.batch():
            self.note("cancel", [job_id, kid])
            self._write_canceled(entry)
            self._stop_queued(entry)
        self._changed()
        return True

    def pause(self, job_id: bytes, paused: bool, issued: int, kid: bytes = b"") -> str:
        """Begin with no further meter of the job, or (False) go on; what is in hand ends by itself.
        `issued` is the order's date: of two orders the later one counts, in whichever order they
        come; `kid` is the key id of who gave it. It counts for a job that is not here yet, too.
        Returns "" or why nothing was done: "unknown-job" (it has ended, or ends already),
        "outdated", "duplicate" (taken before).
        """
        entry, memory = self.entry(job_id), self._store.contents.memory
        early = memory.early.get(job_id)
        if entry is not None:
            pausing, over = entry.pausing, bool(entry.final_number or entry.stopped())
        elif early is not None:
            pausing, over = early.pausing, early.canceled
        else:
            pausing, over = Pausing(False, memory.last_pause(job_id)), job_id in memory.ended
        refused = pausing.why_not(paused, issued)
        if over:
            # What is not newer than the last one taken has had its answer, or needs none any more.
            return "duplicate" if refused else "unknown-job"
        if refused:
            return refused
        with self._store.batch():
            self.note("pause", [job_id, kid, paused])
            if entry is None:
                self._write_early(job_id, issued, paused)
            else:
                self._write_paused(entry, paused, issued)
        self._changed()
        return ""

    def note(self, kind: str, details: list[Any]) -> None:
        """A record for the audit trail: on the medium before what is written after it."""
        self._store.draft(kind, details)

    def note_if_possible(self, kind: str, details: list[Any]) -> None:
        """As note(), of what has happened already: a storage that refuses is only logged."""
        try:
            self.note(kind, details)
        except OSError as error:
            log.error("ledger", "storage: no audit record of %s: %s" % (kind, error))

    # What the HES must come to know.

    def refused(
        self, topic: str, digest: bytes, job_id: bytes | None, reason: str, detail: str = ""
    ) -> bool:
        """A message that came down `topic` changed nothing.

        Where they come faster than REFUSALS_A_MINUTE, or ROUTINE_SIZE reports of refusals and
        events wait for the HES, further ones are only counted; the count is reported later. False
        if so.
        """
        return self._routine.refused(topic, digest, job_id, reason, detail[:KEPT_DETAIL])

    def event(self, name: str, detail: str = "") -> None:
        """Something happened to the concentrator itself. Bounded like refusals."""
        self._routine.event(name, detail[:KEPT_DETAIL])

    def task_run(self, run: TaskRun) -> None:
        """What a run of a task has come to. Bounded like refusals."""
        self._routine.task_run(run)

    def alarm(self, alarm: MeterAlarm) -> bool:
        """False, and nothing is kept, while there is no room for it, or ALARMS_SIZE wait for the
        HES: who tells it keeps it, and tries again."""
        return self._routine.alarm(alarm)

    def outage(self, outage: Outage) -> bool:
        """As alarm()."""
        return self._routine.outage(outage)

    def reports(self, after: int, limit: int) -> list[Report]:
        """At most `limit` reports in order, read from flash: those with numbers above `after` that
        the HES has not acknowledged. Every number up to the last one's is there, if need be as a
        Dropped one.
        """
        after = max(after, self.acknowledged)
        found: list[Report] = []
        if after >= self.last_number:
            return found
        contents = self._store.contents
        for position, payload in self._store.journal.records(contents.place_of(after + 1)):
            if len(found) >= limit:
                break
            try:
                record = decoded(payload)
                if record[0] not in records.WITH_REPORT or record[1] <= after:
                    continue
                report = contents.report(record)
            except NOT_UNDERSTOOD:
                continue  # said at the start; its number is a lost one
            if report.number > after + 1:
                found.append(lost(after + 1, report.number - 1))
            contents.read_last = (report.number, position)
            found.append(report)
            after = report.number
        if not found:
            found.append(lost(after + 1, self.last_number))
        return found[:limit]

    def acknowledge(self, number: int) -> None:
        """The HES has all reports up to and with `number` for good. Jobs that have ended and all of
        whose reports it has are forgotten, save their ids. A number not given out yet counts as the
        last one.
        """
        number = min(number, self.last_number)
        if number <= self.acknowledged:
            return
        self._store.write([records.ACKNOWLEDGED, number])
        self._store.drop_old()
        self.tell_dropped()

    def tell_dropped(self) -> None:
        """Report how many refusals and events were only counted, if it is time to."""
        self._routine.tell_dropped()

    # Durability: see store.py.

    def batch(self) -> Batch:
        """`with ledger.batch():` makes everything inside durable with one sync at the end."""
        return self._store.batch()

    def deferred(self) -> Batch:
        """Like batch(), but without the sync: `await durable()` straight after it. Until then
        nobody outside may be told.
        """
        return self._store.deferred()

    async def durable(self) -> None:
        """Returns when all that has happened so far is durable: everybody who calls this in the
        same turn of the loop shares one sync. After an OSError none of it has happened.
        """
        await self._store.durable()

    def compact(self) -> None:
        """Begin a new segment with a checkpoint; remove the old ones that nobody needs any more."""
        self._store.compact()

    def settle(self) -> None:
        """What a start has to do before anything else: what was in hand is queued again, which
        costs no try; what a cut left half done is completed. Done by the constructor, unless the
        flash is full; then by whoever calls this once there is room. OSError until then.
        """
        if self._settled:
            return
        self._store.begin(self._new_epoch)
        with self._store.batch():
            for entry in self.jobs():
                for index in range(len(entry.states)):
                    if entry.states[index] == State.IN_PROGRESS:
                        self._interrupted(entry, index)
                self._judge_canary(entry)
                self._stop_queued(entry)
                self._end_if_done(entry)
        self._settled = True
        if self.trail.recovery.damaged:
            self.note("damaged", [note[:KEPT_DETAIL] for note in self.trail.recovery.notes])
        for note in self.recovery.notes:
            self.event("ledger-cut", note)
        self._watch_room()

    # Inside.

    def _interrupted(self, entry: Entry, index: int) -> None:
        """The attempt in hand was broken off by a restart. What is in hand at one restart after the
        other may be what causes them: it waits, longer each time, and the others go on."""
        attempts, uncounted = entry.attempts[index], min(entry.uncounted[index] + 1, 255)
        wait_s = 0
        if uncounted > AT_ONCE_AGAIN:
            wait_s = min(INTERRUPTED_S << (uncounted - AT_ONCE_AGAIN - 1), MOST_INTERRUPTED_S)
        now = self._clock.unix_time()
        due = now + wait_s if now and wait_s else 0
        self._store.write(
            [records.AGAIN, entry.seq, index, "interrupted", due, attempts, uncounted]
        )
        if wait_s:
            entry.due[index] = self._clock.ticks_ms() + wait_s * 1000

    def _why_not(self, job: Job, raw: bytes) -> str:
        entry = self.entry(job.id)
        memory = self._store.contents.memory
        known = memory.digest(job.id) if entry is None else entry.digest
        if known is not None and known != digest_of(raw)[:16]:
            return "conflicting-duplicate"
        if known is not None:
            return "duplicate" if entry is not None else "already-ended"
        if memory.is_too_old(job.id, job.issued):
            return "too-old"
        original = self.entry(job.retry_of) if job.retry_of is not None else None
        if original is not None and not original.final_number:
            return "still-open"
        running = self.open_jobs()
        if len(running) >= self._limits.jobs or len(self.jobs()) >= 2 * self._limits.jobs:
            return "too-many-jobs"
        executions = sum([entry.open() for entry in running]) + len(job.serials)
        # accepted, canceled, canary, ended, and now and then paused and resumed
        reports = executions + 6 * (len(running) + 1)
        if self.last_number - self.acknowledged + reports > OUTBOX_SIZE:
            return "storage-full"
        needed = len(raw) + executions * _EXECUTION_BYTES
        if not self._fits(needed):
            return "storage-full"
        return ""

    def _fits(self, needed: int) -> bool:
        journal, limits = self._store.journal, self._limits
        if journal.size() + needed > limits.ledger_bytes:
            if journal.newest_size() < 2 * self._store.checkpoint_size:
                return False
            self._store.compact()
            if journal.size() + needed > limits.ledger_bytes:
                return False
        return self._storage.free() >= limits.free_bytes + needed

    def _execution(self, seq: int, index: int, state: int) -> Entry:
        entry = self._store.contents.entries[seq]
        if entry.states[index] != state:
            raise LedgerError(
                "%s: expected %s, is %s"
                % (
                    entry.job.serials[index],
                    State.NAMES[state],
                    State.NAMES[entry.states[index]],
                )
            )
        return entry

    def _begin_as_ordered(self, entry: Entry) -> None:
        """The job was canceled or paused before it came: say so again, now that it is here."""
        if entry.canceled:
            self._write_canceled(entry)
            self._stop_queued(entry)
            self._end_if_done(entry)
        elif entry.paused:
            self._write_paused(entry, True, entry.pausing.issued)

    def _write_early(self, job_id: bytes, issued: int, paused: bool | None) -> None:
        number, now = self._store.contents.last_number + 1, self._clock.unix_time()
        self._store.write([records.EARLY, number, now, job_id, issued, paused])

    def _write_canceled(self, entry: Entry) -> None:
        in_hand = entry.count(State.IN_PROGRESS)
        detail = "%d canceled" % entry.count(State.QUEUED)
        if in_hand:
            detail += ", %d in hand end first" % in_hand
        number, now = self._store.contents.last_number + 1, self._clock.unix_time()
        self._store.write([records.CANCELED, number, now, entry.seq, detail])

    def _write_paused(self, entry: Entry, paused: bool, issued: int) -> None:
        detail = "%d wait" % entry.count(State.QUEUED)
        in_hand = entry.count(State.IN_PROGRESS)
        if in_hand:
            detail += ", %d in hand%s" % (in_hand, " end first" if paused else "")
        number, now = self._store.contents.last_number + 1, self._clock.unix_time()
        self._store.write([records.PAUSED, number, now, entry.seq, paused, issued, detail])

    def _judge_canary(self, entry: Entry) -> None:
        """Once the canary has its verdict, say so, and end what waits if it is a bad one."""
        canary = entry.job.canary
        if canary is None or entry.canary != UNDECIDED or entry.canceled:
            return
        verdict, succeeded = entry.canary_verdict(canary.wanted())
        if verdict == UNDECIDED or not entry.beyond_canary():
            return
        detail = "%d of the first %d meters succeeded, %d had to" % (
            succeeded,
            canary.meters,
            canary.wanted(),
        )
        number, now = self._store.contents.last_number + 1, self._clock.unix_time()
        self._store.write([records.CANARY, number, now, entry.seq, verdict, detail])
        self._stop_queued(entry)

    def _stop_queued(self, entry: Entry) -> None:
        reason = entry.stopped()
        if not reason:
            return
        for index in range(len(entry.states)):
            if entry.states[index] == State.QUEUED:
                last = self.reason_of(entry, index)
                detail = "last attempt: " + last if last else ""
                self.finished(entry.seq, index, State.CANCELED, Result(KO, reason, detail))

    def _end_if_done(self, entry: Entry) -> None:
        if not entry.final_number and not entry.open():
            reason = entry.stopped() or "ended"
            number, now = self._store.contents.last_number + 1, self._clock.unix_time()
            self._store.write([records.ENDED, number, now, entry.seq, reason, entry.summary()])

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _watch_room(self) -> None:
        """Say so, once, when room gets short: before it is gone."""
        size, most = self._store.journal.size(), self._limits.ledger_bytes
        free, spare = self._storage.free(), self._limits.free_bytes
        low = size > most - most // 8 or free < 2 * spare
        if low and not self._low:
            told = "the ledger has %d of its %d bytes, %d bytes of flash are free"
            self.event("storage-low", told % (size, most, free))
        self._low = low


def _answer(job: Job, now: int) -> str:
    window = opening(job, now) if now else None
    return "window-not-open" if window is not None and window[0] > now else "accepted"
