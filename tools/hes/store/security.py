"""The store's face to those who watch over security: the events of security, in order, and how far
each receiver has been told of them.
"""

from __future__ import annotations

from sqlalchemy import func, select

from tools.hes.store import rows
from tools.hes.store.database import Database
from tools.hes.store.notes import note
from tools.hes.store.records import SecurityEvent
from tools.hes.store.schema import security_events, told_security


class Security:
    def __init__(self, database: Database) -> None:
        self._db = database

    def after(self, sequence: int, limit: int) -> list[SecurityEvent]:
        """Those that come after it, oldest first."""
        query = (
            rows.of(security_events, SecurityEvent)
            .where(security_events.c.sequence > sequence)
            .order_by(security_events.c.sequence)
            .limit(limit)
        )
        with self._db.reading() as connection:
            return rows.all_made(SecurityEvent, connection.execute(query))

    def newest(self, limit: int) -> list[SecurityEvent]:
        """Newest first."""
        query = (
            rows.of(security_events, SecurityEvent)
            .order_by(security_events.c.sequence.desc())
            .limit(limit)
        )
        with self._db.reading() as connection:
            return rows.all_made(SecurityEvent, connection.execute(query))

    def last(self) -> int:
        """The number of the newest; 0: there was none yet."""
        with self._db.reading() as connection:
            return connection.execute(select(func.max(security_events.c.sequence))).scalar() or 0

    def told(self, receiver: str) -> int:
        """Up to which the receiver has them; 0: it has none."""
        query = select(told_security.c.sequence).where(told_security.c.receiver == receiver)
        with self._db.reading() as connection:
            return connection.execute(query).scalar() or 0

    def now_told(self, receiver: str, sequence: int) -> None:
        with self._db.writing() as connection:
            row = {"receiver": receiver, "sequence": sequence}
            rows.upsert(connection, told_security, [row])

    def note(self, name: str, detail: str, concentrator: str = "") -> None:
        """What happened at the head-end itself."""
        with self._db.writing() as connection:
            note(connection, int(self._db.now()), concentrator, name, detail)
