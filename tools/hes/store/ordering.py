"""The store's face to those who order: packages, jobs, cancels, pauses."""

from __future__ import annotations

import hashlib

from sqlalchemy import insert, select, update

from gateway.contract.envelope import digest_of
from tools.hes.store import rows
from tools.hes.store.jobs import Jobs
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import NewJob
from tools.hes.store.schema import jobs, meters, packages, pauses
from tools.hes.store.states import CANCEL, NONE, ORDERED, PAUSE, QUEUED, SUBMITTED, after


class Orders(Jobs):
    def add_package(self, content: bytes, name: str, version: str) -> bytes:
        """Keep a signed package; returns its SHA-256."""
        digest = hashlib.sha256(content).digest()
        row = {"digest": digest, "name": name, "version": version, "content": content}
        with self._db.writing() as connection:
            rows.upsert(connection, packages, [row], keep=True)
        return digest

    def add_job(self, job: NewJob) -> None:
        now = int(self._db.now())
        row = {
            "id": job.id,
            "concentrator": job.concentrator,
            "kind": job.kind,
            "submitted": now,
            "priority": job.priority,
            "not_before": job.not_before,
            "not_after": job.not_after,
            "tries": job.tries,
            "backoff": job.backoff,
            "package": job.package,
            "attributes": [[c, obis.hex(), index] for c, obis, index in job.attributes],
            "envelope": job.envelope,
            "digest": digest_of(job.envelope),
            "state": SUBMITTED,
            "updated": now,
            "daily": job.daily,
            "canary": job.canary,
            "retry_of": job.retry_of,
            "paused": False,
        }
        each = [
            {"job": job.id, "position": at, "serial": serial, "state": QUEUED}
            for at, serial in enumerate(job.meters)
        ]
        with self._db.writing() as connection:
            connection.execute(insert(jobs), row)
            connection.execute(insert(meters), each)

    def add_cancel(self, job_id: bytes, envelope: bytes) -> None:
        """Keep a signed order to cancel; it is sent until the concentrator has answered. Illegal
        if the job was cancelled already.
        """
        which = jobs.c.id == job_id
        with self._db.writing() as connection:
            state = connection.execute(select(jobs.c.cancel_state).where(which)).scalar()
            if state is None:
                raise StoreProblem("%s holds no job %s" % (self._db.name, job_id.hex()))
            order = {
                "cancel": envelope,
                "cancel_digest": digest_of(envelope),
                "cancel_state": after(CANCEL, state, ORDERED),
                "cancel_reason": "",
            }
            connection.execute(update(jobs).where(which).values(order))

    def next_pause(self, job_id: bytes) -> int:
        """The date for the next order to pause or resume the job: no two have the same."""
        with self._db.reading() as connection:
            last = connection.execute(
                select(pauses.c.issued).where(pauses.c.job == job_id)
            ).scalar()
        return max(int(self._db.now()), 0 if last is None else last + 1)

    def add_pause(self, job_id: bytes, paused: bool, issued: int, envelope: bytes) -> None:
        """Keep a signed order to pause or resume; it replaces one that is not answered yet."""
        with self._db.writing() as connection:
            state = connection.execute(
                select(pauses.c.state).where(pauses.c.job == job_id)
            ).scalar()
            row = {
                "job": job_id,
                "paused": paused,
                "issued": issued,
                "envelope": envelope,
                "digest": digest_of(envelope),
                "state": after(PAUSE, state or NONE, ORDERED),
                "reason": "",
            }
            rows.upsert(connection, pauses, [row])
