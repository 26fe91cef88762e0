"""When a job may begin with a meter: between two dates, or every day or on some days from one time
to another.

All times are UTC, whole seconds. At the end of a window the meter in hand is finished.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Windowed(Protocol):
        """Such as a Job."""

        not_before: int
        not_after: int
        daily: Daily | None


DAY_S = 86400
EVERY_DAY = 0x7F
_MONDAY = 3  # 1970-01-05 was one; 1970-01-01 a Thursday
_LOOK_DAYS = 9  # an opening of two days before may still last, and the same weekday comes again
MAX_SHIFTS = 8
MAX_SHIFT_S = 10_800


class Daily:
    """From `opens` to `closes`, seconds after midnight UTC, on the `days` (bit 0 Monday .. bit 6
    Sunday) on which it opens. It closes the next day if `closes` is not after `opens`.

    `shifts`, for a zone with daylight saving: pairs of a unix time, rising, and by how many seconds
    all is later (or, negative, earlier) from then on. A time of the day that does not exist then is
    that much later, of one that comes twice the second counts.
    """

    __slots__ = ("closes", "days", "opens", "shifts")

    def __init__(
        self,
        opens: int,
        closes: int,
        days: int = EVERY_DAY,
        shifts: Sequence[Sequence[int]] = (),
    ) -> None:
        self.opens = opens
        self.closes = closes
        self.days = days
        self.shifts = shifts

    def on(self, day: int) -> tuple[int, int]:
        """(from, to), unix times, of the opening on the day of this number since 1970, which may be
        empty.
        """
        opens = day * DAY_S + self.opens
        length = (self.closes - self.opens) % DAY_S or DAY_S
        return self._shifted(opens), self._shifted(opens + length)

    def _shifted(self, moment: int) -> int:
        shifted = moment
        for since, seconds in self.shifts:
            if moment + seconds >= since:
                shifted = moment + seconds
        return shifted


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
    for day in range(today - 2, today + _LOOK_DAYS):
        start, end = daily.on(day)
        if daily.days >> (day + _MONDAY) % 7 & 1 and max(start, now) < end:
            start = max(start, now)
            if not job.not_after:
                return start, end
            return (start, min(end, job.not_after)) if start < job.not_after else None
    return None
