"""Every pair of a state and something that happens does what is written here, or nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from gateway.contract.job import State
from tools.hes.store import states
from tools.hes.store.database import Database
from tools.hes.store.problems import Illegal
from tools.hes.store.schema import numbered

ENDS = ["succeeded", "failed", "timed-out", "rejected", "canceled"]
TOLD = ["queued", "in-progress", *ENDS]

# state: {what happens: the state it leads to}, spelt out
JOB = {
    "submitted": {
        "published": "sent",
        "worked": "in-progress",
        "duplicate": "queued",
        **{state: state for state in TOLD},
    },
    "sent": {
        "worked": "in-progress",
        "refused": "rejected",
        "duplicate": "queued",
        **{state: state for state in TOLD},
    },
    "queued": {"worked": "in-progress", "gone": "rejected", **{state: state for state in TOLD}},
    "in-progress": {"gone": "rejected", **{state: state for state in TOLD}},
    "rejected": {state: state for state in TOLD},
    "succeeded": {},
    "failed": {},
    "timed-out": {},
    "canceled": {},
}
STOPPING = {state: state for state in ["in-progress", *ENDS]}
CANCEL = {
    "": {"ordered": "submitted"},
    "submitted": {"ordered": "submitted", "published": "sent", **STOPPING},
    "sent": {"ordered": "submitted", "refused": "rejected", **STOPPING},
    "in-progress": {"ordered": "submitted", **STOPPING},
    "rejected": {"ordered": "submitted"},
    "succeeded": {},
    "failed": {},
    "timed-out": {},
    "canceled": {},
}
PAUSE = {
    "": {"ordered": "submitted", "done": ""},
    "submitted": {"ordered": "submitted", "published": "sent", "done": ""},
    "sent": {"ordered": "submitted", "refused": "rejected", "done": ""},
    "rejected": {"ordered": "submitted", "done": ""},
}
NUMBERED = {
    "submitted": {"published": "sent", "taken": "taken", "outrun": "rejected"},
    "sent": {"taken": "taken", "refused": "rejected"},
    "taken": {"lost": "submitted", "outrun": "rejected"},
    "rejected": {},
}
MACHINES = {
    "job": (states.JOB, JOB),
    "cancel": (states.CANCEL, CANCEL),
    "pause": (states.PAUSE, PAUSE),
    "numbered": (states.NUMBERED, NUMBERED),
}
HAPPENINGS = [*TOLD, "ordered", "published", "worked", "refused", "duplicate", "done", "taken"]
HAPPENINGS += ["lost", "outrun", "gone", ""]


def test_the_names_are_those_of_the_concentrator() -> None:
    assert set(TOLD) == set(State.NAMES) == set(states.TOLD)
    assert set(ENDS) == set(states.FINAL)


@pytest.mark.parametrize("name", MACHINES)
def test_every_pair_when_people_order(name: str) -> None:
    table, expected = MACHINES[name]
    assert set(table) == set(expected)
    for state in expected:
        for event in HAPPENINGS:
            if event in expected[state]:
                assert states.after(table, state, event) == expected[state][event]
            else:
                with pytest.raises(
                    Illegal, match="^it cannot be %s any more: its state is '%s'$" % (event, state)
                ):
                    states.after(table, state, event)


@pytest.mark.parametrize("name", MACHINES)
def test_every_pair_in_the_database(name: str) -> None:
    """A row of each state, all other columns the same: only those that the event fits move."""
    table, expected = MACHINES[name]
    database = Database(":memory:")
    row = {
        "topic": "trust",
        "concentrator": "c",
        "number": 1,
        "envelope": b"",
        "digest": b"",
        "submitted": 1,
        "updated": 1,
    }
    column = numbered.c
    for event in HAPPENINGS:
        with database.writing() as connection:
            connection.execute(numbered.delete())
            connection.execute(
                insert(numbered), [{**row, "what": state, "state": state} for state in expected]
            )
            moved = states.advance(
                connection, numbered, "state", table, event, column.number == 1, updated=2
            )
            found = connection.execute(select(column.what, column.state, column.updated)).all()
            none = states.advance(
                connection, numbered, "state", table, event, column.number == 2, updated=3
            )
        wanted = {
            (state, expected[state].get(event, state), 2 if event in expected[state] else 1)
            for state in expected
        }
        assert {tuple(each) for each in found} == wanted, event
        assert moved == sum(event in each for each in expected.values())
        assert none == 0
    database.close()
