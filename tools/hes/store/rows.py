"""Rows to records, and the one statement that the two engines spell differently."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Row, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

R = TypeVar("R")

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upsert(
    connection: Connection, table: Table, rows: list[dict[str, Any]], keep: bool = False
) -> None:
    """Insert the rows, all of the same columns; one whose primary key is there already is replaced
    in these columns, or (`keep`) left as it is.
    """
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    insert = _INSERT[connection.dialect.name](table)
    others = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    if keep:
        connection.execute(insert.on_conflict_do_nothing(index_elements=keys), rows)
    else:
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), rows)


def of(table: Table, record: type[R], **others: Any) -> Select[Any]:
    """A query for the columns that the record's fields are named after; `others` by name."""
    return select(*[_column(table, name, others) for name in _fields(record)])


def made(record: type[R], row: Row[Any]) -> R:
    return record(**row._mapping)


def all_made(record: type[R], rows: Iterable[Row[Any]]) -> list[R]:
    return [made(record, row) for row in rows]


def _column(table: Table, name: str, others: dict[str, Any]) -> Column[Any]:
    return others[name].label(name) if name in others else table.c[name]


def _fields(record: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]
