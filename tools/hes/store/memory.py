"""What is remembered of each concentrator's data folder: how often it was started at most, how many
invocation counters were used, and where its audit trail last ended. It never goes back, so that a
folder that does is found out, on both sides.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.contract.messages import Hello, Memory
from tools.hes.store import rows
from tools.hes.store.notes import note
from tools.hes.store.schema import MAX_NUMBER, memories, standing

NOTHING = bytes(32)
ROLLED_BACK = (
    "its data folder was started %d times and %d invocation counters were used; now it says %d and"
    " %d. A copy of it was put back, or there are two of it"
)


def remember(connection: Connection, now: int, concentrator: str, hello: Hello) -> Memory | None:
    """What was known before this hello, and none the less after it; None for a firmware that does
    not count its starts. To be called before the hello's end of the audit trail is stored.
    """
    if not hello.starts:
        return None
    found = connection.execute(
        select(memories.c.starts, memories.c.used).where(memories.c.concentrator == concentrator)
    ).first()
    starts, used = (0, 0) if found is None else (int(found.starts), int(found.used))
    end = connection.execute(
        select(standing.c.records, standing.c.head).where(standing.c.concentrator == concentrator)
    ).first()
    records, head = (0, NOTHING) if end is None else (int(end.records), bytes(end.head))
    if hello.starts < starts or hello.used < used:
        text = ROLLED_BACK % (starts, used, hello.starts, hello.used)
        note(connection, now, concentrator, "folder-rolled-back", text)
    row = {
        "concentrator": concentrator,
        "starts": max(starts, hello.starts),
        "used": max(used, min(hello.used, MAX_NUMBER)),
    }
    rows.upsert(connection, memories, [row])
    return Memory(starts, used, records, head)
