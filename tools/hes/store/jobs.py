"""Jobs as they stand: what several faces of the store ask for."""

from __future__ import annotations

from sqlalchemy import bindparam, exists, func, select

from tools.hes.store import rows
from tools.hes.store.database import Database
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import Execution, Job
from tools.hes.store.schema import jobs, meters, packages
from tools.hes.store.states import FINAL, REJECTED

MAX_PIECE = 1 << 30  # of a package, and where it begins
# Asked again and again by whoever waits for a job, so it is put together once.
_STANDS = select(
    jobs.c.state,
    exists().where(meters.c.job == jobs.c.id, meters.c.state.not_in(FINAL)).label("open"),
).where(jobs.c.id == bindparam("asked", type_=jobs.c.id.type))


class Jobs:
    def __init__(self, database: Database) -> None:
        self._db = database

    def now(self) -> float:
        """Unix seconds."""
        return self._db.now()

    def find_job(self, prefix: str) -> bytes:
        """The id that starts with these hexadecimal digits (hyphens do not matter); "last" is the
        newest job. StoreProblem.
        """
        name = self._db.name
        if prefix == "last":
            newest = select(jobs.c.id).order_by(jobs.c.number.desc()).limit(1)
            with self._db.reading() as connection:
                last: bytes | None = connection.execute(newest).scalar()
            if last is None:
                raise StoreProblem("%s holds no job yet; `ami-hes submit` makes one" % name)
            return last
        digits = prefix.replace("-", "").lower()
        if not digits or digits.strip("0123456789abcdef"):
            raise StoreProblem("expected a job's id or its first digits, got '%s'" % prefix)
        found: list[bytes] = []
        if len(digits) <= 32:
            first, last_one = (bytes.fromhex(digits.ljust(32, fill)) for fill in "0f")
            some = select(jobs.c.id).where(jobs.c.id.between(first, last_one)).limit(2)
            with self._db.reading() as connection:
                found = list(connection.execute(some).scalars())
        if len(found) != 1:
            raise StoreProblem(
                "%s job in %s has an id that starts with %s; `ami-hes list` shows them"
                % ("more than one" if found else "no", name, prefix)
            )
        return found[0]

    def job(self, job_id: bytes) -> Job:
        """StoreProblem."""
        with self._db.reading() as connection:
            row = connection.execute(rows.of(jobs, Job).where(jobs.c.id == job_id)).first()
        if row is None:
            raise StoreProblem("%s holds no job %s" % (self._db.name, job_id.hex()))
        fields = dict(row._mapping)
        fields["attributes"] = [
            (class_id, bytes.fromhex(obis), index) for class_id, obis, index in row.attributes
        ]
        return Job(**fields)

    def order_of(self, job_id: bytes) -> bytes:
        """The signed job. StoreProblem."""
        self.job(job_id)
        with self._db.reading() as connection:
            found = connection.execute(select(jobs.c.envelope).where(jobs.c.id == job_id))
            return bytes(found.scalar_one())

    def meters(self, job_id: bytes) -> list[Execution]:
        """The meters of a job as they stand, in the order of the job."""
        query = rows.of(meters, Execution).where(meters.c.job == job_id).order_by(meters.c.position)
        found = []
        with self._db.reading() as connection:
            for row in connection.execute(query):
                fields = dict(row._mapping)
                if row.value is not None:
                    fields["value"] = [bytes.fromhex(each) for each in row.value]
                found.append(Execution(**fields))
        return found

    def finished(self, job_id: bytes) -> bool:
        """Every meter has its final state, or the concentrator refused the job."""
        with self._db.reading() as connection:
            row = connection.execute(_STANDS, {"asked": job_id}).first()
        if row is None:
            raise StoreProblem("%s holds no job %s" % (self._db.name, job_id.hex()))
        return row.state == REJECTED or not row.open

    def package_name(self, digest: bytes) -> tuple[str, str]:
        """(name, version). StoreProblem."""
        query = select(packages.c.name, packages.c.version).where(packages.c.digest == digest)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise StoreProblem("%s holds no package %s" % (self._db.name, digest.hex()))
        return row.name, row.version

    def package_piece(self, digest: bytes, offset: int, size: int) -> tuple[int, bytes]:
        """(size of the whole package, the octets asked for); (0, b"") if there is none."""
        content = packages.c.content
        piece = func.substr(content, min(offset, MAX_PIECE) + 1, min(size, MAX_PIECE))
        query = select(
            func.length(content).label("whole"), func.coalesce(piece, b"", type_=content.type)
        ).where(packages.c.digest == digest)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        return (row[0], bytes(row[1])) if row else (0, b"")
