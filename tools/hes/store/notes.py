"""Events: what happened on the line that people may want to know. The newest are kept.

Those that tell of security are kept apart as well, so that no flood of others pushes them out; they
are numbered without a gap, for whoever is told of them elsewhere (tools/hes/monitoring).
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from tools.hes.store.schema import events, security_events

EVENTS = 10_000  # kept; older ones make room
SECURITY_EVENTS = 100_000
MAX_DETAIL = 1000  # characters

# All others are of security; of these there can be many, and nobody is harmed.
ROUTINE = frozenset(
    (
        "stranger",
        "late-report",
        "storage-low",
        "modem-down",
        "modem-up",
    )
)


def note(
    connection: Connection, now: int, concentrator: str, name: str, detail: str, reason: str = ""
) -> None:
    """`reason` is the contract's word for why, where there is one."""
    row = {"concentrator": concentrator, "time": now, "name": name, "detail": detail[:MAX_DETAIL]}
    key = connection.execute(insert(events), row).inserted_primary_key
    assert key is not None
    connection.execute(delete(events).where(events.c.id <= key[0] - EVENTS))
    if name not in ROUTINE:
        # Not by the engine, which leaves gaps; there is one writer at a time.
        last = connection.execute(select(func.max(security_events.c.sequence))).scalar() or 0
        row.update(sequence=last + 1, reason=reason)
        connection.execute(insert(security_events), row)
        old = security_events.c.sequence <= last + 1 - SECURITY_EVENTS
        connection.execute(delete(security_events).where(old))
