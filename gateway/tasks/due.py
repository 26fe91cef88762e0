"""When a task is due, by local time across daylight saving.

A local time that the clock skips is due when it jumps; one that comes twice is due the first time.
Periods of an hour or less are due in both: every quarter of an hour stays a quarter of an hour.
Days, weeks and months are counted from the one in which the task starts.
"""

from __future__ import annotations

from gateway.contract.task import DAYS, MINUTES, WEEKS
from hal.rt.calendar import date_of, days_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.task import Every
    from gateway.contract.zone import Zone

DAY = 86400
_BOTH_S = 3600  # periods up to this are due in both of two equal hours
_MONDAY = 3  # 1970-01-01 was a Thursday
MOST_MISSED = 1000


def next_due(every: Every, start: int, zone: Zone, after: int) -> int:
    """The first time after that moment, and not before `start`, at which it is due."""
    after = max(after, start - 1)
    if every.unit != MINUTES:
        return _on_a_day(every, start, zone, after)
    if every.count * 60 > _BOTH_S:
        return _in_long_steps(every.count * 60, zone, after)
    return _in_steps(every.count * 60, zone, after)


def last_due(every: Every, start: int, zone: Zone, now: int) -> int:
    """The last time that is not after now; 0: there was none."""
    days = {DAYS: 1, WEEKS: 7}.get(every.unit, 31) * (every.count + 1)
    span = every.count * 60 if every.unit == MINUTES else days * DAY
    # Where the clock was put back, there may be more between two.
    for after in (now - span, now - span - 2 * _BOTH_S):
        found, due = 0, next_due(every, start, zone, after)
        while due <= now:
            found, due = due, next_due(every, start, zone, due)
        if found:
            return found
    return 0


def missed(every: Every, start: int, zone: Zone, after: int, due: int) -> int:
    """How often it was due between the two, at most MOST_MISSED."""
    count = 0
    after = next_due(every, start, zone, after)
    while after < due and count < MOST_MISSED:
        count, after = count + 1, next_due(every, start, zone, after)
    return count


def _in_steps(step: int, zone: Zone, after: int) -> int:
    while True:
        offset = zone.offset(after)
        due = _step_after(after + offset, step) - offset
        change = zone.change_after(after)
        if not change or due < change:
            return due
        shift = zone.offset(change) - offset
        if shift > 0 and due <= change + shift:
            return change
        shown = change + offset + shift
        if shift < 0 and shown % DAY % step == 0:
            return change
        after = change


def _in_long_steps(step: int, zone: Zone, after: int) -> int:
    local = _step_after(zone.local(after), step)
    while zone.moment(local) <= after:
        local = _step_after(local, step)
    return zone.moment(local)


def _step_after(local: int, step: int) -> int:
    """Steps begin anew at midnight."""
    seconds = local % DAY
    return local - seconds + min(seconds - seconds % step + step, DAY)


def _on_a_day(every: Every, start: int, zone: Zone, after: int) -> int:
    first = zone.local(start) // DAY
    # The day before, for a clock that is put back over midnight.
    day = max(zone.local(after) // DAY - 1, first)
    while True:
        day = _day_from(every, first, day)
        due = zone.moment(day * DAY + every.at * 60)
        if due > after:
            return due
        day += 1


def _day_from(every: Every, first: int, day: int) -> int:
    """The first of the days it is due on that is not before `day`."""
    if every.unit == DAYS:
        return day + (first - day) % every.count
    if every.unit == WEEKS:
        while True:
            weeks = (day + _MONDAY) // 7 - (first + _MONDAY) // 7
            if weeks % every.count == 0 and every.day >> (day + _MONDAY) % 7 & 1:
                return day
            day += 1
    begin = _month_of(first)
    month = _month_of(day)
    month += (begin - month) % every.count
    while True:
        year, place = month // 12, month % 12
        last = days_to(year + (place + 1) // 12, (place + 1) % 12 + 1, 1) - 1
        found = min(days_to(year, place + 1, 1) + every.day - 1, last)
        if found >= day:
            return found
        month += every.count


def _month_of(day: int) -> int:
    year, month, _ = date_of(day)
    return year * 12 + month - 1
