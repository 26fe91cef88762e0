"""When a job may begin with a meter: between two dates, or every day or on some days from one time
to another.

All times are UTC, whole seconds. At the end of a window the meter in hand is finished.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Windowed(Protocol):
        """Such as a Job."""

        not_before: int
        not_after: int
        daily: Daily | None


DAY_S = 86400
EVERY_DAY = 0x7F
_MONDAY = 3  # 1970-01-05 was one; 1970-01-01 a Thursday
_LOOK_DAYS = 9  # an opening of the day before may still last, and the same weekday comes again


class Daily:
    """From `opens` to `closes`, seconds after midnight UTC, on the `days` (bit 0 Monday .. bit 6
    Sunday) on which it opens. It closes the next day if `closes` is not after `opens`.
    """

    __slots__ = ("closes", "days", "opens")

    def __init__(self, opens: int, closes: int, days: int = EVERY_DAY) -> None:
        self.opens = opens
        self.closes = closes
        self.days = days

    def length(self) -> int:
        return (self.closes - self.opens) % DAY_S or DAY_S


def opening(job: Windowed, now: int) -> tuple[int, int] | None:
    """(from, to) of the window that is open at unix time `now`, then `from` is `now`, or of the
    next one. `to` 0: it stays open. None: it opens no more.
    """
    now = max(now, job.not_before)
    if job.not_after and now >= job.not_after:
        return None
    daily = job.daily
    if daily is None:
        return now, job.not_after
    today = now // DAY_S
    for day in range(today - 1, today + _LOOK_DAYS):
        start = day * DAY_S + daily.opens
        end = start + daily.length()
        if daily.days >> (day + _MONDAY) % 7 & 1 and now < end:
            start = max(start, now)
            if not job.not_after:
                return start, end
            return (start, min(end, job.not_after)) if start < job.not_after else None
    return None
