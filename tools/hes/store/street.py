"""The store's face to the view of meters: who is there, how they are reached, who is a stranger."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from tools.hes.store import rows
from tools.hes.store.database import Database
from tools.hes.store.records import Modem, Stranger, Way, WayChange
from tools.hes.store.schema import asks, concentrators, events, modems, way_changes, ways

STRANGER = "stranger"  # the event that names one


class Street:
    def __init__(self, database: Database) -> None:
        self._db = database

    def heard_of(self, concentrator: str) -> bool:
        query = select(concentrators.c.id).where(concentrators.c.id == concentrator)
        with self._db.reading() as connection:
            return connection.execute(query).first() is not None

    def ask_meters(self, concentrator: str) -> None:
        """`serve` asks the concentrator for all its meters, page by page."""
        with self._db.writing() as connection:
            row = {"concentrator": concentrator, "after": "", "sent": 0}
            rows.upsert(connection, asks, [row])

    def asking(self, concentrator: str) -> bool:
        """Whether pages are still to come."""
        query = select(asks.c.after).where(asks.c.concentrator == concentrator)
        with self._db.reading() as connection:
            return connection.execute(query).first() is not None

    def stop_asking(self, concentrator: str) -> None:
        with self._db.writing() as connection:
            connection.execute(delete(asks).where(asks.c.concentrator == concentrator))

    def ways(self, concentrator: str) -> list[Way]:
        """Each path of each meter, as it was told last."""
        query = rows.of(ways, Way).where(ways.c.concentrator == concentrator)
        with self._db.reading() as connection:
            found = rows.all_made(Way, connection.execute(query))
        # Not by the engine: PostgreSQL's order of texts depends on where it runs.
        return sorted(found, key=lambda way: (way.serial, way.place))

    def way_changes(self, concentrator: str, serial: str) -> list[WayChange]:
        """What is known of a meter's earlier states, oldest first."""
        query = (
            rows.of(way_changes, WayChange)
            .where(way_changes.c.concentrator == concentrator, way_changes.c.serial == serial)
            .order_by(way_changes.c.since, way_changes.c.kind)
        )
        with self._db.reading() as connection:
            return rows.all_made(WayChange, connection.execute(query))

    def modems(self, concentrator: str) -> list[Modem]:
        """As its last birth told."""
        query = (
            rows.of(modems, Modem)
            .where(modems.c.concentrator == concentrator)
            .order_by(modems.c.place)
        )
        with self._db.reading() as connection:
            return rows.all_made(Modem, connection.execute(query))

    def strangers(self, concentrator: str) -> list[Stranger]:
        """When each was told first and last."""
        query = (
            select(events.c.detail, func.min(events.c.time), func.max(events.c.time))
            .where(events.c.concentrator == concentrator, events.c.name == STRANGER)
            .group_by(events.c.detail)
        )
        with self._db.reading() as connection:
            return sorted(
                (Stranger(*row) for row in connection.execute(query)), key=lambda each: each.what
            )
