"""The store's face to trust and keys: changes that are staged, messages that are numbered."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select

from gateway.contract.envelope import digest_of
from tools.hes.store import claims, rows
from tools.hes.store.database import Database
from tools.hes.store.hellos import COUNTED
from tools.hes.store.records import LineCertificates, Numbered, StagedKey, Standing
from tools.hes.store.schema import line_certificates, numbered, staged_trust, standing
from tools.hes.store.states import REJECTED, SUBMITTED


class Trust:
    def __init__(self, database: Database) -> None:
        self._db = database

    def stage(self, concentrator: str, kid: bytes, public: bytes | None, purposes: int) -> None:
        """A change for the next message: `public` x||y is to be trusted for `purposes`, or with
        None the key goes.
        """
        row = {"concentrator": concentrator, "kid": kid, "public": public, "purposes": purposes}
        with self._db.writing() as connection:
            rows.upsert(connection, staged_trust, [row])

    def staged(self, concentrator: str) -> list[StagedKey]:
        query = (
            rows.of(staged_trust, StagedKey)
            .where(staged_trust.c.concentrator == concentrator)
            .order_by(staged_trust.c.kid)
        )
        with self._db.reading() as connection:
            return rows.all_made(StagedKey, connection.execute(query))

    def clear_staged(self, concentrator: str) -> None:
        with self._db.writing() as connection:
            which = staged_trust.c.concentrator == concentrator
            connection.execute(delete(staged_trust).where(which))

    def add_numbered(
        self, topic: str, concentrator: str, number: int, what: str, envelope: bytes
    ) -> None:
        """Keep a signed message of topic `trust`, `keys`, `model`, `change` or `certificate`; it is
        sent until there is word of it. `What` it does is for people, but of a certificate its
        SHA-256.
        """
        now = int(self._db.now())
        row = {
            "topic": topic,
            "concentrator": concentrator,
            "number": number,
            "what": what,
            "envelope": envelope,
            "digest": digest_of(envelope),
            "state": SUBMITTED,
            "submitted": now,
            "updated": now,
        }
        with self._db.writing() as connection:
            connection.execute(insert(numbered), row)

    def next_number(self, topic: str, concentrator: str) -> int:
        """After the last one the concentrator is known to have, and those on their way."""
        query = select(func.max(numbered.c.number)).where(
            numbered.c.topic == topic,
            numbered.c.concentrator == concentrator,
            numbered.c.state != REJECTED,
        )
        with self._db.reading() as connection:
            last = connection.execute(query).scalar() or 0
        there = self.standing(concentrator)
        if there is None:
            return last + 1
        taken = int(getattr(there, COUNTED[topic])) if topic in COUNTED else 0
        return max(last, taken) + 1

    def numbered(self, concentrator: str, states: tuple[str, ...]) -> list[Numbered]:
        """The messages in one of these states, oldest first."""
        query = (
            rows.of(numbered, Numbered)
            .where(numbered.c.concentrator == concentrator, numbered.c.state.in_(states))
            .order_by(numbered.c.id)
        )
        with self._db.reading() as connection:
            return rows.all_made(Numbered, connection.execute(query))

    def believe(self, concentrator: str) -> tuple[int, int] | None:
        """Take its last hello's word for where its reports and readings begin, however far that is:
        (epoch, first) of the reports. None: it has said nothing of the kind.
        """
        there = self.standing(concentrator)
        if there is None or not there.epoch:
            return None
        now = int(self._db.now())
        with self._db.writing() as connection:
            claims.take(connection, now, concentrator, there.epoch, there.first, anyway=True)
            if there.readings_epoch:
                epoch, first = there.readings_epoch, there.readings_first
                claims.take(connection, now, concentrator, epoch, first, True, claims.READINGS)
        return there.epoch, there.first

    def standing(self, concentrator: str) -> Standing | None:
        """What its last hello said; None: there was none."""
        query = rows.of(standing, Standing).where(standing.c.concentrator == concentrator)
        with self._db.reading() as connection:
            row = connection.execute(query).first()
        return rows.made(Standing, row) if row else None

    def certificates(self) -> list[LineCertificates]:
        """What each concentrator said last of those of its line, by name."""
        query = rows.of(line_certificates, LineCertificates)
        with self._db.reading() as connection:
            found = connection.execute(query.order_by(line_certificates.c.concentrator))
            return rows.all_made(LineCertificates, found)
