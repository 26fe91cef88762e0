"""Two concentrators with one identity: one is a copy of the other, or was given its id.

A concentrator draws a session at each connection, and an epoch with each ledger, and never returns
to an earlier one. Where one that was over is heard again, two boards speak in turn.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from tools.hes.store import rows
from tools.hes.store.notes import note
from tools.hes.store.schema import sightings

KEPT = 8  # sessions of each concentrator
RESTLESS_S = 300  # so many sessions within that time are noticed too

TWO = (
    "two boards speak as %s: %s %08x is heard again after %08x had taken its place. One of them is"
    " a copy of the other, or has its settings"
)
RESTLESS = (
    "%d connections within %d s: the line is bad, or two boards speak as %s, and push each other"
    " off the broker"
)


def see(connection: Connection, now: int, concentrator: str, session: int, epoch: int) -> None:
    """It was heard in this session, and with this epoch (0: it did not say)."""
    each = sightings.c
    query = select(sightings).where(each.concentrator == concentrator).order_by(each.turn.desc())
    earlier = connection.execute(query).all()
    if earlier and (earlier[0].session, earlier[0].epoch) == (session, epoch or earlier[0].epoch):
        return
    if earlier:
        last = earlier[0]
        epoch = epoch or last.epoch
        if session != last.session and session in [row.session for row in earlier]:
            values = (concentrator, "session", session, last.session)
            note(connection, now, concentrator, "same-identity", TWO % values)
        elif epoch != last.epoch and epoch in [row.epoch for row in earlier]:
            values = (concentrator, "epoch", epoch, last.epoch)
            note(connection, now, concentrator, "same-identity", TWO % values)
        elif len(earlier) >= KEPT - 1 and 0 <= now - earlier[-1].time <= RESTLESS_S:
            many = RESTLESS % (len(earlier) + 1, now - earlier[-1].time, concentrator)
            note(connection, now, concentrator, "restless", many)
    turn = earlier[0].turn + 1 if earlier else 1
    row = {"session": session, "epoch": epoch, "turn": turn, "time": now}
    rows.upsert(connection, sightings, [{"concentrator": concentrator, **row}])
    old = each.turn <= turn - KEPT
    connection.execute(delete(sightings).where(each.concentrator == concentrator, old))
