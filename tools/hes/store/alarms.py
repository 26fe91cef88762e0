"""Alarms of meters and outages: how they come in, and the store's face to those who attend to
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from gateway.contract.reports import MeterAlarm, Outage
from tools.hes.store import rows
from tools.hes.store.database import Database
from tools.hes.store.notes import note
from tools.hes.store.records import Alarm, PowerOutage
from tools.hes.store.schema import alarms, outages
from tools.package.model import file
from tools.package.model.compile import shipped
from tools.package.model.tables import ENGLISH, Meaning

OF_ONE = 100_000  # of one concentrator that are kept
TAMPERED = "meter-tampered"
_SECURITY = "3.12."  # the domain of CIM's EndDeviceEventTypes for covers, fraud and the like


def take_alarm(
    connection: Connection, now: int, concentrator: str, at: int, body: MeterAlarm
) -> None:
    row = {
        "concentrator": concentrator,
        "serial": body.serial,
        "source": body.source,
        "bits": list(body.bits),
        "happened": body.time,
        "noticed": at,
        "told": now,
        "detail": body.detail,
        "data": bytes(body.data),
        "acknowledged": 0,
    }
    connection.execute(insert(alarms), row)
    _make_room(connection, alarms, concentrator)
    words = sorted({each.english for bit in body.bits for each in _of_security(body.source, bit)})
    if words:
        text = "%s: %s (%s)" % (body.serial, "; ".join(words), body.source)
        note(connection, now, concentrator, TAMPERED, text)


def take_outage(connection: Connection, now: int, concentrator: str, body: Outage) -> None:
    row = {"concentrator": concentrator, "serials": list(body.serials), "told": now}
    for name in ("over", "began", "ended", "meters", "first"):
        row[name] = getattr(body, name)
    connection.execute(insert(outages), row)
    _make_room(connection, outages, concentrator)


class Alarms:
    def __init__(self, database: Database) -> None:
        self._db = database

    def raised(
        self,
        concentrator: str | None = None,
        serial: str | None = None,
        only_open: bool = False,
        limit: int = 100,
    ) -> list[Alarm]:
        """Newest first; of all concentrators and meters if None."""
        query = rows.of(alarms, Alarm).order_by(alarms.c.id.desc()).limit(limit)
        if concentrator is not None:
            query = query.where(alarms.c.concentrator == concentrator)
        if serial is not None:
            query = query.where(alarms.c.serial == serial)
        if only_open:
            query = query.where(alarms.c.acknowledged == 0)
        with self._db.reading() as connection:
            return rows.all_made(Alarm, connection.execute(query))

    def acknowledge(self, numbers: Iterable[int]) -> list[int]:
        """Somebody attends to these. Which of them there are and were open."""
        done = []
        with self._db.writing() as connection:
            for number in numbers:
                one = (alarms.c.id == number, alarms.c.acknowledged == 0)
                values = {"acknowledged": int(self._db.now())}
                if connection.execute(update(alarms).where(*one).values(values)).rowcount:
                    done.append(number)
        return done

    def outages(self, concentrator: str | None = None, limit: int = 100) -> list[PowerOutage]:
        """Newest first."""
        query = rows.of(outages, PowerOutage).order_by(outages.c.id.desc()).limit(limit)
        if concentrator is not None:
            query = query.where(outages.c.concentrator == concentrator)
        with self._db.reading() as connection:
            return rows.all_made(PowerOutage, connection.execute(query))


def meanings(source: str, bit: int, model: str | None = None) -> list[Meaning]:
    """What the bit means to `model`, or to each of the models that are shipped."""
    found = []
    for name, each in _tables().items():
        if model in (None, name):
            for table in each:
                meaning = table.find(bit) if table.word == source else None
                if meaning is not None:
                    found.append(meaning)
    return found


def word(source: str, bit: int, model: str | None = None, language: str = ENGLISH) -> str:
    """Without a model only where all say the same."""
    words = {each.word(language) for each in meanings(source, bit, model)}
    return words.pop() if len(words) == 1 else "bit %d" % bit


def _of_security(source: str, bit: int) -> list[Meaning]:
    return [each for each in meanings(source, bit) if each.cim.startswith(_SECURITY)]


@cache
def _tables() -> dict[str, Any]:
    """Tables of alarms and status words, by model."""
    made = {name: shipped(name).tables for name in file.names()}
    return {name: [*each.alarms, *each.status] for name, each in made.items()}


def _make_room(connection: Connection, table: Table, concentrator: str) -> None:
    each = table.c
    own = select(each.id).where(each.concentrator == concentrator).order_by(each.id.desc())
    oldest = connection.execute(own.offset(OF_ONE).limit(1)).scalar()
    if oldest is not None:
        old = (each.concentrator == concentrator, each.id <= oldest)
        connection.execute(delete(table).where(*old))
