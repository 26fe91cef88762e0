"""The store's face to the line: what `serve` sends to the concentrators and takes from them.

A position and what stands up to it are written in one transaction, so that what is acknowledged is
here, and what is here is not applied a second time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    delete,
    exists,
    select,
    union,
    update,
)

from gateway.contract.line_certificate import LineStatus
from gateway.contract.messages import Hello, Memory, Meters, Progress, Readings, Reports
from gateway.contract.messages import State as Birth
from tools.hes.store import claims, hellos, memory, pages, reporting, rows, sightings, states
from tools.hes.store.database import Database
from tools.hes.store.intake import Intake
from tools.hes.store.jobs import Jobs
from tools.hes.store.notes import note, tell_counted
from tools.hes.store.records import Numbered, Order, Taken, TakenReadings
from tools.hes.store.schema import (
    MAX_NUMBER,
    asks,
    concentrators,
    jobs,
    line_certificates,
    modems,
    numbered,
    pauses,
    progress,
    service,
)
from tools.hes.store.states import IN_PROGRESS, PUBLISHED, QUEUED, UNANSWERED
from tools.hes.validation.own_rules import OwnRules

CERTIFICATE = "certificate"  # the topic; such a message's `what` is the SHA-256 of the certificate
ASK_AGAIN = 30  # seconds, for a page of meters that did not come

_AMONG: BindParameter[Any] = bindparam("among", expanding=True)
_ANYTHING_DUE = select(
    exists().where(jobs.c.state.in_(_AMONG))
    | exists().where(jobs.c.cancel_state.in_(_AMONG))
    | exists().where(pauses.c.state.in_(_AMONG))
    | exists().where(numbered.c.state.in_(_AMONG))
    | exists().where(asks.c.sent <= bindparam("before"))
)


class Line(Jobs):
    """`own_rules` are the utility's, for readings."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.own_rules = OwnRules()

    def together(self) -> AbstractContextManager[None]:
        """What is written meanwhile by this thread is committed as one; see Database."""
        return self._db.together()

    def alone(self) -> AbstractContextManager[None]:
        """No other `serve` meanwhile; see Database."""
        return self._db.alone()

    # -------------------------------------------------------- to the concentrators

    def anything_due(self, among: tuple[str, ...]) -> bool:
        """Whether any order or numbered message is in one of these states, or somebody is to be
        asked for meters: one short look, for who looks often.
        """
        values = {"among": among, "before": int(self._db.now()) - ASK_AGAIN}
        with self._db.reading() as connection:
            return bool(connection.execute(_ANYTHING_DUE, values).scalar_one())

    def concentrators_with_orders(self, among: tuple[str, ...] = UNANSWERED) -> list[str]:
        """Those for which a job, a cancel or a pause is in one of these states."""
        query = union(
            select(jobs.c.concentrator).where(jobs.c.state.in_(among)),
            select(jobs.c.concentrator).where(jobs.c.cancel_state.in_(among)),
            select(jobs.c.concentrator)
            .join_from(pauses, jobs, pauses.c.job == jobs.c.id)
            .where(pauses.c.state.in_(among)),
        )
        with self._db.reading() as connection:
            return list(connection.execute(query).scalars())

    def orders(self, concentrator: str, among: tuple[str, ...] = UNANSWERED) -> list[Order]:
        """Its jobs and cancels in these states, oldest job first, then pauses, oldest first."""
        each = select(jobs.c.id, jobs.c.state, jobs.c.envelope, jobs.c.cancel_state, jobs.c.cancel)
        each = each.where(
            jobs.c.concentrator == concentrator,
            jobs.c.state.in_(among) | jobs.c.cancel_state.in_(among),
        ).order_by(jobs.c.number)
        paused = (
            select(pauses.c.job, pauses.c.envelope)
            .join_from(pauses, jobs, pauses.c.job == jobs.c.id)
            .where(jobs.c.concentrator == concentrator, pauses.c.state.in_(among))
            .order_by(pauses.c.issued)
        )
        found = []
        with self._db.reading() as connection:
            for row in connection.execute(each):
                if row.state in among:
                    found.append(Order("job", row.id, row.envelope))
                if row.cancel_state in among:
                    found.append(Order("cancel", row.id, row.cancel))
            found += [Order("pause", row[0], row[1]) for row in connection.execute(paused)]
        return found

    def missing(self, concentrator: str, known: list[bytes]) -> list[Order]:
        """As orders(): the unfinished jobs that are not among the `known` ids, and the unanswered
        cancels and pauses.
        """
        return [
            order
            for order in self.orders(concentrator, (*UNANSWERED, QUEUED, IN_PROGRESS))
            if order.kind != "job" or order.job not in known
        ]

    def sent(self, order: Order) -> None:
        with self._db.writing() as connection:
            if order.kind == "pause":
                which = pauses.c.job == order.job
                states.advance(connection, pauses, "state", states.PAUSE, PUBLISHED, which)
            else:
                column, table = {
                    "job": ("state", states.JOB),
                    "cancel": ("cancel_state", states.CANCEL),
                }[order.kind]
                which, now = jobs.c.id == order.job, int(self._db.now())
                states.advance(connection, jobs, column, table, PUBLISHED, which, updated=now)

    def numbered(
        self, concentrator: str | None, among: tuple[str, ...] = UNANSWERED
    ) -> list[Numbered]:
        """The messages of trust, keys, models and changes in these states, oldest first; of all
        concentrators if None.
        """
        query = rows.of(numbered, Numbered).where(numbered.c.state.in_(among))
        if concentrator is not None:
            query = query.where(numbered.c.concentrator == concentrator)
        with self._db.reading() as connection:
            return rows.all_made(Numbered, connection.execute(query.order_by(numbered.c.id)))

    def numbered_sent(self, message: Numbered) -> None:
        which, now = numbered.c.id == message.id, int(self._db.now())
        with self._db.writing() as connection:
            states.advance(
                connection, numbered, "state", states.NUMBERED, PUBLISHED, which, updated=now
            )

    def asks(self) -> list[tuple[str, str]]:
        """[(concentrator, after which serial)] to be asked for its meters now."""
        due = asks.c.sent <= int(self._db.now()) - ASK_AGAIN
        with self._db.reading() as connection:
            found = connection.execute(select(asks.c.concentrator, asks.c.after).where(due))
            return [(row.concentrator, row.after) for row in found]

    def ask_sent(self, concentrator: str) -> None:
        which = asks.c.concentrator == concentrator
        with self._db.writing() as connection:
            connection.execute(update(asks).where(which).values(sent=int(self._db.now())))

    # -------------------------------------------------------- from the concentrators

    def addressed(self) -> list[str]:
        """Every concentrator that was heard of, or has an order."""
        query = union(
            select(concentrators.c.id),
            select(jobs.c.concentrator),
            select(numbered.c.concentrator),
        )
        with self._db.reading() as connection:
            return list(connection.execute(query).scalars())

    def package_for(
        self, concentrator: str, digest: bytes, offset: int, size: int
    ) -> tuple[int, bytes]:
        """As package_piece(), of a package that a job of this concentrator needs. To anybody else
        it is as if there were none: packages are not everybody's to read.
        """
        own = (jobs.c.concentrator == concentrator, jobs.c.package == digest)
        with self._db.writing() as connection:
            if connection.execute(select(jobs.c.number).where(*own).limit(1)).first() is None:
                now, text = int(self._db.now()), "it asked for package %s, and no job of it does"
                note(connection, now, concentrator, "package-not-ordered", text % digest.hex())
                return 0, b""
        return self.package_piece(digest, offset, size)

    def take_state(
        self, concentrator: str, state: Birth, retained: bool = False, moves: bool = True
    ) -> None:
        """A birth or a will. A will of another session than the known one is late and changes
        nothing, unless `retained` says that it is what the broker has last heard: then the birth of
        its session was missed. `moves`: nothing better than State tells where its reports begin,
        and that it was heard just now. A state may be an old one that somebody says again.
        """
        now = int(self._db.now())
        with self._db.writing() as connection:
            known = connection.execute(
                select(concentrators.c.session, concentrators.c.seen).where(
                    concentrators.c.id == concentrator
                )
            ).first()
            other = known is not None and known.session != min(state.session, MAX_NUMBER)
            if not state.online and other and not retained:
                return
            row = {
                "id": concentrator,
                "online": state.online,
                "session": state.session,
                "epoch": state.epoch,
                "firmware": state.firmware,
                "runtime": state.runtime,
                "jobs_open": state.jobs_open,
                "meters_known": state.meters_known,
                "meters_reachable": state.meters_reachable,
                "seen": now if moves or known is None else known.seen,
            }
            rows.upsert(connection, concentrators, [row])
            if state.online:
                _take_modems(connection, concentrator, state, now)
                if moves and not retained:
                    sightings.see(connection, now, concentrator, state.session, state.epoch)
            if moves:
                claims.take(connection, now, concentrator, state.epoch, state.first)

    def remember(self, concentrator: str, hello: Hello) -> Memory | None:
        """See memory.py. Before take_hello()."""
        with self._db.writing() as connection:
            return memory.remember(connection, int(self._db.now()), concentrator, hello)

    def take_hello(self, concentrator: str, hello: Hello, proven: bool = False) -> None:
        """Note where it stands; see hellos.py. `proven`: it is there, whatever its state has said;
        else only if it is of the session of that.
        """
        now, each = int(self._db.now()), concentrators.c
        session = min(hello.session, MAX_NUMBER)
        which = [each.id == concentrator]
        if not proven:
            which += [each.session == session, each.online]
        with self._db.writing() as connection:
            hellos.take(connection, now, concentrator, hello)
            there = update(concentrators).where(*which)
            connection.execute(there.values(online=True, session=session, seen=now))

    def take_certificates(self, concentrator: str, status: LineStatus) -> None:
        """What it says of its line. A certificate that it shows now is one that it has taken."""
        now = int(self._db.now())
        row = {
            "concentrator": concentrator,
            "told": now,
            "until": status.until,
            "digest": status.digest,
            "broker": status.broker,
            "request": status.request,
        }
        which = (
            numbered.c.concentrator == concentrator,
            numbered.c.topic == CERTIFICATE,
            numbered.c.what == status.digest.hex(),
        )
        with self._db.writing() as connection:
            rows.upsert(connection, line_certificates, [row])
            states.advance(
                connection, numbered, "state", states.NUMBERED, states.TAKEN, *which, updated=now
            )

    def take_progress(self, concentrator: str, message: Progress) -> None:
        """Of jobs of this concentrator; others are none of its business."""
        now = int(self._db.now())
        own = select(jobs.c.id).where(jobs.c.concentrator == concentrator)
        own = own.where(jobs.c.id.in_([each[0] for each in message.jobs]))
        names = ("phase", "permille", "queued", "in_hand", "done", "waiting")
        with self._db.writing() as connection:
            known = set(connection.execute(own).scalars())
            for job_id, *values, ends in message.jobs:
                if job_id not in known:
                    continue
                row: dict[str, Any] = dict(zip(names, values, strict=True))
                # Times by our clock, should the concentrator's be another.
                ahead = now - message.time if message.time else 0
                if ends:
                    ends = max(0, ends + ahead)
                row["waiting"] = [
                    [reason, meters, *[max(0, at + ahead) for at in until]]
                    for reason, meters, *until in row["waiting"]
                ]
                row.update(job=job_id, time=now, ends=ends)
                rows.upsert(connection, progress, [row])

    def take_meters(self, concentrator: str, page: Meters) -> None:
        """One page. Those between its ends that are not in it are no meters any more."""
        with self._db.writing() as connection:
            pages.take(connection, int(self._db.now()), concentrator, page)
            which = asks.c.concentrator == concentrator
            if not page.meters or not page.more:
                connection.execute(delete(asks).where(which))
            else:
                further = update(asks).where(which, asks.c.after == page.after)
                connection.execute(further.values(after=page.meters[-1][0], sent=0))

    def take_reports(self, concentrator: str, message: Reports, proven: bool = False) -> Taken:
        """Store what is new, up to the first gap, in one transaction. Safe when it returns.
        `proven`: see reporting.take()."""
        now = int(self._db.now())
        gap = False
        with self._db.writing() as connection:
            before = number = claims.position(connection, concentrator, message.epoch)
            for report in message.reports:
                if report.number <= number:
                    continue
                if report.number != number + 1:
                    gap = True
                    break
                taken = reporting.take(connection, now, concentrator, report, proven)
                if taken is None:
                    gap = True
                    break
                number = taken
            if number != before:
                claims.move(connection, now, concentrator, message.epoch, number)
                heard = update(concentrators).where(concentrators.c.id == concentrator)
                connection.execute(heard.values(seen=now))
        return Taken(number, gap)

    def take_readings(self, concentrator: str, message: Readings) -> TakenReadings:
        """As take_reports(), of the stream of readings; see intake.py."""
        with self._db.writing() as connection:
            now = int(self._db.now())
            return Intake(connection, now, concentrator, self.own_rules, {}).take(message)

    def position(self, concentrator: str, epoch: int) -> int:
        """All reports of the epoch up to this number are safe here; 0: none."""
        with self._db.reading() as connection:
            return claims.position(connection, concentrator, epoch)

    def reading_position(self, concentrator: str, epoch: int) -> int:
        """Likewise of the records of readings."""
        with self._db.reading() as connection:
            return claims.position(connection, concentrator, epoch, claims.READINGS)

    def epoch(self, concentrator: str) -> int | None:
        """The epoch of its latest birth, None if it was never heard of."""
        query = select(concentrators.c.epoch).where(concentrators.c.id == concentrator)
        with self._db.reading() as connection:
            found: int | None = connection.execute(query).scalar()
        return found

    def tell_counted(self) -> None:
        """Events of the last hour that were only counted; see notes.py."""
        with self._db.writing() as connection:
            tell_counted(connection, int(self._db.now()))

    def add_event(self, concentrator: str, name: str, detail: str) -> None:
        with self._db.writing() as connection:
            note(connection, int(self._db.now()), concentrator, name, detail)

    # -------------------------------------------------------- the service's sign of life

    def beat(self, broker: str, status: str) -> None:
        """`serve` is alive; `broker` without credentials; `status` "connected" or why not."""
        row = {"one": 1, "broker": broker, "status": status, "beat": self._db.now()}
        with self._db.writing() as connection:
            rows.upsert(connection, service, [row])

    def works(self) -> None:
        """Writes what changes nothing. DatabaseTrouble."""
        with self._db.writing() as connection:
            connection.execute(update(service).values(beat=service.c.beat))


def _take_modems(connection: Connection, concentrator: str, state: Birth, now: int) -> None:
    connection.execute(delete(modems).where(modems.c.concentrator == concentrator))
    names = ("kind", "up", "nodes", "counters")
    found = [
        {
            "concentrator": concentrator,
            "place": at,
            "told": now,
            **dict(zip(names, each, strict=True)),
        }
        for at, each in enumerate(state.modems)
    ]
    rows.upsert(connection, modems, found)
