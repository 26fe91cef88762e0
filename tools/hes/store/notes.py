"""Events: what happened on the line that people may want to know. The newest are kept."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from tools.hes.store.schema import events

EVENTS = 10000  # kept; older ones make room
MAX_DETAIL = 1000  # characters


def note(connection: Connection, now: int, concentrator: str, name: str, detail: str) -> None:
    row = {"concentrator": concentrator, "time": now, "name": name, "detail": detail[:MAX_DETAIL]}
    key = connection.execute(insert(events), row).inserted_primary_key
    assert key is not None
    connection.execute(delete(events).where(events.c.id <= key[0] - EVENTS))
