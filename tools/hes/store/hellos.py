"""What a hello tells of where a concentrator stands: numbers, models, audit trail, reports."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from gateway.contract.messages import Hello
from tools.hes.store import claims, rows, sightings, states
from tools.hes.store.notes import note
from tools.hes.store.records import Standing
from tools.hes.store.schema import MAX_NUMBER, numbered, standing
from tools.hes.store.states import OUTRUN, REJECTED, SUBMITTED, UNANSWERED

# Topics whose messages are numbered for each concentrator, and where a hello tells the last one.
COUNTED = {"trust": "trust", "keys": "keys", "change": "changes"}
MODEL = "model"  # the topic; such a message's `what` is the model's name, its number the model's
NUMBERS_AHEAD = 1000  # so many messages of trust or keys may be unknown here, and be believed

AHEAD = (
    "it has taken %s messages up to number %d, and this database knows of none after %d: it is an"
    " older copy, or another HES has sent them. The next one will have number %d"
)
BEYOND = (
    "it claims to have taken %s messages up to number %d, and this database knows of none after %d;"
    " nothing was changed"
)
OUTRUN_DETAIL = "number %d was used by a message that is not in this database; send it again"


def take(connection: Connection, now: int, concentrator: str, hello: Hello) -> None:
    """An audit trail that has become shorter, or has another end at the same length, is an event;
    so is a number that this database did not give.
    """
    query = rows.of(standing, Standing).where(standing.c.concentrator == concentrator)
    found = connection.execute(query).first()
    known = None if found is None else rows.made(Standing, found)
    sightings.see(connection, now, concentrator, hello.session, hello.epoch)
    if known is not None:
        _compare_trail(connection, now, concentrator, known, hello)
    row = {
        "concentrator": concentrator,
        "records": min(hello.records, MAX_NUMBER),
        "head": hello.head,
        "epoch": hello.epoch,
        "first": hello.first,
        "next": hello.next,
        "models": [[name, number] for name, number in hello.models],
        "readings_epoch": hello.readings[0],
        "readings_first": hello.readings[1],
        "readings_next": hello.readings[2],
    }
    for topic, column in COUNTED.items():
        number = int(getattr(hello, column))
        before = None if known is None else int(getattr(known, column))
        row[column] = _take_number(connection, now, concentrator, topic, number, before)
    rows.upsert(connection, standing, [row])
    _take_models(connection, now, concentrator, hello.models)
    if hello.epoch:
        claims.take(connection, now, concentrator, hello.epoch, hello.first)
    epoch, first, _ = hello.readings
    if epoch:
        claims.take(connection, now, concentrator, epoch, first, stream=claims.READINGS)


def _compare_trail(
    connection: Connection, now: int, concentrator: str, known: Standing, hello: Hello
) -> None:
    records = min(hello.records, MAX_NUMBER)
    if records < known.records or (records == known.records and hello.head != known.head):
        text = "it had %d records up to %s, now %d up to %s"
        values = (known.records, known.head.hex(), records, hello.head.hex())
        note(connection, now, concentrator, "audit-trail-cut", text % values)


def _take_number(
    connection: Connection,
    now: int,
    concentrator: str,
    topic: str,
    number: int,
    before: int | None,
) -> int:
    """It has taken messages of the topic up to `number`; `before` is what the last hello said.
    The number that is believed.
    """
    own = (numbered.c.concentrator == concentrator, numbered.c.topic == topic)
    sent = numbered.c.state.not_in((SUBMITTED, REJECTED))
    last = connection.execute(select(func.max(numbered.c.number)).where(*own, sent)).scalar() or 0
    last = max(last, before or 0)
    if before is not None and number > last + NUMBERS_AHEAD:
        text = BEYOND % (topic, number, last)
        note(connection, now, concentrator, "claim-beyond-bounds", text)
        return before
    if before is not None and number > last:
        text = AHEAD % (topic, number, last, number + 1)
        note(connection, now, concentrator, "numbers-ahead", text)
    up_to = numbered.c.number <= number
    # What was never sent cannot be what it has taken.
    _advance(
        connection,
        OUTRUN,
        *(*own, up_to, numbered.c.state == SUBMITTED),
        reason="replayed",
        detail=OUTRUN_DETAIL % number,
        updated=now,
    )
    _advance(connection, states.TAKEN, *own, up_to, updated=now)
    if topic == "change" and before is not None and number < before:
        # What it had taken is on a flash that is gone; trust and keys people bring there.
        _advance(connection, states.LOST, *own, numbered.c.number > number, updated=now)
    return number


def _take_models(
    connection: Connection, now: int, concentrator: str, models: list[tuple[str, int]]
) -> None:
    own = (numbered.c.concentrator == concentrator, numbered.c.topic == MODEL)
    for name, number in models:
        named = (*own, numbered.c.what == name)
        ours = select(numbered.c.id).where(*named, numbered.c.number == number)
        # Of a higher one that is not ours, it will refuse what we send, and say so.
        if connection.execute(ours).first() is not None:
            up_to = numbered.c.number <= number
            _advance(connection, states.TAKEN, *named, up_to, updated=now)
    _models_lost(connection, now, concentrator, dict(models))


def _models_lost(
    connection: Connection, now: int, concentrator: str, there: dict[str, int]
) -> None:
    """Of each name the newest model that it was sent, if it has taken that, and it is not `there`
    (number by name) any more."""
    query = select(numbered.c.id, numbered.c.what, numbered.c.number, numbered.c.state).where(
        numbered.c.concentrator == concentrator,
        numbered.c.topic == MODEL,
        numbered.c.state.in_((*UNANSWERED, states.TAKEN)),
    )
    newest = {row.what: row for row in connection.execute(query.order_by(numbered.c.number))}
    for row in newest.values():
        if row.state == states.TAKEN and there.get(row.what, 0) < row.number:
            _advance(connection, states.LOST, numbered.c.id == row.id, updated=now)


def _advance(
    connection: Connection, event: str, *which: ColumnElement[bool], **values: Any
) -> None:
    states.advance(connection, numbered, "state", states.NUMBERED, event, *which, **values)
