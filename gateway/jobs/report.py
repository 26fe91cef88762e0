"""The numbered report that a record of the ledger is to the HES."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.reports import (
    Dropped,
    Event,
    JobReport,
    MeterAlarm,
    MeterReport,
    Outage,
    Refusal,
    Report,
    TaskRun,
)
from gateway.jobs.entry import PASSED
from gateway.jobs.records import (
    ACCEPTED,
    ALARM,
    CANARY,
    CANCELED,
    EARLY,
    ENDED,
    EVENT,
    FINISHED,
    OUTAGE,
    PAUSED,
    REFUSED,
    TASK_RUN,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.jobs.entry import Entry


def report_of(record: list[Any], entries: dict[int, Entry]) -> Report:
    """Of a record WITH_REPORT. `entries` by their seq: of a job that damage took, the report is
    lost as well.
    """
    kind, number, time = record[:3]
    if kind == REFUSED:
        topic, digest, job_id, reason, detail = record[3:]
        return Report(number, time, Refusal(topic, digest, job_id, reason, detail))
    if kind == EVENT:
        return Report(number, time, Event(record[3], record[4]))
    if kind == TASK_RUN:
        return Report(number, time, TaskRun(*record[3:]))
    if kind == ALARM:
        return Report(number, time, MeterAlarm(*record[3:]))
    if kind == OUTAGE:
        return Report(number, time, Outage(*record[3:]))
    if kind == EARLY:
        return Report(number, time, _of_early(record[3], record[5]))
    entry = entries.get(record[3])
    if entry is None:
        return lost(number, number)
    if kind == FINISHED:
        index, state, outcome, reason, detail, value, attempts, path, duration_ms = record[4:]
        body = MeterReport(
            entry.job.id,
            entry.job.serials[index],
            State.NAMES[state],
            outcome,
            reason,
            detail,
            attempts,
            path,
            duration_ms,
            value,
        )
        return Report(number, time, body)
    return Report(number, time, _of_job(record, entry))


def lost(first: int, last: int) -> Report:
    """In place of the reports `first` to `last`."""
    return Report(first, 0, Dropped(last))


def _of_job(record: list[Any], entry: Entry) -> JobReport:
    kind = record[0]
    state = State.IN_PROGRESS  # of a cancel too, which has to wait for the meters in hand
    if kind == ACCEPTED:
        state, reason, detail = State.QUEUED, record[4], record[6]
    elif kind == PAUSED:
        reason, detail = ("paused" if record[4] else "resumed"), record[6]
    elif kind == CANARY:
        reason = "canary-passed" if record[4] == PASSED else "canary-failed"
        detail = record[5]
    elif kind == ENDED:
        state, reason, detail = _end(entry), record[4], record[5]
    elif kind == CANCELED:
        reason, detail = "canceled", record[4]
    else:
        raise ValueError("no report is in a record of kind %r" % kind)
    return JobReport(entry.job.id, State.NAMES[state], reason, detail)


def _of_early(job_id: bytes, paused: bool | None) -> JobReport:
    """`paused`: None where it is to be canceled."""
    reason = "canceled" if paused is None else "paused" if paused else "resumed"
    detail = "the job is not here yet; it counts as soon as it comes"
    return JobReport(job_id, State.NAMES[State.IN_PROGRESS], reason, detail)


def _end(entry: Entry) -> int:
    """Of a whole job that has ended, from the states of its executions: the ledger keeps them
    until the HES has acknowledged that."""
    if entry.canceled:
        return State.CANCELED
    for state in (State.SUCCEEDED, State.REJECTED, State.TIMED_OUT):
        if entry.count(state) == len(entry.states):
            return state
    return State.FAILED
