"""A page of a concentrator's meters: how each is reached, and what is remembered of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, select

from gateway.contract.limits import MAX_METERS
from gateway.contract.messages import Meters
from tools.hes.store import rows
from tools.hes.store.notes import note
from tools.hes.store.schema import way_changes, ways

WAY_CHANGES = 50  # of each path of a meter, kept
NO_PATH = -1  # place of the one way of a meter that has none: it is not commissioned

_NAMES = (
    "kind",
    "state",
    "since",
    "before",
    "heard",
    "delivery",
    "silent",
    "changes",
    "registered",
)
_NONE = ["", 0, 0, 0, 0, 0, 0, 0, False]


def take(connection: Connection, now: int, concentrator: str, page: Meters) -> None:
    """Those between the ends of the page that are not in it are no meters any more."""
    serials = [serial for serial, _ in page.meters]
    _clear(connection, concentrator, page, serials)
    own = select(func.count(ways.c.serial.distinct())).where(ways.c.concentrator == concentrator)
    if connection.execute(own).scalar_one() + len(serials) > MAX_METERS:
        text = "it tells of more than the %d meters that it can have; this page was not taken"
        note(connection, now, concentrator, "claim-beyond-bounds", text % MAX_METERS)
        return
    found: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    for serial, paths in page.meters:
        places = list(enumerate(paths)) or [(NO_PATH, _NONE)]
        for place, path in places:
            way = dict(zip(_NAMES, path, strict=True))
            whose = {"concentrator": concentrator, "serial": serial}
            before, since, state = way.pop("before"), way["since"], way["state"]
            found.append({**whose, "place": place, "told": now, **way})
            # The state before a known one is the other known one, but at the very first.
            past = [(before, 3 - state), (since, state)] if before else [(since, state)]
            changes += [
                {**whose, "kind": way["kind"], "since": at, "state": what}
                for at, what in past
                if at and what
            ]
    rows.upsert(connection, ways, found)
    rows.upsert(connection, way_changes, changes, keep=True)
    _forget(connection, concentrator, serials)


def _clear(connection: Connection, concentrator: str, page: Meters, serials: list[str]) -> None:
    last = serials[-1] if serials and page.more else None
    of_it = ways.c.concentrator == concentrator
    # Compared here: the order of texts is the gateway's, PostgreSQL's depends on where it runs.
    gone = [
        serial
        for serial in connection.execute(select(ways.c.serial).where(of_it).distinct()).scalars()
        if serial > page.after and (last is None or serial <= last)
    ]
    for first in range(0, len(gone), 500):
        some = gone[first : first + 500]
        connection.execute(delete(ways).where(of_it, ways.c.serial.in_(some)))


def _forget(connection: Connection, concentrator: str, serials: list[str]) -> None:
    """The oldest changes of a path that has too many; and those of meters that are none any more,
    where there are too many of them.
    """
    each = way_changes.c
    own = each.concentrator == concentrator
    told = connection.execute(select(func.count(each.serial.distinct())).where(own)).scalar_one()
    if told > 2 * MAX_METERS:
        there = select(ways.c.serial).where(ways.c.concentrator == concentrator)
        connection.execute(delete(way_changes).where(own, each.serial.not_in(there)))
    many = (
        select(each.serial, each.kind)
        .where(each.concentrator == concentrator, each.serial.in_(serials))
        .group_by(each.serial, each.kind)
        .having(func.count() > WAY_CHANGES)
    )
    for serial, kind in connection.execute(many).all():
        of_it = (each.concentrator == concentrator, each.serial == serial, each.kind == kind)
        kept = select(each.since).where(*of_it).order_by(each.since.desc())
        oldest = connection.execute(kept.offset(WAY_CHANGES - 1).limit(1)).scalar_one()
        connection.execute(delete(way_changes).where(*of_it, each.since < oldest))
