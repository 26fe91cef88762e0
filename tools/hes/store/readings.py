"""The store's face to what was read: rows of profiles and logs, values, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, func, select

from tools.hes.store import days, rows
from tools.hes.store.database import Database
from tools.hes.store.records import (
    ReadingDay,
    ReadingGap,
    ReadingValue,
    Reread,
    Series,
    Unread,
)
from tools.hes.store.schema import (
    layouts,
    reading_days,
    reading_gaps,
    reading_values,
    rereads,
    series,
    unread,
)
from tools.hes.validation.row import Row, Shape

_shape_of = lru_cache(256)(days.shape_of)


class Readings:
    def __init__(self, database: Database) -> None:
        self._db = database

    def now(self) -> float:
        """Unix seconds."""
        return self._db.now()

    def series(
        self,
        concentrator: str | None = None,
        serial: str | None = None,
        objects: list[tuple[int, bytes]] | None = None,
    ) -> list[Series]:
        """By meter; of all concentrators, meters and objects (class id, OBIS) if None."""
        query = rows.of(series, Series)
        query = _of(query, series, concentrator, serial)
        query = query.order_by(series.c.serial, series.c.obis, series.c.concentrator)
        with self._db.reading() as connection:
            found = rows.all_made(Series, connection.execute(query))
        return [each for each in found if objects is None or (each.class_id, each.obis) in objects]

    def shape(self, layout: bytes) -> Shape:
        with self._db.reading() as connection:
            return _shape(connection, layout)

    def days(self, key: int, first: int, last: int) -> list[ReadingDay]:
        """Of a series, from day `first` to day `last`, both included (unix time / 86400)."""
        each = reading_days.c
        query = rows.of(reading_days, ReadingDay).where(
            each.series == key, each.day >= first, each.day <= last
        )
        with self._db.reading() as connection:
            found = connection.execute(query.order_by(each.day, each.layout))
            return rows.all_made(ReadingDay, found)

    def rows(self, key: int, start: int, end: int) -> Iterator[tuple[Shape, Row]]:
        """Of a series, by time, from `start` to before `end`."""
        each = reading_days.c
        query = select(each.day, each.layout, each.content).where(
            each.series == key, each.day >= start // days.DAY, each.day <= end // days.DAY
        )
        with self._db.reading() as connection:
            found = connection.execute(query.order_by(each.day, each.layout)).all()
            shapes = {row.layout: _shape(connection, row.layout) for row in found}
        at = 0
        while at < len(found):
            day = found[at].day
            some = []
            while at < len(found) and found[at].day == day:
                shape = shapes[found[at].layout]
                some += [(shape, row) for row in days.unpacked(found[at].content)]
                at += 1
            some.sort(key=lambda one: one[1].time)
            for shape, row in some:
                if start <= row.time < end:
                    yield shape, row

    def first_day(self, key: int) -> int | None:
        """The first day of which a series has rows."""
        query = select(func.min(reading_days.c.day)).where(reading_days.c.series == key)
        with self._db.reading() as connection:
            found: int | None = connection.execute(query).scalar()
        return found

    def last_day(self, key: int, before: int) -> int | None:
        """The last day up to `before`, included, of which a series has rows."""
        each = reading_days.c
        query = select(func.max(each.day)).where(each.series == key, each.day <= before)
        with self._db.reading() as connection:
            found: int | None = connection.execute(query).scalar()
        return found

    def values(
        self, concentrator: str | None, serial: str | None, start: int, end: int
    ) -> list[ReadingValue]:
        """By meter and time, from `start` to before `end`."""
        each = reading_values.c
        query = rows.of(reading_values, ReadingValue).where(each.time >= start, each.time < end)
        query = _of(query, reading_values, concentrator, serial)
        query = query.order_by(each.serial, each.time, each.id)
        with self._db.reading() as connection:
            return rows.all_made(ReadingValue, connection.execute(query))

    def gaps(self, concentrator: str | None = None, serial: str | None = None) -> list[ReadingGap]:
        """Those that concentrators have named, by meter and time."""
        query = _of(rows.of(reading_gaps, ReadingGap), reading_gaps, concentrator, serial)
        query = query.order_by(reading_gaps.c.serial, reading_gaps.c.start)
        with self._db.reading() as connection:
            return rows.all_made(ReadingGap, connection.execute(query))

    def unread(self, concentrator: str | None = None, limit: int = 100) -> list[Unread]:
        """Newest first."""
        query = _of(rows.of(unread, Unread), unread, concentrator, None)
        with self._db.reading() as connection:
            found = connection.execute(query.order_by(unread.c.id.desc()).limit(limit))
            return rows.all_made(Unread, found)

    def rereads(self) -> dict[tuple[int, int], Reread]:
        """By series and the first time that was missing."""
        with self._db.reading() as connection:
            found = rows.all_made(Reread, connection.execute(rows.of(rereads, Reread)))
        return {(each.series, each.start): each for each in found}

    def jobs_of_rereads(self, since: int) -> dict[str, int]:
        """How many jobs for missing rows each concentrator was given since then."""
        query = (
            select(series.c.concentrator, func.count(rereads.c.job.distinct()))
            .join_from(rereads, series, rereads.c.series == series.c.id)
            .where(rereads.c.ordered >= since)
            .group_by(series.c.concentrator)
        )
        with self._db.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def reread(self, key: int, start: int, times: int, job: bytes) -> None:
        """Rows from `start` on were ordered to be read again, the `times`th time, by this job."""
        row = {
            "series": key,
            "start": start,
            "times": times,
            "ordered": int(self._db.now()),
            "job": job,
        }
        with self._db.writing() as connection:
            rows.upsert(connection, rereads, [row])


def _of(
    query: Select[Any], table: Any, concentrator: str | None, serial: str | None
) -> Select[Any]:
    if concentrator is not None:
        query = query.where(table.c.concentrator == concentrator)
    if serial is not None:
        query = query.where(table.c.serial == serial)
    return query


def _shape(connection: Connection, layout: bytes) -> Shape:
    content = connection.execute(
        select(layouts.c.content).where(layouts.c.id == layout)
    ).scalar_one()
    return _shape_of(content)
