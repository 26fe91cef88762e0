"""What one report of a concentrator changes: a meter's result, a job's state, an answer to an
order.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, delete, false, insert, select, update

from gateway.contract.limits import OUTBOX_SIZE
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
from gateway.contract.result import KO
from tools.hes.store import states
from tools.hes.store.alarms import take_alarm, take_outage
from tools.hes.store.hellos import COUNTED
from tools.hes.store.notes import note
from tools.hes.store.schema import (
    MAX_NUMBER,
    jobs,
    meters,
    numbered,
    pauses,
    standing,
    task_runs,
)
from tools.hes.store.states import (
    DONE,
    DUPLICATE,
    FINAL,
    OUTRUN,
    REFUSED,
    REJECTED,
    SENT,
    TOLD,
    WORKED,
)

RUNS_OF_ONE = 10_000  # of one concentrator that are kept

BAD_SIGNATURE, UNKNOWN_SIGNER, REPLAYED = "bad-signature", "unknown-signer", "replayed"
ALREADY_ENDED, RESULT_UNKNOWN = "already-ended", "result-unknown"


def take(
    connection: Connection, now: int, concentrator: str, report: Report, proven: bool = False
) -> int | None:
    """Apply it; returns the number up to which all is accounted for, None where that goes beyond
    what a concentrator can have kept: then nothing was done. `proven`: it is the concentrator's own
    and fresh, for the line is protected."""
    at, body = report.time or now, report.body
    if isinstance(body, MeterReport):
        _take_meter(connection, now, concentrator, at, body)
    elif isinstance(body, JobReport):
        _take_job(connection, now, concentrator, at, body)
    elif isinstance(body, Refusal):
        _take_refusal(connection, now, concentrator, at, body, proven)
    elif isinstance(body, TaskRun):
        _take_run(connection, now, concentrator, body)
    elif isinstance(body, MeterAlarm):
        take_alarm(connection, now, concentrator, at, body)
    elif isinstance(body, Outage):
        take_outage(connection, now, concentrator, body)
    elif isinstance(body, Event):
        note(connection, now, concentrator, body.name, body.detail)
    elif isinstance(body, Dropped):
        last = max(report.number, body.last)
        text = "the concentrator had no room for reports %d..%d" % (report.number, last)
        if last - report.number >= OUTBOX_SIZE or last > MAX_NUMBER:
            text += ", it says: more than the %d it can ever have kept; nothing was changed"
            note(connection, now, concentrator, "claim-beyond-bounds", text % OUTBOX_SIZE)
            return None
        note(connection, now, concentrator, "reports-dropped", text)
        return last
    return report.number


def _take_run(connection: Connection, now: int, concentrator: str, body: TaskRun) -> None:
    each = task_runs.c
    names = ("name", "due", "began", "ended", "meters", "complete", "rows")
    row = {"concentrator": concentrator, "told": now, "gaps": [list(gap) for gap in body.gaps]}
    row.update({name: getattr(body, name) for name in names})
    connection.execute(insert(task_runs), row)
    own = select(each.id).where(each.concentrator == concentrator).order_by(each.id.desc())
    oldest = connection.execute(own.offset(RUNS_OF_ONE).limit(1)).scalar()
    if oldest is not None:
        old = (each.concentrator == concentrator, each.id <= oldest)
        connection.execute(delete(task_runs).where(*old))


def _take_meter(
    connection: Connection, now: int, concentrator: str, at: int, body: MeterReport
) -> None:
    """The newest result of a meter counts: who lost its flash does the job again."""
    changed = 0
    if _known(connection, concentrator, body.job_id):
        which = (meters.c.job == body.job_id, meters.c.serial == body.serial)
        result = {
            "state": body.state,
            "outcome": body.outcome,
            "reason": body.reason,
            "detail": body.detail,
            "attempts": body.attempts,
            "path": body.path,
            "duration_ms": body.duration_ms,
            "value": None if body.value is None else [data.hex() for data in body.value],
            "updated": at,
        }
        changed = connection.execute(update(meters).where(*which).values(result)).rowcount
    if not changed:
        text = "meter %s of job %s: %s, %s; no such order to this concentrator is known here"
        values = (body.serial, body.job_id.hex(), body.state, body.reason)
        note(connection, now, concentrator, "unknown-report", text % values)
        return
    job = jobs.c.id == body.job_id
    states.advance(connection, jobs, "state", states.JOB, WORKED, job, updated=at)


def _take_job(
    connection: Connection, now: int, concentrator: str, at: int, body: JobReport
) -> None:
    which = (jobs.c.id == body.job_id, jobs.c.concentrator == concentrator)
    told = {"reason": body.reason, "detail": body.detail, "updated": at}
    changed = 0
    if body.state in TOLD:
        changed = states.advance(connection, jobs, "state", states.JOB, body.state, *which, **told)
    if not changed:
        known = _known(connection, concentrator, body.job_id)
        text = "job %s: %s, %s; %s" % (
            body.job_id.hex(),
            body.state,
            body.reason,
            "it does not fit the job's state here" if known else "not known here",
        )
        note(connection, now, concentrator, "late-report" if known else "unknown-report", text)
        return
    if body.state in FINAL or body.reason == "canceled":
        states.advance(connection, jobs, "cancel_state", states.CANCEL, body.state, *which)
    if body.reason in ("paused", "resumed"):
        paused = body.reason == "paused"
        connection.execute(update(jobs).where(*which).values(paused=paused))
        of_it = (pauses.c.job == body.job_id, pauses.c.paused == paused)
        states.advance(connection, pauses, "state", states.PAUSE, DONE, *of_it)


def _take_refusal(
    connection: Connection, now: int, concentrator: str, at: int, body: Refusal, proven: bool
) -> None:
    """The digest says which order it was; `duplicate` is no refusal of the order itself."""
    known = _REFUSED.get(body.topic)
    fitted = known(connection, concentrator, at, body) if known else 0
    if not fitted and body.topic == "job" and body.reason != DUPLICATE:
        fitted = _job_gone(connection, concentrator, at, body, proven)
    if not fitted and body.reason != DUPLICATE:
        text = "%s: %s, %s" % (body.topic, body.reason, body.detail)
        note(connection, now, concentrator, "refused", text, body.reason)


def _ours(
    connection: Connection, body: Refusal, digest: Any, envelope: Any, *sent: Any
) -> ColumnElement[bool]:
    """Which order of those that were `sent` it is about. Anybody can put another signature or key
    id around what we have signed; so where these are at fault, a message is known by the digest of
    all its octets. An older firmware gives that of the content: of a bad signature it is not
    believed, for ours are good.
    """
    if body.reason in (BAD_SIGNATURE, UNKNOWN_SIGNER):
        for row in connection.execute(select(digest, envelope).where(*sent)):
            if hashlib.sha256(row[1]).digest() == body.digest:
                return cast("ColumnElement[bool]", digest == row[0])
    if body.reason == BAD_SIGNATURE:
        return false()
    return cast("ColumnElement[bool]", digest == body.digest)


def _job_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    event = DUPLICATE if body.reason == DUPLICATE else REFUSED
    own = jobs.c.concentrator == concentrator
    which = _ours(connection, body, jobs.c.digest, jobs.c.envelope, own, jobs.c.state == SENT)
    told = {"reason": body.reason, "detail": body.detail, "updated": at}
    return states.advance(connection, jobs, "state", states.JOB, event, own, which, **told)


def _job_gone(
    connection: Connection, concentrator: str, at: int, body: Refusal, proven: bool
) -> int:
    """Of a job that was taken: no result can come any more. What has come stays."""
    own = jobs.c.concentrator == concentrator
    which = _ours(connection, body, jobs.c.digest, jobs.c.envelope, own)
    found = connection.execute(select(jobs.c.id, jobs.c.state).where(own, which)).first()
    if found is not None and found.state in FINAL:
        return int(body.reason == ALREADY_ENDED)  # that is known
    if found is None or not proven:
        return 0
    told = {"reason": body.reason, "detail": body.detail, "updated": at}
    job = jobs.c.id == found.id
    if not states.advance(connection, jobs, "state", states.JOB, states.GONE, job, **told):
        return 0
    states.advance(connection, jobs, "cancel_state", states.CANCEL, REJECTED, job)
    of_it = pauses.c.job == found.id
    states.advance(connection, pauses, "state", states.PAUSE, REFUSED, of_it, reason=body.reason)
    open_ones = (meters.c.job == found.id, meters.c.state.not_in(FINAL))
    result = {
        "state": REJECTED,
        "outcome": KO,
        "reason": RESULT_UNKNOWN,
        "detail": "its answer to the job now: %s" % body.reason,
        "updated": at,
    }
    connection.execute(update(meters).where(*open_ones).values(result))
    return 1


def _cancel_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    own, sent = jobs.c.concentrator == concentrator, jobs.c.cancel_state == SENT
    which = _ours(connection, body, jobs.c.cancel_digest, jobs.c.cancel, own, sent)
    why = {"cancel_reason": body.reason}
    return states.advance(
        connection, jobs, "cancel_state", states.CANCEL, REFUSED, own, which, **why
    )


def _pause_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    own, sent = pauses.c.job.in_(_own_jobs(concentrator)), pauses.c.state == SENT
    which = _ours(connection, body, pauses.c.digest, pauses.c.envelope, own, sent)
    why = {"reason": body.reason}
    return states.advance(connection, pauses, "state", states.PAUSE, REFUSED, own, which, **why)


def _numbered_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    if body.reason == DUPLICATE:
        return 0
    each = numbered.c
    own = (each.topic == body.topic, each.concentrator == concentrator)
    which = _ours(connection, body, each.digest, each.envelope, *own, each.state == SENT)
    told = {"reason": body.reason, "detail": body.detail, "updated": at}
    changed = states.advance(
        connection, numbered, "state", states.NUMBERED, REFUSED, *own, which, **told
    )
    if not changed and body.reason == REPLAYED and body.topic in COUNTED:
        # Of the last one taken a second copy is a duplicate: it was another with this number.
        taken = standing.c[COUNTED[body.topic]]
        last = select(taken).where(standing.c.concentrator == concentrator)
        number = each.number == last.scalar_subquery()
        changed = states.advance(
            connection, numbered, "state", states.NUMBERED, OUTRUN, *own, which, number, **told
        )
    return changed


_REFUSED = {
    "job": _job_refused,
    "cancel": _cancel_refused,
    "pause": _pause_refused,
    "trust": _numbered_refused,
    "keys": _numbered_refused,
    "model": _numbered_refused,
    "change": _numbered_refused,
    "certificate": _numbered_refused,
}


def _own_jobs(concentrator: str) -> Any:
    return select(jobs.c.id).where(jobs.c.concentrator == concentrator)


def _known(connection: Connection, concentrator: str, job_id: bytes) -> bool:
    which: tuple[ColumnElement[bool], ...] = (
        jobs.c.id == job_id,
        jobs.c.concentrator == concentrator,
    )
    return connection.execute(select(jobs.c.number).where(*which)).first() is not None
