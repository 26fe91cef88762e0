"""How far an open job is, and when it is likely to end: told to the HES while it runs."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.limits import MOST_REASONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.jobs.entry import Entry

_SETTLED = 120  # seconds, or a tenth of what is left: the end has not moved


class Progress:
    """phase: of a transfer to many meters at once, else "". permille: of the work, done. queued,
    in_hand, done: meters. end: unix time; 0: nothing is known to judge it by. waiting: the most
    frequent ones of [reason, queued meters that wait for that, unix time when something of ours
    that hinders them is likely to be over; not there: not known]."""

    __slots__ = ("done", "end", "in_hand", "job_id", "permille", "phase", "queued", "waiting")

    def __init__(self, entry: Entry, waiting: dict[str, list[int]], now: int) -> None:
        """waiting: by reason [meters, ms until it is over; 0: not known]."""
        self.job_id = entry.job.id
        self.queued = entry.count(State.QUEUED)
        self.in_hand = entry.count(State.IN_PROGRESS)
        self.done = len(entry.states) - self.queued - self.in_hand
        self.phase = ""
        self.permille = 1000 * self.done // len(entry.states)
        self.end = 0
        most = sorted([(-found[0], reason) for reason, found in waiting.items() if reason])
        self.waiting: list[list[Any]] = []
        for count, reason in most[:MOST_REASONS]:
            wait_ms = waiting[reason][1]
            until = [now + (wait_ms + 999) // 1000] if wait_ms and now else []
            self.waiting.append([reason, -count] + until)

    def to_array(self) -> list[Any]:
        return [
            self.job_id,
            self.phase,
            self.permille,
            self.queued,
            self.in_hand,
            self.done,
            self.waiting,
            self.end,
        ]

    def differs(self, told: Progress, now: int) -> bool:
        """Whether the HES should hear of it, when it was told that; now: unix time."""
        if self._counts() != told._counts() or (not self.end) != (not told.end):
            return True
        return abs(self.end - told.end) > max(_SETTLED, (self.end - now) // 10)

    def _counts(self) -> list[Any]:
        """All but times."""
        return self.to_array()[:6] + [row[:2] for row in self.waiting]
