"""The store's face to those who follow jobs: the report, the live view, the list."""

from __future__ import annotations

from sqlalchemy import case, func, select

from gateway.contract.result import KO, OK, VALUE
from tools.hes.store import rows
from tools.hes.store.jobs import Jobs
from tools.hes.store.records import (
    Concentrator,
    Counted,
    Event,
    Pause,
    Progress,
    Service,
    TaskRun,
)
from tools.hes.store.schema import (
    concentrators,
    events,
    jobs,
    meters,
    pauses,
    progress,
    service,
    task_runs,
)


class Reports(Jobs):
    @property
    def name(self) -> str:
        """Of the database, for people."""
        return self._db.name

    def jobs(self) -> list[Counted]:
        """Newest first."""

        def ended(outcome: str) -> object:
            return func.coalesce(func.sum(case((meters.c.outcome == outcome, 1), else_=0)), 0)

        counts = (
            select(
                meters.c.job,
                func.count().label("meters"),
                ended(OK).label("ok"),  # type: ignore[attr-defined]
                ended(KO).label("ko"),  # type: ignore[attr-defined]
                ended(VALUE).label("value"),  # type: ignore[attr-defined]
            )
            .group_by(meters.c.job)
            .subquery()
        )
        found = {name: counts.c[name] for name in ("meters", "ok", "ko", "value")}
        query = (
            rows.of(jobs, Counted, ends=progress.c.ends, **found)
            .join_from(jobs, counts, counts.c.job == jobs.c.id)
            .outerjoin(progress, progress.c.job == jobs.c.id)
            .order_by(jobs.c.number.desc())
        )
        with self._db.reading() as connection:
            return rows.all_made(Counted, connection.execute(query))

    def earlier(self, job_id: bytes) -> list[bytes]:
        """The jobs that this one orders again, the first one first."""
        found: list[bytes] = []
        before = self.job(job_id).retry_of
        while before is not None and before not in found:
            found.insert(0, before)
            before = self.job(before).retry_of
        return found

    def pause(self, job_id: bytes) -> Pause | None:
        """The newest order to pause or resume the job."""
        with self._db.reading() as connection:
            row = connection.execute(rows.of(pauses, Pause).where(pauses.c.job == job_id)).first()
        return rows.made(Pause, row) if row else None

    def progress(self, job_id: bytes) -> Progress | None:
        """How far the job was when its concentrator told so last; None: it has not."""
        query = rows.of(progress, Progress).where(progress.c.job == job_id)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        return rows.made(Progress, row) if row else None

    def events(self, limit: int = 100) -> list[Event]:
        """Newest first."""
        query = rows.of(events, Event).order_by(events.c.id.desc()).limit(limit)
        with self._db.reading() as connection:
            return rows.all_made(Event, connection.execute(query))

    def runs(
        self, concentrator: str | None = None, name: str | None = None, limit: int = 100
    ) -> list[TaskRun]:
        """What runs of tasks came to, newest first; of all concentrators and tasks if None."""
        query = rows.of(task_runs, TaskRun).order_by(task_runs.c.id.desc()).limit(limit)
        if concentrator is not None:
            query = query.where(task_runs.c.concentrator == concentrator)
        if name is not None:
            query = query.where(task_runs.c.name == name)
        with self._db.reading() as connection:
            return rows.all_made(TaskRun, connection.execute(query))

    def concentrators(self) -> list[Concentrator]:
        """Those that were heard of, by name."""
        query = rows.of(concentrators, Concentrator).order_by(concentrators.c.id)
        with self._db.reading() as connection:
            return rows.all_made(Concentrator, connection.execute(query))

    def service(self) -> Service | None:
        """The last sign of life of `serve`, None if it never ran on this database."""
        query = select(service.c.broker, service.c.status, service.c.beat)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        return Service(row.broker, row.status, self._db.now() - row.beat) if row else None
