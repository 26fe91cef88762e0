"""One run of a task, in RAM: how far each of its meters has got.

Nine octets a meter, and a reference to its serial, which is the inventory's. A run that a
restart ends begins anew: of what was read then, little is left to do.
"""

from __future__ import annotations

from array import array

from gateway.contract.reports import TaskRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from gateway.tasks.book import Entry

# states of a meter
WAITING = 0  # for its first try
IN_WORK = 1
FAILED = 2  # waits for another try
COMPLETE = 3
ENDED = 4  # trying again would end in the same way

FIRST_PAUSE_S = 60  # after a try that failed, then twice as long each time
LAST_PAUSE_S = 3600
_MOST_GAPS = 16  # in a report
_MOST_REASONS = 255
UNTRIED = "not-tried"
MISSED = "missed"
UNKNOWN = "unknown-meter"


class Run:
    """Of the task of `entry`, due at `due` and begun at `began`, on `serials`, the cheapest first
    as `order` has them. `missed`: how often it was due before, and what was to be had then is gone.
    `unknown`: serials that the task lists and that are no meters here."""

    def __init__(
        self,
        entry: Entry,
        due: int,
        began: int,
        serials: list[str],
        order: array[int],
        missed: int = 0,
        unknown: int = 0,
    ) -> None:
        self.entry = entry
        self.task = entry.task
        self.due = due
        self.began = began
        self.missed = missed
        self.rows = 0
        self.told = False  # once all have had their first try
        self._serials = serials
        self._order = order
        self._at = 0  # all before this place of the order have had their first try
        self._unknown = unknown
        self._states = bytearray(len(serials))
        self._reasons = bytearray(len(serials))  # places in _words
        self._tries = bytearray(len(serials))
        self._ready = array("I", [0] * len(serials))  # ticks, in seconds
        self._words = [UNTRIED]

    def __len__(self) -> int:
        return len(self._serials)

    def serial(self, index: int) -> str:
        return self._serials[index]

    def count(self, state: int) -> int:
        return self._states.count(bytes((state,)))

    def ready(self, now_s: int) -> Iterator[int]:
        """Those that may be tried now (ticks, in seconds): first tries, then those that failed."""
        order, states, ready = self._order, self._states, self._ready
        for at in range(self._at, len(order)):
            index = order[at]
            if states[index] != WAITING:
                if at == self._at:
                    self._at += 1
            elif ready[index] <= now_s:
                yield index
        index = states.find(_FAILED)
        while index >= 0:
            if ready[index] <= now_s:
                yield index
            index = states.find(_FAILED, index + 1)

    def is_ready(self, now_s: int) -> bool:
        return any(True for _ in self.ready(now_s))

    def began_with(self, index: int) -> None:
        self._states[index] = IN_WORK

    def put_back(self, index: int, ready_s: int, reason: str = "") -> None:
        """Nothing came of it, and the meter is not to blame: it is tried from then on."""
        self._states[index] = FAILED if self._tries[index] else WAITING
        self._ready[index] = ready_s
        self._at = 0 if not self._tries[index] else self._at
        if reason:
            self._reasons[index] = self._place_of(reason)

    def failed(self, index: int, now_s: int, reason: str, jitter: int) -> None:
        """It is tried again after a pause, by up to a quarter longer (`jitter` 0..255)."""
        tries = self._tries[index] = min(self._tries[index] + 1, 255)
        pause = min(FIRST_PAUSE_S << min(tries - 1, 16), LAST_PAUSE_S)
        self._states[index] = FAILED
        self._ready[index] = now_s + pause + pause * jitter // 1024
        self._reasons[index] = self._place_of(reason)

    def ended(self, index: int, reason: str) -> None:
        """`reason` "": it is complete."""
        self._states[index] = ENDED if reason else COMPLETE
        self._reasons[index] = self._place_of(reason or UNTRIED)

    def all_tried(self) -> bool:
        return not self.count(WAITING) and not self.count(IN_WORK)

    def is_over(self) -> bool:
        """Everybody has had a try, and either enough are complete or nobody is worth another."""
        if not self.all_tried():
            return False
        enough = self.count(COMPLETE) * 1000 >= self.task.completeness * self._wanted()
        return enough or not self.count(FAILED)

    def report(self, now: int) -> TaskRun:
        counts = {MISSED: self.missed, UNKNOWN: self._unknown}
        for index in range(len(self._states)):
            if self._states[index] != COMPLETE:
                reason = self._words[self._reasons[index]]
                counts[reason] = counts.get(reason, 0) + 1
        most_first = sorted([(-counts[reason], reason) for reason in counts if counts[reason]])
        gaps: list[list[Any]] = [[reason, -count] for count, reason in most_first]
        return TaskRun(
            self.task.name,
            self.due,
            self.began,
            now,
            self._wanted(),
            self.count(COMPLETE),
            self.rows,
            gaps[:_MOST_GAPS],
        )

    def _wanted(self) -> int:
        return len(self._serials) + self._unknown

    def _place_of(self, reason: str) -> int:
        if reason not in self._words:
            if len(self._words) >= _MOST_REASONS:
                return 0
            self._words.append(reason)
        return self._words.index(reason)


_FAILED = bytes((FAILED,))
