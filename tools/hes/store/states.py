"""What may become of what the HES has ordered: four small machines, each a table.

A table says, for each state, what may happen in it and which state that leads to. What is not in
the table changes nothing: when a concentrator tells it, it is ignored, and noted as an event where
it may mean trouble; when people order it, it is refused with `Illegal`. Nobody writes a state but
by `after` or `advance` of this module.

**A job.** It is kept here (submitted), handed to the line (sent), and from then on what the
concentrator says of it is what holds. A meter's result shows that the job is at work although
nobody said so. A refusal counts once the job was sent, and as long as it was not answered. Later it
counts only if it is proven to be the concentrator's own, which refuses no job that it has: the job
is gone there. "duplicate" is no refusal: the concentrator has the job already. A job at work may be
queued again: its concentrator has lost its flash, and was given the job anew. A refused
job may be taken after all, when a second copy came at a better time. Any other end is the end.

**A cancel.** None is ordered (""), or it goes the same way as a job until the job has ended, with
the state in which it did; "in-progress" means that meters in hand end first. A refused cancel, or
one that nobody answered, may be ordered again.

**A pause or its end.** The newest order replaces the one before. It is done ("") as soon as the
concentrator says that the job is as it wants it.

**A numbered message** (trust, keys, a change, a model). A hello tells that it was taken. A refusal
after that is one of a second copy; a refused one stays refused, its number is used again. It is
outrun when the concentrator has taken another message with its number, which this database does not
know: it was restored from a copy. A change or a model that was taken and is not there any more,
because a flash was renewed or damaged, is sent anew, and may be refused this time.
"""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, Table, update

from gateway.contract.job import State
from tools.hes.store.problems import Illegal

NONE = ""
SUBMITTED = "submitted"  # here only
SENT = "sent"  # handed to the line; the concentrator has not answered yet
QUEUED = State.NAMES[State.QUEUED]
IN_PROGRESS = State.NAMES[State.IN_PROGRESS]
REJECTED = State.NAMES[State.REJECTED]
FINAL = State.NAMES[State.SUCCEEDED :]
UNANSWERED = (SUBMITTED, SENT)
TAKEN = "taken"

# What happens. That the concentrator tells a state has the state's own name.
ORDERED = "ordered"
PUBLISHED = "published"
WORKED = "worked"  # a meter's result came
REFUSED = "refused"
GONE = "gone"  # refused, and proven to be not there any more
DUPLICATE = "duplicate"
DONE = "done"
LOST = "lost"
OUTRUN = "outrun"  # another message had the number

Transitions: TypeAlias = "dict[str, dict[str, str]]"

_ENDED = {state: state for state in FINAL}
_TOLD = {QUEUED: QUEUED, IN_PROGRESS: IN_PROGRESS, **_ENDED}
TOLD = frozenset(_TOLD)
_ANSWERED_UNSENT = {**_TOLD, WORKED: IN_PROGRESS, DUPLICATE: QUEUED}
_ANSWERED = {**_ANSWERED_UNSENT, REFUSED: REJECTED}

JOB: Transitions = {
    SUBMITTED: {PUBLISHED: SENT, **_ANSWERED_UNSENT},
    SENT: _ANSWERED,
    QUEUED: {**_TOLD, WORKED: IN_PROGRESS, GONE: REJECTED},
    IN_PROGRESS: {**_TOLD, GONE: REJECTED},
    REJECTED: _TOLD,
    **{state: {} for state in FINAL if state != REJECTED},
}

_CANCELED = {IN_PROGRESS: IN_PROGRESS, **_ENDED}

CANCEL: Transitions = {
    NONE: {ORDERED: SUBMITTED},
    SUBMITTED: {ORDERED: SUBMITTED, PUBLISHED: SENT, **_CANCELED},
    SENT: {ORDERED: SUBMITTED, REFUSED: REJECTED, **_CANCELED},
    IN_PROGRESS: {ORDERED: SUBMITTED, **_CANCELED},
    REJECTED: {ORDERED: SUBMITTED},
    **{state: {} for state in FINAL if state != REJECTED},
}

PAUSE: Transitions = {
    NONE: {ORDERED: SUBMITTED, DONE: NONE},
    SUBMITTED: {ORDERED: SUBMITTED, PUBLISHED: SENT, DONE: NONE},
    SENT: {ORDERED: SUBMITTED, REFUSED: REJECTED, DONE: NONE},
    REJECTED: {ORDERED: SUBMITTED, DONE: NONE},
}

NUMBERED: Transitions = {
    SUBMITTED: {PUBLISHED: SENT, TAKEN: TAKEN, OUTRUN: REJECTED},
    SENT: {TAKEN: TAKEN, REFUSED: REJECTED},
    TAKEN: {LOST: SUBMITTED, OUTRUN: REJECTED},
    REJECTED: {},
}


def after(transitions: Transitions, state: str, event: str) -> str:
    """The next state, when people order something. Illegal."""
    following = transitions[state].get(event)
    if following is None:
        raise Illegal("it cannot be %s any more: its state is '%s'" % (event, state))
    return following


def advance(
    connection: Connection,
    table: Table,
    column: str,
    transitions: Transitions,
    event: str,
    *which: ColumnElement[bool],
    **values: object,
) -> int:
    """Where the event fits the state in `column`, write the state it leads to and the other
    `values`, in one statement; how many rows it fitted. The event leads to one state only.
    """
    before = [state for state, events in transitions.items() if event in events]
    if not before:
        return 0
    (following,) = {transitions[state][event] for state in before}
    statement = (
        update(table)
        .where(*which, table.c[column].in_(before))
        .values({column: following, **values})
    )
    return connection.execute(statement).rowcount
