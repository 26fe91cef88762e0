"""What the HES knows, in one SQLite file: packages, jobs, what each meter reported, where each
concentrator stands.

`ami-hes serve` and the other commands are separate processes that meet only here. Everything is
durable when a call returns (WAL, synchronous=FULL). One Store serves one thread.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.contract.envelope import digest_of
from gateway.contract.job import State
from gateway.contract.messages import Hello, Meters, Progress, Reports
from gateway.contract.messages import State as Birth
from gateway.contract.reports import Dropped, Event, JobReport, MeterReport, Refusal
from tools.hes.store.migrate import Newer, migrate

# States of a job. The first two are the HES's own, the others those of gateway/contract/job.py, as
# are the states of a meter.
SUBMITTED = "submitted"  # here only
SENT = "sent"  # published; the concentrator has not answered yet
QUEUED = State.NAMES[State.QUEUED]
IN_PROGRESS = State.NAMES[State.IN_PROGRESS]
REJECTED = State.NAMES[State.REJECTED]
FINAL = State.NAMES[State.SUCCEEDED :]
UNANSWERED = (SUBMITTED, SENT)
TAKEN = "taken"  # of a numbered message

EVENTS = 10000  # kept; older ones make room
WAY_CHANGES = 50  # of each path of a meter, kept
ASK_AGAIN = 30  # seconds, for a page of meters that did not come
NO_PATH = -1  # place of the one way of a meter that has none: it is not commissioned
MAX_NUMBER = (1 << 63) - 1  # of a report, as SQLite counts

_SCHEMA = """
CREATE TABLE IF NOT EXISTS packages (
    digest BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    id BLOB PRIMARY KEY,
    concentrator TEXT NOT NULL,
    kind TEXT NOT NULL,
    submitted INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    backoff INTEGER NOT NULL,
    package BLOB REFERENCES packages,
    attributes TEXT NOT NULL,
    envelope BLOB NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    updated INTEGER NOT NULL,
    cancel BLOB,
    cancel_digest BLOB,
    cancel_state TEXT NOT NULL DEFAULT '',
    cancel_reason TEXT NOT NULL DEFAULT '',
    daily TEXT NOT NULL,
    canary TEXT NOT NULL,
    retry_of BLOB REFERENCES jobs,
    paused INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_concentrator ON jobs (concentrator, submitted);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
CREATE INDEX IF NOT EXISTS jobs_by_cancel_state ON jobs (cancel_state);
CREATE TABLE IF NOT EXISTS meters (
    job BLOB NOT NULL REFERENCES jobs,
    position INTEGER NOT NULL,
    serial TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    path TEXT NOT NULL DEFAULT '',
    duration_ms INTEGER NOT NULL DEFAULT 0,
    value TEXT,
    updated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, serial)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pauses (
    job BLOB PRIMARY KEY REFERENCES jobs,
    paused INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (
    job BLOB PRIMARY KEY REFERENCES jobs,
    time INTEGER NOT NULL,
    phase TEXT NOT NULL,
    permille INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    in_hand INTEGER NOT NULL,
    done INTEGER NOT NULL,
    waiting TEXT NOT NULL,
    ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (
    concentrator TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (concentrator, epoch)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS concentrators (
    id TEXT PRIMARY KEY,
    online INTEGER NOT NULL,
    session INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    firmware TEXT NOT NULL,
    runtime TEXT NOT NULL,
    jobs_open INTEGER NOT NULL,
    meters_known INTEGER NOT NULL,
    meters_reachable INTEGER NOT NULL,
    seen INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    concentrator TEXT NOT NULL,
    time INTEGER NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS standing (
    concentrator TEXT PRIMARY KEY,
    trust INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    records INTEGER NOT NULL,
    head BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS numbered (
    topic TEXT NOT NULL,
    concentrator TEXT NOT NULL,
    number INTEGER NOT NULL,
    what TEXT NOT NULL,
    envelope BLOB NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    submitted INTEGER NOT NULL,
    updated INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS numbered_by_state ON numbered (state);
CREATE TABLE IF NOT EXISTS staged_trust (
    concentrator TEXT NOT NULL,
    kid BLOB NOT NULL,
    public BLOB,
    purposes INTEGER NOT NULL,
    PRIMARY KEY (concentrator, kid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS modems (
    concentrator TEXT NOT NULL,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    up INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    counters TEXT NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (concentrator, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ways (
    concentrator TEXT NOT NULL,
    serial TEXT NOT NULL,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state INTEGER NOT NULL,
    since INTEGER NOT NULL,
    heard INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    silent INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    registered INTEGER NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (concentrator, serial, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS way_changes (
    concentrator TEXT NOT NULL,
    serial TEXT NOT NULL,
    kind TEXT NOT NULL,
    since INTEGER NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (concentrator, serial, kind, since)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asks (
    concentrator TEXT PRIMARY KEY,
    after TEXT NOT NULL,
    sent INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS service (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    broker TEXT NOT NULL,
    status TEXT NOT NULL,
    beat REAL NOT NULL
);
"""


class StoreProblem(Exception):
    """The store cannot do what was asked; the text says what to do."""


@dataclass(frozen=True)
class NewJob:
    """A job as submitted: `id` 16 bytes, `kind` "configure" or "read", times in unix seconds,
    `envelope` signed.
    """

    id: bytes
    concentrator: str
    kind: str
    priority: int
    not_before: int
    not_after: int
    tries: int
    backoff: int
    package: bytes | None  # SHA-256 of one in the store
    attributes: list[tuple[int, bytes, int]]
    meters: list[str]
    envelope: bytes
    daily: list[Any] | None = None  # opens, closes, days, shifts; see gateway/contract/window.py
    canary: tuple[int, int] | None = None  # meters, percent
    retry_of: bytes | None = None  # the job that this one orders again


@dataclass(frozen=True)
class Taken:
    """What became of a message of reports: all up to `number` are safe; `gap`: those after it are
    missing.
    """

    number: int
    gap: bool


class Store:
    def __init__(self, path: Path | str, now: Callable[[], float] = time.time) -> None:
        """Opens the file, made if absent. StoreProblem when it is not ours or cannot be opened."""
        self.path = Path(path)
        self._now = now
        try:
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.executescript(_SCHEMA)
            migrate(self._db)
        except (sqlite3.Error, Newer) as error:
            raise StoreProblem(
                "%s: cannot be used as the HES's database (%s); give another file with --db"
                % (path, error)
            ) from None

    def close(self) -> None:
        self._db.close()

    def now(self) -> float:
        """Unix seconds."""
        return self._now()

    # -------------------------------------------------------- packages and jobs

    def add_package(self, content: bytes, name: str, version: str) -> bytes:
        """Keep a signed package; returns its SHA-256."""
        digest = hashlib.sha256(content).digest()
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO packages VALUES (?, ?, ?, ?)",
                (digest, name, version, content),
            )
        return digest

    def package_name(self, digest: bytes) -> tuple[str, str]:
        """(name, version)."""
        row = self._one("SELECT name, version FROM packages WHERE digest = ?", digest)
        return row["name"], row["version"]

    def package_piece(self, digest: bytes, offset: int, size: int) -> tuple[int, bytes]:
        """(size of the whole package, the octets asked for); (0, b"") if there is none."""
        row = self._db.execute(
            "SELECT length(content), substr(content, ?, ?) FROM packages WHERE digest = ?",
            (offset + 1, size, digest),
        ).fetchone()
        return (row[0], row[1]) if row else (0, b"")

    def add_job(self, job: NewJob) -> None:
        now = int(self._now())
        attributes = [[class_id, obis.hex(), index] for class_id, obis, index in job.attributes]
        with self._transaction() as db:
            db.execute(
                "INSERT INTO jobs (id, concentrator, kind, submitted, priority, not_before,"
                " not_after, tries, backoff, package, attributes, envelope, digest, state, updated,"
                " daily, canary, retry_of)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.id,
                    job.concentrator,
                    job.kind,
                    now,
                    job.priority,
                    job.not_before,
                    job.not_after,
                    job.tries,
                    job.backoff,
                    job.package,
                    json.dumps(attributes),
                    job.envelope,
                    digest_of(job.envelope),
                    SUBMITTED,
                    now,
                    json.dumps(job.daily),
                    json.dumps(job.canary),
                    job.retry_of,
                ),
            )
            db.executemany(
                "INSERT INTO meters (job, position, serial, state) VALUES (?, ?, ?, ?)",
                [(job.id, at, serial, QUEUED) for at, serial in enumerate(job.meters)],
            )

    def add_cancel(self, job_id: bytes, envelope: bytes) -> None:
        """Keep a signed order to cancel; it is sent until the concentrator has answered."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET cancel = ?, cancel_digest = ?, cancel_state = ?,"
                " cancel_reason = '' WHERE id = ?",
                (envelope, digest_of(envelope), SUBMITTED, job_id),
            )

    def next_pause(self, job_id: bytes) -> int:
        """The date for the next order to pause or resume the job: no two have the same."""
        row = self._db.execute("SELECT issued FROM pauses WHERE job = ?", (job_id,)).fetchone()
        return max(int(self._now()), row["issued"] + 1 if row else 0)

    def add_pause(self, job_id: bytes, paused: bool, issued: int, envelope: bytes) -> None:
        """Keep a signed order to pause or resume; it replaces one that is not answered yet."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO pauses VALUES (?, ?, ?, ?, ?, ?, '')",
                (job_id, paused, issued, envelope, digest_of(envelope), SUBMITTED),
            )

    def pause(self, job_id: bytes) -> sqlite3.Row | None:
        """The newest order to pause or resume the job: `paused`, `state` ("" once it is done),
        `reason`.
        """
        found = self._db.execute("SELECT * FROM pauses WHERE job = ?", (job_id,)).fetchall()
        return found[0] if found else None

    def earlier(self, job_id: bytes) -> list[bytes]:
        """The jobs that this one orders again, the first one first."""
        found: list[bytes] = []
        before = self.job(job_id)["retry_of"]
        while before is not None and before not in found:
            found.insert(0, bytes(before))
            before = self.job(before)["retry_of"]
        return found

    def find_job(self, prefix: str) -> bytes:
        """The id that starts with these hexadecimal digits (hyphens do not matter); "last" is the
        newest job.
        """
        if prefix == "last":
            row = self._db.execute(
                "SELECT id FROM jobs ORDER BY submitted DESC, rowid DESC"
            ).fetchone()
            if row is None:
                raise StoreProblem("%s holds no job yet; `ami-hes submit` makes one" % self.path)
            return bytes(row["id"])
        digits = prefix.replace("-", "").lower()
        if not digits or digits.strip("0123456789abcdef"):
            raise StoreProblem("expected a job's id or its first digits, got '%s'" % prefix)
        found = self._db.execute(
            "SELECT id FROM jobs WHERE hex(id) LIKE ? LIMIT 2", (digits.upper() + "%",)
        ).fetchall()
        if len(found) != 1:
            raise StoreProblem(
                "%s job in %s has an id that starts with %s; `ami-hes list` shows them"
                % ("more than one" if found else "no", self.path, prefix)
            )
        return bytes(found[0]["id"])

    def job(self, job_id: bytes) -> sqlite3.Row:
        return self._one("SELECT rowid, * FROM jobs WHERE id = ?", job_id)

    def jobs(self) -> list[sqlite3.Row]:
        """Newest first, with the counts of meters as `meters`, `ok`, `ko`, `value`, and the
        expected end as `ends` (None, 0: not known)."""
        return self._db.execute(
            "SELECT jobs.*, progress.ends, count(*) AS meters, sum(meters.outcome = 'OK') AS ok,"
            " sum(meters.outcome = 'KO') AS ko, sum(meters.outcome = 'VALUE') AS value"
            " FROM jobs JOIN meters ON meters.job = jobs.id"
            " LEFT JOIN progress ON progress.job = jobs.id"
            " GROUP BY jobs.id ORDER BY submitted DESC, jobs.rowid DESC"
        ).fetchall()

    def meters(self, job_id: bytes) -> list[sqlite3.Row]:
        """The meters of a job as they stand, in the order of the job."""
        return self._db.execute(
            "SELECT * FROM meters WHERE job = ? ORDER BY position", (job_id,)
        ).fetchall()

    def finished(self, job_id: bytes) -> bool:
        """Every meter has its final state, or the concentrator refused the job."""
        if self.job(job_id)["state"] == REJECTED:
            return True
        query = "SELECT count(*) AS open FROM meters WHERE job = ? AND state NOT IN %s"
        return int(self._one(query % _listed(FINAL), job_id)["open"]) == 0

    # -------------------------------------------------------- to the concentrators

    def concentrators_with_orders(self, states: tuple[str, ...] = UNANSWERED) -> list[str]:
        """Those for which a job, a cancel or a pause is in one of these states."""
        rows = self._db.execute(
            "SELECT concentrator FROM jobs WHERE state IN %s"
            " UNION SELECT concentrator FROM jobs WHERE cancel_state IN %s"
            " UNION SELECT concentrator FROM jobs JOIN pauses ON job = id WHERE pauses.state IN %s"
            % (_listed(states), _listed(states), _listed(states))
        )
        return [row["concentrator"] for row in rows]

    def orders(
        self, concentrator: str, states: tuple[str, ...] = UNANSWERED
    ) -> list[tuple[str, bytes, bytes]]:
        """("job", "cancel" or "pause", job id, envelope) of its orders in these states, oldest
        first.
        """
        found: list[tuple[str, bytes, bytes]] = []
        for row in self._db.execute(
            "SELECT * FROM jobs WHERE concentrator = ? AND (state IN %s OR cancel_state IN %s)"
            " ORDER BY submitted, rowid" % (_listed(states), _listed(states)),
            (concentrator,),
        ):
            if row["state"] in states:
                found.append(("job", row["id"], row["envelope"]))
            if row["cancel_state"] in states:
                found.append(("cancel", row["id"], row["cancel"]))
        for row in self._db.execute(
            "SELECT job, pauses.envelope FROM pauses JOIN jobs ON job = id"
            " WHERE concentrator = ? AND pauses.state IN %s ORDER BY pauses.issued"
            % _listed(states),
            (concentrator,),
        ):
            found.append(("pause", row["job"], row["envelope"]))
        return found

    def missing(self, concentrator: str, known: list[bytes]) -> list[tuple[str, bytes, bytes]]:
        """As orders(): the unfinished jobs that are not among the `known` ids, and the unanswered
        cancels and pauses.
        """
        return [
            order
            for order in self.orders(concentrator, (*UNANSWERED, QUEUED, IN_PROGRESS))
            if order[0] != "job" or order[1] not in known
        ]

    def sent(self, kind: str, job_id: bytes) -> None:
        column = "state" if kind == "job" else "cancel_state"
        with self._transaction() as db:
            if kind == "pause":
                db.execute(
                    "UPDATE pauses SET state = ? WHERE job = ? AND state = ?",
                    (SENT, job_id, SUBMITTED),
                )
                return
            db.execute(
                "UPDATE jobs SET %s = ?, updated = ? WHERE id = ? AND %s = ?" % (column, column),
                (SENT, int(self._now()), job_id, SUBMITTED),
            )

    # -------------------------------------------------------- from the concentrators

    def addressed(self) -> list[str]:
        """Every concentrator that was heard of, or has an order."""
        rows = self._db.execute(
            "SELECT id FROM concentrators UNION SELECT concentrator FROM jobs"
            " UNION SELECT concentrator FROM numbered"
        )
        return [row["id"] for row in rows]

    def take_state(self, concentrator: str, state: Birth, retained: bool = False) -> None:
        """A birth or a will. A will of another session than the known one is late and changes
        nothing, unless `retained` says that it is what the broker has last heard: then the birth of
        its session was missed.
        """
        with self._transaction() as db:
            known = db.execute(
                "SELECT session FROM concentrators WHERE id = ?", (concentrator,)
            ).fetchone()
            other = known is not None and known["session"] != state.session
            if not state.online and other and not retained:
                return
            db.execute(
                "INSERT OR REPLACE INTO concentrators VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    concentrator,
                    state.online,
                    state.session,
                    state.epoch,
                    state.firmware,
                    state.runtime,
                    state.jobs_open,
                    state.meters_known,
                    state.meters_reachable,
                    int(self._now()),
                ),
            )
            if state.online:
                self._take_modems(concentrator, state)
            safe = self.position(concentrator, state.epoch)
            if safe + 1 < state.first <= MAX_NUMBER:
                # The gateway forgets only what was acknowledged: this file is older than that.
                self._event(
                    concentrator,
                    "reports-lost",
                    "reports %d..%d of epoch %08x were acknowledged before but are not in this"
                    " database; was it restored from a copy?"
                    % (safe + 1, state.first - 1, state.epoch),
                )
                self._move(concentrator, state.epoch, state.first - 1)

    def _take_modems(self, concentrator: str, state: Birth) -> None:
        self._db.execute("DELETE FROM modems WHERE concentrator = ?", (concentrator,))
        self._db.executemany(
            "INSERT INTO modems VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (concentrator, at, kind, up, nodes, json.dumps(counters), int(self._now()))
                for at, (kind, up, nodes, counters) in enumerate(state.modems)
            ],
        )

    def modems(self, concentrator: str) -> list[sqlite3.Row]:
        """As its last birth told; `counters` is JSON."""
        return self._db.execute(
            "SELECT * FROM modems WHERE concentrator = ? ORDER BY place", (concentrator,)
        ).fetchall()

    def take_progress(self, concentrator: str, message: Progress) -> None:
        """Of jobs of this concentrator; others are none of its business."""
        now = int(self._now())
        with self._transaction() as db:
            for job_id, *standing, waiting, ends in message.jobs:
                # The end by our clock, should the concentrator's be another.
                if ends and message.time:
                    ends = max(0, now + ends - message.time)
                db.execute(
                    "INSERT OR REPLACE INTO progress SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM jobs"
                    " WHERE id = ? AND concentrator = ?",
                    (now, *standing, json.dumps(waiting), ends, job_id, concentrator),
                )

    def progress(self, job_id: bytes) -> sqlite3.Row | None:
        """How far the job was when its concentrator told so last, at `time`; ends: unix time, 0 if
        it did not know; waiting: JSON, [[reason, meters]]."""
        query = "SELECT * FROM progress WHERE job = ?"
        row: sqlite3.Row | None = self._db.execute(query, (job_id,)).fetchone()
        return row

    # -------------------------------------------------------- how meters stand

    def ask_meters(self, concentrator: str) -> None:
        """`serve` asks the concentrator for all its meters, page by page."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO asks VALUES (?, '', 0)", (concentrator,))

    def asking(self, concentrator: str) -> bool:
        """Whether pages are still to come."""
        query = "SELECT 1 FROM asks WHERE concentrator = ?"
        return self._db.execute(query, (concentrator,)).fetchone() is not None

    def stop_asking(self, concentrator: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM asks WHERE concentrator = ?", (concentrator,))

    def asks(self) -> list[tuple[str, str]]:
        """[(concentrator, after which serial)] to be sent now."""
        rows = self._db.execute(
            "SELECT * FROM asks WHERE sent <= ?", (int(self._now()) - ASK_AGAIN,)
        ).fetchall()
        return [(row["concentrator"], row["after"]) for row in rows]

    def ask_sent(self, concentrator: str) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE asks SET sent = ? WHERE concentrator = ?", (int(self._now()), concentrator)
            )

    def take_meters(self, concentrator: str, page: Meters) -> None:
        """One page. Those between its ends that are not in it are no meters any more."""
        last = page.meters[-1][0] if page.meters and page.more else None
        now = int(self._now())
        with self._transaction() as db:
            db.execute(
                "DELETE FROM ways WHERE concentrator = ? AND serial > ? AND serial <= ifnull(?, "
                "serial)",
                (concentrator, page.after, last),
            )
            for serial, ways in page.meters:
                self._take_ways(concentrator, serial, ways, now)
            if last is None:
                db.execute("DELETE FROM asks WHERE concentrator = ?", (concentrator,))
            else:
                db.execute(
                    "UPDATE asks SET after = ?, sent = 0 WHERE concentrator = ? AND after = ?",
                    (last, concentrator, page.after),
                )

    def _take_ways(self, concentrator: str, serial: str, ways: list[list[Any]], now: int) -> None:
        rows = [(at, *way) for at, way in enumerate(ways)]
        if not rows:
            rows = [(NO_PATH, "", 0, 0, 0, 0, 0, 0, 0, False)]
        for at, kind, state, since, before, heard, delivery, silent, changes, registered in rows:
            self._db.execute(
                "INSERT OR REPLACE INTO ways VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    concentrator,
                    serial,
                    at,
                    kind,
                    state,
                    since,
                    heard,
                    delivery,
                    silent,
                    changes,
                    registered,
                    now,
                ),
            )
            # The state before a known one is the other known one, but at the very first.
            past = [(before, 3 - state), (since, state)] if before else [(since, state)]
            self._db.executemany(
                "INSERT OR IGNORE INTO way_changes VALUES (?, ?, ?, ?, ?)",
                [(concentrator, serial, kind, at, what) for at, what in past if at and what],
            )
            self._db.execute(
                "DELETE FROM way_changes WHERE concentrator = ? AND serial = ? AND kind = ? AND"
                " since NOT IN (SELECT since FROM way_changes WHERE concentrator = ? AND serial = ?"
                " AND kind = ? ORDER BY since DESC LIMIT %d)" % WAY_CHANGES,
                (concentrator, serial, kind, concentrator, serial, kind),
            )

    def ways(self, concentrator: str) -> list[sqlite3.Row]:
        """Each path of each meter, as it was told last; place NO_PATH: the meter has none."""
        return self._db.execute(
            "SELECT * FROM ways WHERE concentrator = ? ORDER BY serial, place", (concentrator,)
        ).fetchall()

    def way_changes(self, concentrator: str, serial: str) -> list[sqlite3.Row]:
        """What is known of a meter's earlier states, oldest first."""
        return self._db.execute(
            "SELECT * FROM way_changes WHERE concentrator = ? AND serial = ? ORDER BY since, kind",
            (concentrator, serial),
        ).fetchall()

    def strangers(self, concentrator: str) -> list[sqlite3.Row]:
        """Nodes that are in no meter's entry: `what`, `first` and `last` told."""
        return self._db.execute(
            "SELECT detail AS what, min(time) AS first, max(time) AS last FROM events"
            " WHERE concentrator = ? AND name = 'stranger' GROUP BY detail ORDER BY detail",
            (concentrator,),
        ).fetchall()

    # -------------------------------------------------------- positions and reports

    def position(self, concentrator: str, epoch: int) -> int:
        """All reports of the epoch up to this number are safe here; 0: none."""
        row = self._db.execute(
            "SELECT number FROM positions WHERE concentrator = ? AND epoch = ?",
            (concentrator, epoch),
        ).fetchone()
        return int(row["number"]) if row else 0

    def take_reports(self, concentrator: str, message: Reports) -> Taken:
        """Store what is new, up to the first gap, in one transaction. Safe when it returns."""
        with self._transaction():
            number = self.position(concentrator, message.epoch)
            before = number
            gap = False
            for report in message.reports:
                if report.number <= number:
                    continue
                if report.number != number + 1:
                    gap = True
                    break
                number = self._take(concentrator, report.number, report.time, report.body)
            if number != before:
                self._move(concentrator, message.epoch, number)
                self._db.execute(
                    "UPDATE concentrators SET seen = ? WHERE id = ?",
                    (int(self._now()), concentrator),
                )
        return Taken(number, gap)

    def add_event(self, concentrator: str, name: str, detail: str) -> None:
        with self._transaction():
            self._event(concentrator, name, detail)

    def events(self, limit: int = 100) -> list[sqlite3.Row]:
        """Newest first."""
        return self._db.execute(
            "SELECT * FROM events ORDER BY id DESC LIMIT ?", (limit,)
        ).fetchall()

    def epoch(self, concentrator: str) -> int | None:
        """The epoch of its latest birth, None if it was never heard of."""
        row = self._db.execute(
            "SELECT epoch FROM concentrators WHERE id = ?", (concentrator,)
        ).fetchone()
        return int(row["epoch"]) if row else None

    def concentrators(self) -> list[sqlite3.Row]:
        return self._db.execute("SELECT * FROM concentrators ORDER BY id").fetchall()

    # -------------------------------------------------------- trust and keys of a concentrator

    def add_numbered(
        self, topic: str, concentrator: str, number: int, what: str, envelope: bytes
    ) -> None:
        """Keep a signed message of topic `trust` or `keys`; it is sent until there is word of it.
        `what` it does is for people.
        """
        now = int(self._now())
        with self._transaction() as db:
            db.execute(
                "INSERT INTO numbered (topic, concentrator, number, what, envelope, digest, state,"
                " submitted, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    topic,
                    concentrator,
                    number,
                    what,
                    envelope,
                    digest_of(envelope),
                    SUBMITTED,
                    now,
                    now,
                ),
            )

    def next_number(self, topic: str, concentrator: str) -> int:
        """After the last one the concentrator is known to have, and those on their way."""
        row = self._db.execute(
            "SELECT max(number) AS last FROM numbered WHERE topic = ? AND concentrator = ?"
            " AND state != ?",
            (topic, concentrator, REJECTED),
        ).fetchone()
        standing = self.standing(concentrator)
        return max(row["last"] or 0, standing[topic] if standing else 0) + 1

    def numbered(self, concentrator: str | None, states: tuple[str, ...]) -> list[sqlite3.Row]:
        """The messages in one of these states, oldest first; of all concentrators if None."""
        return self._db.execute(
            "SELECT rowid, * FROM numbered WHERE state IN %s AND concentrator = ifnull(?, "
            "concentrator) ORDER BY rowid" % _listed(states),
            (concentrator,),
        ).fetchall()

    def numbered_sent(self, row: sqlite3.Row) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE numbered SET state = ?, updated = ? WHERE rowid = ? AND state = ?",
                (SENT, int(self._now()), row["rowid"], SUBMITTED),
            )

    def stage_trust(
        self, concentrator: str, kid: bytes, public: bytes | None, purposes: int
    ) -> None:
        """A change for the next message: `public` x||y is to be trusted for `purposes`, or with
        None the key goes.
        """
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO staged_trust VALUES (?, ?, ?, ?)",
                (concentrator, kid, public, purposes),
            )

    def staged_trust(self, concentrator: str) -> list[sqlite3.Row]:
        return self._db.execute(
            "SELECT * FROM staged_trust WHERE concentrator = ? ORDER BY kid", (concentrator,)
        ).fetchall()

    def clear_staged_trust(self, concentrator: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM staged_trust WHERE concentrator = ?", (concentrator,))

    def standing(self, concentrator: str) -> sqlite3.Row | None:
        """What its last hello said of numbers taken and of its audit trail."""
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM standing WHERE concentrator = ?", (concentrator,)
        ).fetchone()
        return row

    def take_hello(self, concentrator: str, hello: Hello) -> None:
        """Note where it stands. An audit trail that has become shorter, or has another end at the
        same length, is an event.
        """
        with self._transaction() as db:
            known = self.standing(concentrator)
            if known is not None and (
                hello.records < known["records"]
                or (hello.records == known["records"] and hello.head != known["head"])
            ):
                self._event(
                    concentrator,
                    "audit-trail-cut",
                    "it had %d records up to %s, now %d up to %s"
                    % (known["records"], known["head"].hex(), hello.records, hello.head.hex()),
                )
            db.execute(
                "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?)",
                (
                    concentrator,
                    hello.trust,
                    hello.keys,
                    min(hello.records, MAX_NUMBER),
                    hello.head,
                ),
            )
            for topic, number in (("trust", hello.trust), ("keys", hello.keys)):
                db.execute(
                    "UPDATE numbered SET state = ?, updated = ? WHERE topic = ? AND number <= ?"
                    " AND concentrator = ? AND state IN %s" % _listed(UNANSWERED),
                    (TAKEN, int(self._now()), topic, number, concentrator),
                )

    # -------------------------------------------------------- the service's sign of life

    def beat(self, broker: str, status: str) -> None:
        """`serve` is alive; `broker` without credentials; `status` "connected" or why not."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO service VALUES (1, ?, ?, ?)", (broker, status, self._now())
            )

    def service(self) -> tuple[str, str, float] | None:
        """(broker, status, seconds since the last sign of life), None if `serve` never ran on this
        file.
        """
        row = self._db.execute("SELECT * FROM service").fetchone()
        return (row["broker"], row["status"], self._now() - row["beat"]) if row else None

    # -------------------------------------------------------- inside

    def _take(self, concentrator: str, number: int, at: int, body: Any) -> int:
        """Apply one report; returns the number up to which all is accounted for."""
        at = at or int(self._now())
        if isinstance(body, MeterReport):
            self._take_meter(concentrator, at, body)
        elif isinstance(body, JobReport):
            self._take_job(concentrator, at, body)
        elif isinstance(body, Refusal):
            self._take_refusal(concentrator, at, body)
        elif isinstance(body, Event):
            self._event(concentrator, body.name, body.detail)
        elif isinstance(body, Dropped):
            last = min(max(number, body.last), MAX_NUMBER)
            self._event(
                concentrator,
                "reports-dropped",
                "the concentrator had no room for reports %d..%d" % (number, last),
            )
            return last
        return number

    def _take_meter(self, concentrator: str, at: int, body: MeterReport) -> None:
        value = None if body.value is None else json.dumps([data.hex() for data in body.value])
        changed = self._db.execute(
            "UPDATE meters SET state = ?, outcome = ?, reason = ?, detail = ?, attempts = ?,"
            " path = ?, duration_ms = ?, value = ?, updated = ? WHERE job = ? AND serial = ?"
            " AND EXISTS (SELECT 1 FROM jobs WHERE id = meters.job AND concentrator = ?)",
            (
                body.state,
                body.outcome,
                body.reason,
                body.detail,
                body.attempts,
                body.path,
                body.duration_ms,
                value,
                at,
                body.job_id,
                body.serial,
                concentrator,
            ),
        ).rowcount
        if not changed:
            self._event(
                concentrator,
                "unknown-report",
                "meter %s of job %s: %s, %s; no such order to this concentrator is known here"
                % (body.serial, body.job_id.hex(), body.state, body.reason),
            )
            return
        self._db.execute(
            "UPDATE jobs SET state = ?, updated = ? WHERE id = ? AND state IN %s"
            % _listed((*UNANSWERED, QUEUED)),
            (IN_PROGRESS, at, body.job_id),
        )

    def _take_job(self, concentrator: str, at: int, body: JobReport) -> None:
        changed = self._db.execute(
            "UPDATE jobs SET state = ?, reason = ?, detail = ?, updated = ?"
            " WHERE id = ? AND concentrator = ?",
            (body.state, body.reason, body.detail, at, body.job_id, concentrator),
        ).rowcount
        if body.state in FINAL or body.reason == "canceled":
            self._db.execute(
                "UPDATE jobs SET cancel_state = ? WHERE id = ? AND concentrator = ?"
                " AND cancel_state IN %s" % _listed((*UNANSWERED, IN_PROGRESS)),
                (body.state, body.job_id, concentrator),
            )
        if changed and body.reason in ("paused", "resumed"):
            paused = body.reason == "paused"
            self._db.execute("UPDATE jobs SET paused = ? WHERE id = ?", (paused, body.job_id))
            self._db.execute(
                "UPDATE pauses SET state = '' WHERE job = ? AND paused = ?", (body.job_id, paused)
            )
        if not changed:
            self._event(
                concentrator,
                "unknown-report",
                "job %s: %s, %s; not known here" % (body.job_id.hex(), body.state, body.reason),
            )

    def _take_refusal(self, concentrator: str, at: int, body: Refusal) -> None:
        """The digest says which order it was; `duplicate` is no refusal of the job itself."""
        refused = 0
        if body.topic == "job":
            state = QUEUED if body.reason == "duplicate" else REJECTED
            refused = self._db.execute(
                "UPDATE jobs SET state = ?, reason = ?, detail = ?, updated = ?"
                " WHERE digest = ? AND concentrator = ? AND state IN %s" % _listed(UNANSWERED),
                (state, body.reason, body.detail, at, body.digest, concentrator),
            ).rowcount
        elif body.topic == "cancel":
            refused = self._db.execute(
                "UPDATE jobs SET cancel_state = ?, cancel_reason = ?"
                " WHERE cancel_digest = ? AND concentrator = ? AND cancel_state IN %s"
                % _listed(UNANSWERED),
                (REJECTED, body.reason, body.digest, concentrator),
            ).rowcount
        elif body.topic == "pause":
            refused = self._db.execute(
                "UPDATE pauses SET state = ?, reason = ? WHERE digest = ? AND state IN %s"
                % _listed(UNANSWERED),
                (REJECTED, body.reason, body.digest),
            ).rowcount
        elif body.topic in ("trust", "keys") and body.reason != "duplicate":
            refused = self._db.execute(
                "UPDATE numbered SET state = ?, reason = ?, detail = ?, updated = ?"
                " WHERE topic = ? AND digest = ? AND concentrator = ?",
                (REJECTED, body.reason, body.detail, at, body.topic, body.digest, concentrator),
            ).rowcount
        if not refused and body.reason != "duplicate":
            self._event(
                concentrator, "refused", "%s: %s, %s" % (body.topic, body.reason, body.detail)
            )

    def _move(self, concentrator: str, epoch: int, number: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (concentrator, epoch, number)
        )

    def _event(self, concentrator: str, name: str, detail: str) -> None:
        added = self._db.execute(
            "INSERT INTO events (concentrator, time, name, detail) VALUES (?, ?, ?, ?)",
            (concentrator, int(self._now()), name, detail[:1000]),
        ).lastrowid
        self._db.execute("DELETE FROM events WHERE id <= ?", ((added or 0) - EVENTS,))

    def _one(self, query: str, *values: Any) -> sqlite3.Row:
        row = self._db.execute(query, values).fetchone()
        if row is None:
            raise StoreProblem("%s does not hold what was asked for" % self.path)
        return row  # type: ignore[no-any-return]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _listed(states: tuple[str, ...]) -> str:
    """For SQL's IN; the states are the constants above."""
    return "(%s)" % ", ".join("'%s'" % state for state in states)
