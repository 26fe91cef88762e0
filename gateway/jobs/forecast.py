"""How long a meter takes, learned from those done: what a job of so many meters may be promised.

One running mean for each kind of job, so the memory is bounded; a restart forgets them.
"""

from __future__ import annotations

from gateway.jobs.window import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.jobs.window import Windowed

_WEIGHT = 8  # a new duration counts one eighth
_MOST_WINDOWS = 1000


class Durations:
    def __init__(self) -> None:
        self._mean_ms: dict[int, int] = {}  # kind of job: from one meter's end to the next one's

    def note(self, kind: int, duration_ms: int, at_once: int) -> None:
        """An attempt took so long, while so many were made at once (itself included)."""
        share = duration_ms // max(at_once, 1)
        mean = self._mean_ms.get(kind)
        self._mean_ms[kind] = share if mean is None else mean + (share - mean) // _WEIGHT

    def of(self, kind: int) -> int | None:
        """Milliseconds a meter; None while nothing is known."""
        return self._mean_ms.get(kind)


def fits(job: Windowed, now: int, needed_s: int) -> tuple[int, int]:
    """(how many of `needed_s` seconds of work the job's windows have room for, unix time of their
    end).
    """
    left, end = needed_s, now
    for _ in range(_MOST_WINDOWS):
        window = opening(job, end)
        if window is None:
            break
        start, closes = window
        if not closes or closes - start >= left:
            return needed_s, start + left
        left -= closes - start
        end = closes
    return needed_s - left, end


def words(seconds: int) -> str:
    """For people."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds
