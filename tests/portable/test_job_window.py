"""gateway.jobs.window: when a window is open, and when it opens next."""

from __future__ import annotations

from gateway.jobs.window import DAY_S, Daily, opening

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
