"""When a job may begin with a meter: between two dates, or every day or on some days from one time
to another.

All times are UTC, whole seconds. At the end of a window the meter in hand is finished.
"""

from __future__ import annotations

from gateway.contract.fields import Record, field, record
from gateway.contract.rules import TIME, Rule, array_of, every, integer, otherwise, row, uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

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


def _are_rising(shifts: list[list[int]]) -> bool:
    return all(shifts[i][0] < shifts[i + 1][0] for i in range(len(shifts) - 1))


_SECOND = uint(DAY_S - 1)
_SHIFT = row(TIME, integer(-MAX_SHIFT_S, MAX_SHIFT_S))
_SHIFTS = every(array_of(_SHIFT, MAX_SHIFTS, 1), Rule("times that rise", _are_rising))


@record()
class Daily(Record):
    """From `opens` to `closes`, seconds after midnight UTC, on the `days` (bit 0 Monday .. bit 6
    Sunday) on which it opens. It closes the next day if `closes` is not after `opens`.

    `shifts`, for a zone with daylight saving: pairs of a unix time, rising, and by how many seconds
    all is later (or, negative, earlier) from then on. A time of the day that does not exist then is
    that much later, of one that comes twice the second counts.
    """

    opens: int = field(_SECOND)
    closes: int = field(_SECOND)
    days: int = field(uint(EVERY_DAY), default=EVERY_DAY)
    shifts: Sequence[Sequence[int]] = field(_SHIFTS, default=())

    def to_array(self) -> list[Any]:
        """On the line without shifts where there are none."""
        day: list[Any] = [self.opens, self.closes, self.days]
        return day + [[list(shift) for shift in self.shifts]] if self.shifts else day

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


_STEADY = row(_SECOND, _SECOND, uint(EVERY_DAY))
_SHIFTING = row(_SECOND, _SECOND, uint(EVERY_DAY, 1), _SHIFTS)
# no days: at any time
DAILY = otherwise(
    Rule(
        "[opens, closes, days] and up to %d rising shifts" % MAX_SHIFTS,
        lambda v: _STEADY.fits(v) or _SHIFTING.fits(v),
        lambda v: Daily(*v),
        lambda daily: daily.to_array(),
        size=_SHIFTING.size,
    ),
    lambda v: v[2] == 0,
    [0, 0, 0],
)


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
