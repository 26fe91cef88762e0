"""What came of it, for people and for files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tools.mutants.choose import goal_of, room_of
from tools.mutants.plant import Fault
from tools.mutants.server import NOTICED, SURVIVED, TIMED_OUT


@dataclass
class Outcome:
    fault: Fault
    verdict: str
    test: str | None  # the one that noticed
    ran: int  # how many tests ran
    tests: list[str]  # the files they are in
    seconds: float

    @property
    def room(self) -> str:
        return room_of(self.fault.file)


class Row:
    def __init__(self, room: str, outcomes: list[Outcome]) -> None:
        self.room = room
        self.planted = len(outcomes)
        count = {NOTICED: 0, SURVIVED: 0, TIMED_OUT: 0}
        for outcome in outcomes:
            count[outcome.verdict] += 1
        self.noticed, self.survived, self.timed_out = count.values()
        self.share = (self.noticed + self.timed_out) / self.planted
        self.good = self.share >= goal_of(room)


def rows(outcomes: list[Outcome]) -> list[Row]:
    names = sorted({outcome.room for outcome in outcomes})
    return [Row(name, [each for each in outcomes if each.room == name]) for name in names]


def table(outcomes: list[Outcome]) -> str:
    lines = [
        "%-20s%9s%9s%10s%11s%9s%7s"
        % ("room", "planted", "noticed", "survived", "timed out", "share", "goal")
    ]
    for row in rows(outcomes):
        counts = (row.room, row.planted, row.noticed, row.survived, row.timed_out)
        share = (row.share * 100, goal_of(row.room) * 100)
        low = "" if row.good else "  below its goal"
        lines.append("%-20s%9d%9d%10d%11d%7.0f %%%5.0f %%" % (counts + share) + low)
    planted = len(outcomes)
    lost = sum(outcome.verdict == SURVIVED for outcome in outcomes)
    lines.append("%-20s%9d%9d%10d" % ("all", planted, planted - lost, lost))
    return "\n".join(lines)


def survivor(outcome: Outcome) -> str:
    fault = outcome.fault
    shown = ", ".join(outcome.tests[:4]) + (", ..." if len(outcome.tests) > 4 else "")
    ran = "%d tests ran: %s" % (outcome.ran, shown) if outcome.ran else "no fast test runs it"
    return "%s:%d  %s, %s\n    %s\n    %s" % (
        fault.file,
        fault.line,
        fault.function or "(module)",
        fault.kind,
        fault.change(),
        ran,
    )


def as_json(outcomes: list[Outcome], about: dict[str, Any]) -> dict[str, Any]:
    return {
        **about,
        "rooms": [vars(row) for row in rows(outcomes)],
        "faults": [
            {**asdict(each), "change": each.fault.change(), "room": each.room} for each in outcomes
        ],
    }
