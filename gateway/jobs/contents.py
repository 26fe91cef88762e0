"""What the ledger's records amount to, applied one after the other: on replay as in life."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.jobs.entry import Entry, Pausing
from gateway.jobs.memory import Memory
from gateway.jobs.records import (
    ACCEPTED,
    ACKNOWLEDGED,
    AGAIN,
    ALARM,
    CANARY,
    CANCELED,
    CHECKPOINT,
    EARLY,
    ENDED,
    EVENT,
    FINISHED,
    JOB_STATE,
    OUTAGE,
    PAUSED,
    REFUSED,
    STARTED,
    TASK_RUN,
    WITH_REPORT,
)
from gateway.jobs.report import report_of
from gateway.journal import segment_of
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.contract.reports import Report
    from hal.ports import Clock

_INDEX_STEP = 32
_MAX_WAIT_S = 86400


class Contents:
    """Everything the ledger keeps in RAM."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.epoch = 0
        self.next_seq = 1
        self.last_number = 0
        self.acknowledged = 0
        self.entries: dict[int, Entry] = {}
        self.memory = Memory()
        self.routine: list[int] = []  # numbers of what routine.py bounds, not acknowledged yet
        self.alarms: list[int] = []  # likewise, of alarms and outages
        self.checkpoint_segment = 0  # the newest that a whole checkpoint begins
        self.read_last = (0, 0)  # (number, position) of the report that was read last
        self._reasons: list[str] = []
        self._index: list[tuple[int, int]] = []  # (number, position) of every 32nd report or so
        self._segment_ends: list[tuple[int, int]] = []  # (segment, number of its last report)

    def apply(self, record: list[Any], position: int) -> None:
        kind, fields = record[0], record[1:]
        if kind in WITH_REPORT:
            self._numbered(fields[0], position)
        if kind in _STEPS:
            _STEPS[kind](self, fields)
        elif kind == ACCEPTED:
            self._accepted(fields, position)
        elif kind == JOB_STATE:
            self._job_state(fields, position)

    def reason_of(self, entry: Entry, index: int) -> str:
        """Why the last attempt failed, "" if none has."""
        code = entry.last[index]
        return self._reasons[code - 1] if code else ""

    def checkpoint(self, segment: int) -> list[Any]:
        """The record that, after a JOB_STATE of every entry since the beginning of `segment`,
        stands for all before that.
        """
        ended = self.memory.ended
        record = [
            CHECKPOINT,
            1,
            self.epoch,
            self.next_seq,
            self.last_number,
            self.acknowledged,
            self.routine,
            [[job_id, ended[job_id]] for job_id in sorted(ended)],
            sorted(self.entries),
            segment,
        ]
        late = self.memory.late()
        if self.alarms:
            return record + [late, self.alarms]
        return record + [late] if late else record

    def job_state(self, entry: Entry, raw: bytes) -> list[Any]:
        now, ticks = self._clock.unix_time(), self._clock.ticks_ms()
        due = [[i, now + (entry.due[i] - ticks) // 1000 if now else 0] for i in sorted(entry.due)]
        record = [
            JOB_STATE,
            entry.seq,
            raw,
            entry.accepted,
            entry.ended,
            entry.canceled,
            entry.pausing.paused,
            entry.pausing.issued,
            entry.canary,
            entry.final_number,
            bytes(entry.states),
            bytes(entry.attempts),
            bytes(entry.last),
            self._reasons,
            due,
        ]
        if sum(entry.uncounted) or entry.pausing.before:
            record.append(bytes(entry.uncounted))
        if entry.pausing.before:
            record.append(entry.pausing.before)
        return record

    def report(self, record: list[Any]) -> Report:
        """Of a record WITH_REPORT that is not acknowledged yet."""
        return report_of(record, self.entries)

    def place_of(self, number: int) -> int:
        """A position at or before that of the report with this number."""
        place = 0
        for indexed, position in self._index:
            if indexed > number:
                break
            place = position
        return max(place, self.read_last[1]) if self.read_last[0] <= number else place

    def oldest_needed(self) -> int:
        """The oldest segment that recovery or a report still needs."""
        for segment, number in self._segment_ends:
            if number > self.acknowledged:
                return min(segment, self.checkpoint_segment)
        return self.checkpoint_segment

    def _enter(self, entry: Entry) -> None:
        now, ticks = self._clock.unix_time(), self._clock.ticks_ms()
        entry.since_ms = ticks
        if entry.accepted and now > entry.accepted:
            entry.since_ms -= (now - entry.accepted) * 1000
        self.entries[entry.seq] = entry

    # What each kind of record changes. A job that damage has taken is passed over.

    def _accepted(self, fields: list[Any], position: int) -> None:
        time, seq, raw = fields[1], fields[2], fields[4]
        entry = Entry(raw, seq, time, position)
        early = self.memory.early.pop(entry.job.id, None)
        if early is not None:
            entry.canceled, entry.pausing = early.canceled, early.pausing
        self._enter(entry)
        self.next_seq = seq + 1

    def _early(self, fields: list[Any]) -> None:
        _, _, job_id, issued, paused = fields
        self.memory.order_early(job_id, issued, paused)

    def _started(self, fields: list[Any]) -> None:
        seq, index, attempt = fields
        entry = self.entries.get(seq)
        if entry is not None:
            entry.states[index] = State.IN_PROGRESS
            entry.attempts[index] = attempt
            entry.due.pop(index, None)

    def _again(self, fields: list[Any]) -> None:
        seq, index, reason, due, attempts = fields[:5]
        entry = self.entries.get(seq)
        if entry is not None:
            if len(fields) > 5:
                entry.uncounted[index] = fields[5]
            entry.states[index] = State.QUEUED
            entry.attempts[index] = attempts
            entry.last[index] = self._code(reason)
            if due:  # 0: interrupted, or the clock was unset
                entry.due[index] = self._ticks_at(due)

    def _finished(self, fields: list[Any]) -> None:
        entry = self.entries.get(fields[2])
        if entry is not None:
            entry.states[fields[3]] = fields[4]
            entry.due.pop(fields[3], None)

    def _ended(self, fields: list[Any]) -> None:
        entry = self.entries.get(fields[2])
        if entry is not None:
            entry.final_number, entry.ended = fields[0], fields[1]

    def _canceled(self, fields: list[Any]) -> None:
        entry = self.entries.get(fields[2])
        if entry is not None:
            entry.canceled = True

    def _paused(self, fields: list[Any]) -> None:
        entry = self.entries.get(fields[2])
        if entry is not None:
            entry.pausing.take(fields[3], fields[4])

    def _canary(self, fields: list[Any]) -> None:
        entry = self.entries.get(fields[2])
        if entry is not None:
            entry.canary = fields[3]

    def _routine(self, fields: list[Any]) -> None:
        self.routine.append(fields[0])

    def _alarm(self, fields: list[Any]) -> None:
        self.alarms.append(fields[0])

    def _acknowledged(self, fields: list[Any]) -> None:
        number = fields[0]
        self.acknowledged = number
        self.routine = [routine for routine in self.routine if routine > number]
        self.alarms = [alarm for alarm in self.alarms if alarm > number]
        while len(self._index) > 1 and self._index[1][0] <= number + 1:
            self._index.pop(0)
        while self._segment_ends and self._segment_ends[0][1] <= number:
            self._segment_ends.pop(0)
        for entry in list(self.entries.values()):
            if 0 < entry.final_number <= number:
                self.memory.remember(entry)
                del self.entries[entry.seq]

    def _checkpoint(self, fields: list[Any]) -> None:
        _, epoch, next_seq, last_number, acknowledged, routine, ended, seqs, segment = fields[:9]
        self.epoch, self.next_seq = epoch, next_seq
        self.last_number, self.acknowledged = last_number, acknowledged
        self.routine = list(routine)
        self.alarms = list(fields[10]) if len(fields) > 10 else []
        self.memory.restore(ended, fields[9] if len(fields) > 9 else [])
        for seq in list(self.entries):
            if seq not in seqs:
                del self.entries[seq]
        self.checkpoint_segment = segment

    def _job_state(self, fields: list[Any], position: int) -> None:
        seq, raw, accepted, ended, canceled, paused, pause_issued, canary = fields[:8]
        final_number, states, attempts, last, names, due = fields[8:14]
        entry = self.entries.get(seq)
        if entry is None:
            entry = Entry(raw, seq, accepted, position)
            self._enter(entry)
        entry.position = position
        entry.ended, entry.canceled, entry.final_number = ended, canceled, final_number
        entry.pausing = Pausing(paused, pause_issued, fields[15] if len(fields) > 15 else None)
        entry.canary = canary
        entry.states, entry.attempts = bytearray(states), bytearray(attempts)
        entry.uncounted = bytearray(fields[14] if len(fields) > 14 else len(attempts))
        codes = [0] + [self._code(name) for name in names]
        entry.last = bytearray([codes[code] for code in last])
        entry.due = {}
        for index, at in due:
            entry.due[index] = self._ticks_at(at)

    def _numbered(self, number: int, position: int) -> None:
        if not isinstance(number, int) or number < 0:
            raise ValueError("a report has a number, not %r" % type(number))
        self.last_number = number
        if not self._index or number >= self._index[-1][0] + _INDEX_STEP:
            self._index.append((number, position))
        segment = segment_of(position)
        if self._segment_ends and self._segment_ends[-1][0] == segment:
            self._segment_ends.pop()
        self._segment_ends.append((segment, number))

    def _code(self, reason: str) -> int:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return self._reasons.index(reason) + 1

    def _ticks_at(self, due: int) -> int:
        """When a wait that ends at unix time `due` ends in ticks; now if that cannot be said."""
        now = self._clock.unix_time()
        wait_s = min(max(due - now, 0), _MAX_WAIT_S) if now and due else 0
        return self._clock.ticks_ms() + wait_s * 1000


# kind: what it changes, told the fields after the kind
_STEPS: dict[int, Callable[[Contents, list[Any]], None]] = {
    CHECKPOINT: Contents._checkpoint,
    STARTED: Contents._started,
    AGAIN: Contents._again,
    FINISHED: Contents._finished,
    ENDED: Contents._ended,
    CANCELED: Contents._canceled,
    REFUSED: Contents._routine,
    EVENT: Contents._routine,
    TASK_RUN: Contents._routine,
    ALARM: Contents._alarm,
    OUTAGE: Contents._alarm,
    ACKNOWLEDGED: Contents._acknowledged,
    PAUSED: Contents._paused,
    EARLY: Contents._early,
    CANARY: Contents._canary,
}


def payload_of(record: bytes) -> bytes:
    """The job's payload in an ACCEPTED or JOB_STATE record."""
    fields = cbor.decode(record)
    raw: bytes = fields[5] if fields[0] == ACCEPTED else fields[2]
    return raw
