"""gateway.contract.window: when a window is open, and when it opens next."""

from __future__ import annotations

from gateway.contract.window import DAY_S, EVERY_DAY, Daily, opening

HOUR = 3600
MONDAY = 1_700_438_400  # 2023-11-20 00:00 UTC


class Job:
    def __init__(self, not_before: int, not_after: int, daily: Daily | None = None) -> None:
        self.not_before = not_before
        self.not_after = not_after
        self.daily = daily


def test_two_dates() -> None:
    assert opening(Job(0, 0), 7) == (7, 0)
    job = Job(100, 200)
    assert opening(job, 0) == (100, 200)
    assert opening(job, 150) == (150, 200)
    assert opening(job, 199) == (199, 200)
    assert opening(job, 200) is None


def test_every_night() -> None:
    job = Job(0, 0, Daily(22 * HOUR, 5 * HOUR))
    for at, start, end in [
        (0, 0, 5),
        (4, 4, 5),
        (5, 22, 29),
        (12, 22, 29),
        (22, 22, 29),
        (23, 23, 29),
        (24, 24, 29),
        (29, 46, 53),
    ]:
        found = opening(job, MONDAY + at * HOUR)
        assert found == (MONDAY + start * HOUR, MONDAY + end * HOUR), (at, found)


def test_some_days() -> None:
    """Wednesday and Sunday nights: the night belongs to the day on which it begins."""
    job = Job(0, 0, Daily(22 * HOUR, 5 * HOUR, 1 << 2 | 1 << 6))
    sunday = MONDAY - DAY_S
    assert opening(job, MONDAY + HOUR) == (MONDAY + HOUR, sunday + 29 * HOUR)
    wednesday = MONDAY + 2 * DAY_S
    assert opening(job, MONDAY + 5 * HOUR) == (wednesday + 22 * HOUR, wednesday + 29 * HOUR)
    thursday = wednesday + DAY_S
    sunday += 7 * DAY_S
    assert opening(job, thursday + 5 * HOUR) == (sunday + 22 * HOUR, sunday + 29 * HOUR)


def test_whole_days_and_one_day_a_week() -> None:
    job = Job(0, 0, Daily(0, 0, 1))
    assert opening(job, MONDAY + 5) == (MONDAY + 5, MONDAY + DAY_S)
    assert opening(job, MONDAY + DAY_S) == (MONDAY + 7 * DAY_S, MONDAY + 8 * DAY_S)


def test_between_two_dates() -> None:
    night = Daily(22 * HOUR, 5 * HOUR)
    job = Job(MONDAY + 23 * HOUR, MONDAY + 50 * HOUR, night)
    assert opening(job, 0) == (MONDAY + 23 * HOUR, MONDAY + 29 * HOUR)
    assert opening(job, MONDAY + 30 * HOUR) == (MONDAY + 46 * HOUR, MONDAY + 50 * HOUR)
    assert opening(job, MONDAY + 50 * HOUR) is None
    assert opening(Job(MONDAY + 6 * HOUR, MONDAY + 22 * HOUR, night), 0) is None
    job = Job(0, MONDAY + 30 * HOUR, night)
    assert opening(job, MONDAY + 29 * HOUR) is None  # no night is left, though time is


SPRING = MONDAY + 6 * DAY_S + HOUR  # a Sunday, 01:00 UTC


def shown(job: Job, at: int) -> tuple[float, float] | None:
    """The window in hours since that Sunday began."""
    found = opening(job, at)
    return found and ((found[0] - SPRING) / HOUR + 1, (found[1] - SPRING) / HOUR + 1)


def test_clocks_put_forward() -> None:
    """At 01:00 UTC all becomes an hour earlier: nights, what lies across, what does not exist."""
    shifts = [[SPRING, -HOUR]]
    night = Job(0, 0, Daily(21 * HOUR, 4 * HOUR, EVERY_DAY, shifts))
    assert shown(night, SPRING - 3 * HOUR) == (-2, 3)  # 7 hours of that night are 6
    assert shown(night, SPRING + 3 * HOUR) == (20, 27)
    gone = Job(0, 0, Daily(1 * HOUR, 2 * HOUR, EVERY_DAY, shifts))
    assert shown(gone, SPRING - 2 * HOUR) == (24, 25)  # 02:00-03:00 there is not on that day
    assert shown(gone, SPRING) == (24, 25)
    half = Job(0, 0, Daily(HOUR // 2, HOUR * 3 // 2, EVERY_DAY, shifts))
    assert shown(half, SPRING - 2 * HOUR) == (0.5, 1.5)


def test_clocks_put_back() -> None:
    """At 01:00 UTC all becomes an hour later."""
    shifts = [[SPRING, HOUR]]
    night = Job(0, 0, Daily(21 * HOUR, 4 * HOUR, EVERY_DAY, shifts))
    assert shown(night, SPRING - 3 * HOUR) == (-2, 5)
    assert shown(night, SPRING + 4 * HOUR) == (22, 29)
    twice = Job(0, 0, Daily(0, 1 * HOUR, EVERY_DAY, shifts))
    assert shown(twice, SPRING - 3 * HOUR) == (1, 2)  # the second of the two
    assert shown(twice, SPRING + HOUR) == (25, 26)
    always = Job(0, 0, Daily(0, 0, EVERY_DAY, shifts))
    for hour in range(-30, 60):
        found = shown(always, SPRING + hour * HOUR)
        assert found is not None and found[0] == hour + 1, hour


def test_days_and_shifts_that_come_and_go() -> None:
    """Sundays only; later by an hour for a week."""
    shifts = [[SPRING, HOUR], [SPRING + 7 * DAY_S, 0]]
    job = Job(0, 0, Daily(12 * HOUR, 13 * HOUR, 1 << 6, shifts))
    week = 7 * 24
    assert shown(job, SPRING - DAY_S) == (13, 14)
    assert shown(job, SPRING + DAY_S) == (week + 12, week + 13)
    late = Job(0, 0, Daily(23 * HOUR, 24 * HOUR - 1, 1 << 6, shifts))
    assert shown(late, SPRING) == (24, 25 - 1 / HOUR)  # by the clocks there still Sunday
