"""Events: what happened on the line that people may want to know. The newest are kept.

Those that tell of security are kept apart as well, so that no flood of others pushes them out; they
are numbered without a gap, for whoever is told of them elsewhere (tools/hes/monitoring).

No concentrator fills the tables: of each name a number of events within an hour is kept, the rest
is counted, and the count is an event when the hour is over. Of all that is kept each concentrator
has its share.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from tools.hes.store import rows
from tools.hes.store.schema import event_counts, events, security_events

EVENTS = 100_000  # kept; older ones make room
EVENTS_OF_ONE = 2_000
SECURITY_EVENTS = 100_000
MAX_DETAIL = 1000  # characters

WITHIN = 3600  # seconds
MOST = 60  # events of one name and one concentrator within that time
MOST_ROUTINE = 1000
MOST_NAMES = 30  # of one concentrator within that time; all further names are counted as one
OTHERS = "others"

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
    if _allowed(connection, now, concentrator, name):
        _keep(connection, now, concentrator, name, detail, reason)


def tell_counted(connection: Connection, now: int) -> None:
    """Of the hours that are over: how many events were only counted in each."""
    each = event_counts.c
    over = (each.since <= now - WITHIN) | (each.since > now)
    for row in connection.execute(select(event_counts).where(over)).all():
        if row.more:
            _tell_more(connection, now, row)
    connection.execute(delete(event_counts).where(over))


def _allowed(connection: Connection, now: int, concentrator: str, name: str) -> bool:
    each = event_counts.c
    row = _count(connection, concentrator, name)
    if row is None:
        names = select(func.count()).where(each.concentrator == concentrator)
        if connection.execute(names).scalar_one() >= MOST_NAMES:
            name = OTHERS
            row = _count(connection, concentrator, name)
    if row is not None and not 0 <= now - row.since < WITHIN:
        if row.more:
            _tell_more(connection, now, row)
        row = None
    if row is None:
        new = {"concentrator": concentrator, "name": name, "since": now, "kept": 1, "more": 0}
        rows.upsert(connection, event_counts, [new])
        return True
    allowed: bool = row.kept < (MOST_ROUTINE if name in ROUTINE else MOST)
    which = (each.concentrator == concentrator, each.name == name)
    counted = {"kept": each.kept + 1} if allowed else {"more": each.more + 1}
    connection.execute(update(event_counts).where(*which).values(counted))
    return allowed


def _count(connection: Connection, concentrator: str, name: str) -> Any:
    each = event_counts.c
    query = select(event_counts).where(each.concentrator == concentrator, each.name == name)
    return connection.execute(query).first()


def _tell_more(connection: Connection, now: int, row: Any) -> None:
    many = "and %s more of the kind within %d minutes" % (format(row.more, ","), WITHIN // 60)
    _keep(connection, now, row.concentrator, row.name, many, "")


def _keep(
    connection: Connection, now: int, concentrator: str, name: str, detail: str, reason: str
) -> None:
    row = {"concentrator": concentrator, "time": now, "name": name, "detail": detail[:MAX_DETAIL]}
    key = connection.execute(insert(events), row).inserted_primary_key
    assert key is not None
    connection.execute(delete(events).where(events.c.id <= key[0] - EVENTS))
    own = select(events.c.id).where(events.c.concentrator == concentrator)
    oldest = own.order_by(events.c.id.desc()).offset(EVENTS_OF_ONE).limit(1)
    last = connection.execute(oldest).scalar()
    if last is not None:
        which = (events.c.concentrator == concentrator, events.c.id <= last)
        connection.execute(delete(events).where(*which))
    if name not in ROUTINE:
        # Not by the engine, which leaves gaps; there is one writer at a time.
        last = connection.execute(select(func.max(security_events.c.sequence))).scalar() or 0
        row.update(sequence=last + 1, reason=reason)
        connection.execute(insert(security_events), row)
        old = security_events.c.sequence <= last + 1 - SECURITY_EVENTS
        connection.execute(delete(security_events).where(old))
