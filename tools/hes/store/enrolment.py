"""The store's face to enrolment: which board each concentrator is, and who knocks without being it.

A concentrator is known by the fingerprint of its identity, 16 octets. What knocks has shown that it
holds the keys of the fingerprint that it names; whose board that is only people can say.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.contract.identity import shown
from tools.hes.store import rows
from tools.hes.store.database import Database
from tools.hes.store.notes import note
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import Enrolled, Knock
from tools.hes.store.schema import concentrators, enrolled, knocks

MOST_STRANGERS = 100  # that knock and are not enrolled; the newest are kept


class Enrolment:
    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> list[Enrolled]:
        """By name."""
        query = rows.of(enrolled, Enrolled).order_by(enrolled.c.concentrator)
        with self._db.reading() as connection:
            return rows.all_made(Enrolled, connection.execute(query))

    def get(self, concentrator: str) -> Enrolled | None:
        query = rows.of(enrolled, Enrolled).where(enrolled.c.concentrator == concentrator)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        return rows.made(Enrolled, row) if row else None

    def named(self) -> list[str]:
        """Every concentrator that is enrolled or was heard of, by name."""
        query = select(enrolled.c.concentrator).union(select(concentrators.c.id))
        with self._db.reading() as connection:
            return sorted(connection.execute(query).scalars())

    def unprotected(self, concentrator: str) -> bool:
        """Whether it is heard in plain, as `serve --plain` allows; or nobody is enrolled at all."""
        each = concentrators.c
        heard = select(each.id).where(each.id == concentrator, each.online)
        with self._db.reading() as connection:
            if connection.execute(heard).first() is not None:
                return _fingerprint(connection, concentrator) is None
            return connection.execute(select(enrolled.c.concentrator).limit(1)).first() is None

    def knocks(self) -> list[Knock]:
        """The latest of each concentrator, by name."""
        query = rows.of(knocks, Knock).order_by(knocks.c.concentrator)
        with self._db.reading() as connection:
            return rows.all_made(Knock, connection.execute(query))

    def add(self, concentrator: str, fingerprint: bytes) -> None:
        """StoreProblem if it is enrolled, or another one with this fingerprint is."""
        with self._db.writing() as connection:
            if _fingerprint(connection, concentrator) is not None:
                raise StoreProblem("%s is enrolled already" % concentrator)
            self._enrol(connection, concentrator, fingerprint, "enrolled")

    def replace(self, concentrator: str, fingerprint: bytes) -> None:
        """Its board was exchanged. StoreProblem if it is not enrolled, or another one has it."""
        with self._db.writing() as connection:
            self._delete(connection, concentrator)
            self._enrol(connection, concentrator, fingerprint, "board-exchanged")

    def remove(self, concentrator: str) -> None:
        """StoreProblem if it is not enrolled."""
        with self._db.writing() as connection:
            was = _fingerprint(connection, concentrator) or b""
            self._delete(connection, concentrator)
            heard = update(concentrators).where(concentrators.c.id == concentrator)
            connection.execute(heard.values(online=False))  # it is believed no longer
            text = "it was %s" % shown(was)
            note(connection, int(self._db.now()), concentrator, "enrolment-removed", text)

    def agreed(self, concentrator: str, fingerprint: bytes, sign: bytes, line_key: bytes) -> bool:
        """A session with the board of this fingerprint stands, whose signatures are by `sign`,
        x||y; it was agreed on with the key of ours that has the id `line_key`. False if that board
        is not enrolled (any more).
        """
        which = enrolled.c.concentrator == concentrator, enrolled.c.fingerprint == fingerprint
        values = {"sign": sign, "line_key": line_key, "agreed": int(self._db.now())}
        with self._db.writing() as connection:
            return connection.execute(update(enrolled).where(*which).values(values)).rowcount == 1

    def knocked(self, concentrator: str, fingerprint: bytes) -> None:
        """Somebody who is not the enrolled board has named himself so."""
        now = int(self._db.now())
        which = knocks.c.concentrator == concentrator
        with self._db.writing() as connection:
            before = connection.execute(rows.of(knocks, Knock).where(which)).first()
            same = before is not None and before.fingerprint == fingerprint
            row = {
                "concentrator": concentrator,
                "fingerprint": fingerprint,
                "first": before.first if before is not None and same else now,
                "last": now,
                "times": before.times + 1 if before is not None and same else 1,
            }
            rows.upsert(connection, knocks, [row])
            if before is None:
                _forget_strangers(connection)
            if not same:
                known = _fingerprint(connection, concentrator) is not None
                name = "other-board" if known else "not-enrolled"
                note(connection, now, concentrator, name, "knocks as %s" % shown(fingerprint))

    def _enrol(
        self, connection: Connection, concentrator: str, fingerprint: bytes, event: str
    ) -> None:
        same = select(enrolled.c.concentrator).where(enrolled.c.fingerprint == fingerprint)
        other = connection.execute(same).scalar()
        if other is not None:
            raise StoreProblem(
                "%s is enrolled with this fingerprint, and one board is one concentrator; if it is"
                " to be %s, and its settings say so: ami-hes concentrator remove %s, then add %s"
                % (other, concentrator, other, concentrator)
            )
        now = int(self._db.now())
        row = {"concentrator": concentrator, "fingerprint": fingerprint, "since": now, "agreed": 0}
        connection.execute(insert(enrolled), row)
        connection.execute(delete(knocks).where(knocks.c.concentrator == concentrator))
        note(connection, now, concentrator, event, "as %s" % shown(fingerprint))

    def _delete(self, connection: Connection, concentrator: str) -> None:
        which = enrolled.c.concentrator == concentrator
        if not connection.execute(delete(enrolled).where(which)).rowcount:
            raise StoreProblem("%s is not enrolled" % concentrator)


def _fingerprint(connection: Connection, concentrator: str) -> bytes | None:
    query = select(enrolled.c.fingerprint).where(enrolled.c.concentrator == concentrator)
    found: bytes | None = connection.execute(query).scalar()
    return found


def _forget_strangers(connection: Connection) -> None:
    strangers = knocks.c.concentrator.not_in(select(enrolled.c.concentrator))
    count = connection.execute(select(func.count()).select_from(knocks).where(strangers)).scalar()
    if (count or 0) > MOST_STRANGERS:
        oldest = select(knocks.c.concentrator).where(strangers).order_by(knocks.c.last).limit(1)
        connection.execute(delete(knocks).where(knocks.c.concentrator == oldest.scalar_subquery()))
