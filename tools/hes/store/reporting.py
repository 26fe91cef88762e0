"""What one report of a concentrator changes: a meter's result, a job's state, an answer to an
order.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from gateway.contract.reports import Dropped, Event, JobReport, MeterReport, Refusal, Report
from tools.hes.store import states
from tools.hes.store.notes import note
from tools.hes.store.schema import MAX_NUMBER, jobs, meters, numbered, pauses
from tools.hes.store.states import DONE, DUPLICATE, FINAL, REFUSED, TOLD, WORKED


def take(connection: Connection, now: int, concentrator: str, report: Report) -> int:
    """Apply it; returns the number up to which all is accounted for."""
    at, body = report.time or now, report.body
    if isinstance(body, MeterReport):
        _take_meter(connection, now, concentrator, at, body)
    elif isinstance(body, JobReport):
        _take_job(connection, now, concentrator, at, body)
    elif isinstance(body, Refusal):
        _take_refusal(connection, now, concentrator, at, body)
    elif isinstance(body, Event):
        note(connection, now, concentrator, body.name, body.detail)
    elif isinstance(body, Dropped):
        last = min(max(report.number, body.last), MAX_NUMBER)
        text = "the concentrator had no room for reports %d..%d" % (report.number, last)
        note(connection, now, concentrator, "reports-dropped", text)
        return last
    return report.number


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
    connection: Connection, now: int, concentrator: str, at: int, body: Refusal
) -> None:
    """The digest says which order it was; `duplicate` is no refusal of the order itself."""
    known = _REFUSED.get(body.topic)
    fitted = known(connection, concentrator, at, body) if known else 0
    if not fitted and body.reason != DUPLICATE:
        text = "%s: %s, %s" % (body.topic, body.reason, body.detail)
        note(connection, now, concentrator, "refused", text, body.reason)


def _job_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    event = DUPLICATE if body.reason == DUPLICATE else REFUSED
    which = (jobs.c.digest == body.digest, jobs.c.concentrator == concentrator)
    told = {"reason": body.reason, "detail": body.detail, "updated": at}
    return states.advance(connection, jobs, "state", states.JOB, event, *which, **told)


def _cancel_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    which = (jobs.c.cancel_digest == body.digest, jobs.c.concentrator == concentrator)
    why = {"cancel_reason": body.reason}
    return states.advance(connection, jobs, "cancel_state", states.CANCEL, REFUSED, *which, **why)


def _pause_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    which = (pauses.c.digest == body.digest, pauses.c.job.in_(_own_jobs(concentrator)))
    why = {"reason": body.reason}
    return states.advance(connection, pauses, "state", states.PAUSE, REFUSED, *which, **why)


def _numbered_refused(connection: Connection, concentrator: str, at: int, body: Refusal) -> int:
    if body.reason == DUPLICATE:
        return 0
    which = (
        numbered.c.topic == body.topic,
        numbered.c.digest == body.digest,
        numbered.c.concentrator == concentrator,
    )
    told = {"reason": body.reason, "detail": body.detail, "updated": at}
    return states.advance(connection, numbered, "state", states.NUMBERED, REFUSED, *which, **told)


_REFUSED = {
    "job": _job_refused,
    "cancel": _cancel_refused,
    "pause": _pause_refused,
    "trust": _numbered_refused,
    "keys": _numbered_refused,
    "model": _numbered_refused,
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
