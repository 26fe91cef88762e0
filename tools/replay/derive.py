"""Makes a test of a field trace: finds the calls that made the gateway write what it wrote, and
tells where the driver of today would write something else."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from tools.replay.orders import Call, Trace, likeness
from tools.replay.player import CALL, LINE, OPEN, READ, Player, make_driver
from tools.sniff import framing
from tools.sniff.frame import Raw

Row = dict[str, Any]

# A trace's clock and the gateway's tasks are not the driver's: what it writes by itself may stand
# in the trace so much earlier or later.
TOLERANCE_MS = 2000
# What the driver will write by itself within this time it was not told to write.
SOON_MS = 50
MOST_DIFFERENCES = 50


@dataclass
class Derived:
    """`rows` of the test, without its outcome; `differences`: [(at, what)]."""

    rows: list[Row]
    differences: list[tuple[int, str]]


@dataclass
class _State:
    """Of the replay so far. `ahead`: frames that the driver wrote and the trace has not yet;
    `owed`: the other way round."""

    player: Player
    framer: framing.Framer
    rows: list[Row]
    seen: int = 0  # of the player's outcome
    ahead: list[tuple[int, Raw]] = field(default_factory=list)


def derive(head: Row, rows: list[Row]) -> Derived:
    """`head`: the first line, with a "driver"; `rows`: the others, with their bytes. ValueError."""
    return _Derivation(head).run(rows)


class _Derivation:
    def __init__(self, head: Row) -> None:
        self._name: str = head["driver"]
        self._trace = Trace(head["driver"])
        self._differences: list[tuple[int, str]] = []
        self._owed: list[tuple[int, Raw]] = []
        self._read = framing.framer(self._trace.format)
        self._written = framing.framer(self._trace.format)
        fresh = framing.framer(self._trace.format)
        self._state = _State(Player(make_driver(head)), fresh, [])
        self._before: _State | None = None  # as it was ahead of the last read
        self._after: _State | None = None  # and behind it
        self._last_read: Row = {}
        self._since: list[bytes] = []  # frames the trace had since then

    def run(self, rows: list[Row]) -> Derived:
        if not rows or rows[0].get(LINE) != OPEN:
            self._put({"at": rows[0]["at"] if rows else 0, LINE: OPEN})
        for row in rows:
            if LINE in row or READ in row or CALL in row:
                self._before, self._last_read = None, {}
                if READ in row:
                    self._before = copy.deepcopy(self._state)
                    self._last_read, self._since = row, []
                    for raw in self._read.feed(bytes.fromhex(row[READ]), row["at"]):
                        self._trace.decode(raw, False)
                self._put({"at": row["at"], **{k: row[k] for k in (LINE, READ, CALL) if k in row}})
                self._after = copy.deepcopy(self._state) if READ in row else None
            elif "write" in row:
                self._state.player.advance(row["at"])
                self._gather(self._state)
                for raw in self._written.feed(bytes.fromhex(row["write"]), row["at"]):
                    self._wrote(row["at"], raw)
            self._settle(row["at"])
        self._end(rows[-1]["at"] if rows else 0)
        return Derived(self._state.rows, sorted(self._differences)[:MOST_DIFFERENCES])

    def _end(self, at: int) -> None:
        """What is owed still may come soon; what else comes then is behind the trace's end."""
        self._state.player.advance(at + SOON_MS)
        self._gather(self._state)
        self._settle(at)
        self._state.ahead = [each for each in self._state.ahead if each[0] <= at]
        self._settle(1 << 60)

    def _put(self, row: Row) -> None:
        _step(self._state, row)
        self._gather(self._state)

    def _gather(self, state: _State) -> None:
        """What the driver has written since, frame by frame."""
        outcome = state.player.outcome
        for at, kind, value in outcome[state.seen :]:
            if kind == "write":
                state.ahead += [(at, raw) for raw in state.framer.feed(bytes.fromhex(value), at)]
        state.seen = len(outcome)

    def _wrote(self, at: int, raw: Raw) -> None:
        """The trace has this frame: the driver wrote it by itself, or was told to."""
        wanted = likeness(self._name, raw)
        self._since.append(wanted)
        if self._found(self._state, wanted):
            return
        if self._writes_soon(at, wanted):
            self._owed.append((at, raw))
            return
        call = self._trace.order(raw)
        if call is None or not (
            self._called_after(at, call, wanted) or self._called_before(at, call)
        ):
            self._owed.append((at, raw))

    def _found(self, state: _State, wanted: bytes) -> bool:
        for place, (_, raw) in enumerate(state.ahead):
            if likeness(self._name, raw) == wanted:
                del state.ahead[place]
                return True
        return False

    def _writes_soon(self, at: int, wanted: bytes) -> bool:
        trial = copy.deepcopy(self._state)
        trial.player.advance(at + SOON_MS)
        self._gather(trial)
        return self._found(trial, wanted)

    def _called_after(self, at: int, call: Call, wanted: bytes) -> bool:
        trial = copy.deepcopy(self._state)
        _step(trial, {"at": at, CALL: call})
        self._gather(trial)
        if not self._found(trial, wanted):
            return False
        self._state = trial
        return True

    def _called_before(self, at: int, call: Call) -> bool:
        """The driver held it back: until a time of its own, or until it read what it waited for."""
        if self._before is None or self._after is None:
            return False
        then = self._last_read["at"]
        told, data = {"at": then, CALL: call}, {"at": then, READ: self._last_read[READ]}
        for earlier, steps in ((self._after, [told]), (self._before, [told, data])):
            trial = copy.deepcopy(earlier)
            for step in steps:
                _step(trial, step)
            trial.player.advance(at)
            self._gather(trial)
            if all(self._found(trial, wanted) for wanted in self._since):
                self._state = trial
                return True
        return False

    def _settle(self, now: int) -> None:
        """What was owed may have come; what is too late is a difference."""
        for each in list(self._owed):
            if self._found(self._state, likeness(self._name, each[1])):
                self._owed.remove(each)
            elif each[0] + TOLERANCE_MS < now:
                self._owed.remove(each)
                self._differs(each, "the trace has, and the driver does not write: %s")
        for each in list(self._state.ahead):
            if each[0] + TOLERANCE_MS < now:
                self._state.ahead.remove(each)
                self._differs(each, "the driver writes, and the trace has not: %s")

    def _differs(self, frame: tuple[int, Raw], text: str) -> None:
        if len(self._differences) < MOST_DIFFERENCES:
            self._differences.append((frame[0], text % self._trace.describe(frame[1])))


def _step(state: _State, row: Row) -> None:
    state.rows.append(row)
    for kind in (LINE, READ, CALL):
        if kind in row:
            state.player.put(row["at"], kind, row[kind])


def whole(head: Row, rows: list[Row]) -> list[Row]:
    """A test: what goes in, and what comes of it in the driver of today, in order. `rows` without
    outcome."""
    player = Player(make_driver(head))
    found: list[Row] = [head]
    taken = 0

    def outcome() -> None:
        nonlocal taken
        for at, kind, value in player.outcome[taken:]:
            found.append({"at": at, kind: value})
        taken = len(player.outcome)

    for row in rows:
        player.advance(row["at"])
        outcome()
        found.append(row)
        player.play([row])
        outcome()
    return found


def inputs(rows: list[Row]) -> list[Row]:
    """What goes in, of the rows behind the first."""
    found: list[dict[str, Any]] = []
    for row in rows:
        kept = {kind: row[kind] for kind in (LINE, READ, CALL) if kind in row}
        if kept:
            found.append({"at": row["at"], **kept})
    return found
