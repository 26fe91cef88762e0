"""How far the open jobs are, and when each is likely to end: told to the HES while they run."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.limits import MOST_JOBS, MOST_REASONS
from gateway.jobs.forecast import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.jobs.entry import Entry
    from gateway.jobs.forecast import Durations

    # Of a transfer to many: (phase, how long it has taken, ms likely left; 0: not known yet).
    Transfer = Callable[[], tuple[str, int, int]]

_SETTLED = 120  # seconds, or a tenth of what is left: the end has not moved


class Progress:
    """phase: of a transfer to many meters at once, else "". permille: of the work, done. queued,
    in_hand, done: meters. end: unix time; 0: nothing is known to judge it by. waiting: [(reason of
    the last attempt, queued meters that wait after it)], the most frequent ones."""

    __slots__ = ("done", "end", "in_hand", "job_id", "permille", "phase", "queued", "waiting")

    def __init__(self, entry: Entry, reason_of: Callable[[Entry, int], str]) -> None:
        self.job_id = entry.job.id
        self.queued = entry.count(State.QUEUED)
        self.in_hand = entry.count(State.IN_PROGRESS)
        self.done = len(entry.states) - self.queued - self.in_hand
        self.phase = ""
        self.permille = 1000 * self.done // len(entry.states)
        self.end = 0
        counts: dict[str, int] = {}
        for index in entry.due:
            if entry.states[index] == State.QUEUED:
                reason = reason_of(entry, index)
                counts[reason] = counts.get(reason, 0) + 1
        most = sorted([(-count, reason) for reason, count in counts.items() if reason])
        self.waiting = [(reason, -count) for count, reason in most[:MOST_REASONS]]

    def to_array(self) -> list[Any]:
        return [
            self.job_id,
            self.phase,
            self.permille,
            self.queued,
            self.in_hand,
            self.done,
            [list(pair) for pair in self.waiting],
            self.end,
        ]

    def differs(self, told: Progress, now: int) -> bool:
        """Whether the HES should hear of it, when it was told that; now: unix time."""
        if self.to_array()[:-1] != told.to_array()[:-1] or (not self.end) != (not told.end):
            return True
        return abs(self.end - told.end) > max(_SETTLED, (self.end - now) // 10)


def of(
    entries: list[Entry],
    transfers: dict[int, Transfer],
    durations: Durations,
    reason_of: Callable[[Entry, int], str],
    now: int,
    now_ms: int,
) -> list[Progress]:
    """entries: open jobs, the most urgent first. transfers: those to many meters, by job's seq."""
    found: list[Progress] = []
    before_ms: int | None = 0  # None: not to be judged
    for entry in entries:
        progress = Progress(entry, reason_of)
        left_ms: int | None = None
        transfer = transfers.get(entry.seq)
        if transfer is not None:
            progress.phase, took_ms, left = transfer()
            if left:
                left_ms = left
                progress.permille = 1000 * took_ms // max(took_ms + left, 1)
        else:
            each_ms = durations.of(entry.job.kind)
            if each_ms is not None:
                left_ms = entry.open() * each_ms
        if entry.paused:
            found.append(progress)
            continue
        if before_ms is not None and left_ms is not None:
            before_ms += left_ms
            if now:
                progress.end = _end(entry, before_ms, now, now_ms)
        else:
            before_ms = None
        found.append(progress)
    return found[:MOST_JOBS]


def _end(entry: Entry, needed_ms: int, now: int, now_ms: int) -> int:
    """Within its windows; not before the last meter that waits for another try has its turn."""
    _, end = fits(entry.job, now, (needed_ms + 999) // 1000)
    for index, due_ms in entry.due.items():
        if entry.states[index] == State.QUEUED:
            end = max(end, now + (due_ms - now_ms + 999) // 1000)
    return min(end, entry.job.not_after) if entry.job.not_after else end
