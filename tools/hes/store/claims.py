"""What a concentrator claims of the numbers of its reports and readings, and how far that is
believed.

Reports move a position one by one, and what they tell is here. A claim moves it without them:
`State.first`, `Hello.first` and a Dropped report say that the reports before are nowhere any more.
So a claim moves a position forward only, and only as far as a concentrator can have reports at all
(OUTBOX_SIZE). What lies beyond is an event, and changes nothing: the reports are asked for instead,
until somebody has looked and says `ami-hes concentrator believe`.

A database that knows nothing of a concentrator has nothing to lose, and believes where it begins.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, Table, delete, func, select

from gateway.contract.limits import OUTBOX_SIZE
from tools.hes.store import rows
from tools.hes.store.notes import note
from tools.hes.store.schema import MAX_NUMBER, positions, reading_positions

EPOCHS = 16  # of one concentrator whose positions are kept


class Stream(NamedTuple):
    """What is numbered: where its positions are, what it is called, the event that tells of lost
    ones, and the most of it that a concentrator can keep."""

    positions: Table
    name: str
    lost: str
    most: int


REPORTS = Stream(positions, "reports", "reports-lost", OUTBOX_SIZE)
READINGS = Stream(reading_positions, "readings", "readings-missing", 1 << 22)

LOST = (
    "%s %d..%d of epoch %08x were acknowledged before but are not in this database; was it"
    " restored from a copy?"
)
BEYOND = (
    "it claims that %s %d..%d of epoch %08x are gone: more than the %d it can ever have kept;"
    " nothing was changed, they are asked for. If it is true, `ami-hes concentrator believe"
    " %s`"
)


def position(
    connection: Connection, concentrator: str, epoch: int, stream: Stream = REPORTS
) -> int:
    """All of the epoch up to this number are safe here; 0: none."""
    each = stream.positions.c
    query = select(each.number).where(each.concentrator == concentrator, each.epoch == epoch)
    return connection.execute(query).scalar() or 0


def move(
    connection: Connection,
    now: int,
    concentrator: str,
    epoch: int,
    number: int,
    stream: Stream = REPORTS,
) -> None:
    """The position of the epoch, to where everything is accounted for."""
    row = {"concentrator": concentrator, "epoch": epoch, "number": number, "moved": now}
    rows.upsert(connection, stream.positions, [row])
    each = stream.positions.c
    own = each.concentrator == concentrator
    newest = select(each.epoch).where(own).order_by(each.moved.desc(), each.epoch != epoch)
    kept = list(connection.execute(newest.limit(EPOCHS)).scalars())
    if len(kept) == EPOCHS:
        connection.execute(delete(stream.positions).where(own, each.epoch.not_in(kept)))


def take(
    connection: Connection,
    now: int,
    concentrator: str,
    epoch: int,
    first: int,
    anyway: bool = False,
    stream: Stream = REPORTS,
) -> bool:
    """It claims to keep nothing before number `first`. False: that goes too far, an event tells so.
    `anyway`: somebody has looked, and believes it.
    """
    safe = position(connection, concentrator, epoch, stream)
    if first <= safe + 1:
        return True
    each = stream.positions.c
    known = select(func.max(each.number)).where(each.concentrator == concentrator)
    highest = connection.execute(known).scalar()
    stranger = highest is None
    # A data folder that was put back from a copy goes on in another epoch, with its numbers.
    near = first - 1 - max(safe, highest or 0) <= stream.most
    if first > MAX_NUMBER or not (near or stranger or anyway):
        values = (stream.name, safe + 1, first - 1, epoch, stream.most, concentrator)
        note(connection, now, concentrator, "claim-beyond-bounds", BEYOND % values)
        return False
    if first - 1 > (highest or 0):
        lost = (stream.name, max(safe, highest or 0) + 1, first - 1, epoch)
        note(connection, now, concentrator, stream.lost, LOST % lost)
    move(connection, now, concentrator, epoch, first - 1, stream)
    return True
