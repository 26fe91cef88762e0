"""When a task is due: every unit, both changes of the clock, and what was missed."""

from __future__ import annotations

from gateway.contract.task import DAYS, MINUTES, MONTHS, WEEKS, Every
from gateway.contract.zone import Zone
from gateway.tasks.due import MOST_MISSED, last_due, missed, next_due
from hal.rt.calendar import days_to

SPAIN = Zone("CET-1CEST,M3.5.0,M10.5.0/3")
CHILE = Zone("<-04>4<-03>,M9.1.6/24,M4.1.6/24")
LORD_HOWE = Zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
UTC = Zone("UTC0")
HOUR = 3600


def at(year, month, day, hour=0, minute=0):
    return days_to(year, month, day) * 86400 + hour * HOUR + minute * 60


def dues(every, zone, after, count, start=0):
    found = []
    for _ in range(count):
        after = next_due(every, start, zone, after)
        found.append(after)
    return found


def local(zone, moments):
    return [(zone.local(each) % 86400 // HOUR, zone.local(each) % HOUR // 60) for each in moments]


def test_minutes_begin_at_local_midnight_each_day():
    every = Every(MINUTES, 50, 0, 0)
    found = dues(every, SPAIN, SPAIN.moment(at(2026, 7, 1, 22, 55)), 4)
    assert local(SPAIN, found) == [(23, 20), (0, 0), (0, 50), (1, 40)]
    assert dues(Every(MINUTES, 1440, 0, 0), UTC, at(2026, 7, 1), 2) == [
        at(2026, 7, 2),
        at(2026, 7, 3),
    ]


def test_quarters_of_an_hour_stay_that_when_the_clock_jumps():
    quarter = Every(MINUTES, 15, 0, 0)
    for zone, before in (
        (SPAIN, at(2026, 3, 29, 0, 10)),  # an hour is skipped
        (SPAIN, at(2026, 10, 24, 23, 40)),  # an hour comes twice
        (CHILE, at(2026, 9, 6, 3, 20)),
        (CHILE, at(2026, 4, 5, 1, 20)),
        (LORD_HOWE, at(2026, 10, 3, 14, 0)),  # half an hour
        (LORD_HOWE, at(2026, 4, 4, 14, 0)),
    ):
        found = dues(quarter, zone, before, 16)
        assert [found[i + 1] - found[i] for i in range(15)] == [900] * 15
        assert found[0] - before == 900 - before % 900


def test_longer_steps_come_once_in_an_hour_that_comes_twice():
    every = Every(MINUTES, 75, 0, 0)  # 2:30 is shown twice in October
    found = dues(every, SPAIN, at(2026, 10, 24, 23, 0), 3)
    assert local(SPAIN, found) == [(1, 15), (2, 30), (3, 45)]
    assert [found[1] - found[0], found[2] - found[1]] == [75 * 60, 75 * 60 + HOUR]
    found = dues(every, SPAIN, at(2026, 3, 28, 23, 30), 3)  # and skipped in March
    assert local(SPAIN, found) == [(1, 15), (3, 0), (3, 45)]


def test_days_and_both_changes_of_the_clock():
    daily = Every(DAYS, 1, 150, 0)  # at 2:30
    found = dues(daily, SPAIN, at(2026, 3, 27, 12), 3)
    assert local(SPAIN, found) == [(2, 30), (3, 0), (2, 30)]
    assert found[1] == at(2026, 3, 29, 1)
    found = dues(daily, SPAIN, at(2026, 10, 23, 12), 3)
    assert local(SPAIN, found) == [(2, 30)] * 3
    assert [found[1] - found[0], found[2] - found[1]] == [24 * HOUR, 25 * HOUR]
    after_midnight = Every(DAYS, 1, 10, 0)
    found = dues(after_midnight, CHILE, at(2026, 9, 5, 12), 2)
    assert found == [at(2026, 9, 6, 4), at(2026, 9, 7, 3, 10)]  # Sunday begins at one
    late = Every(DAYS, 1, 23 * 60 + 30, 0)  # shown twice on the Saturday before
    found = dues(late, CHILE, at(2026, 4, 4, 12), 2)
    assert found == [at(2026, 4, 5, 2, 30), at(2026, 4, 6, 3, 30)]


def test_every_so_many_days_weeks_and_months_from_the_start_on():
    start = at(2026, 1, 7)  # a Wednesday
    assert dues(Every(DAYS, 3, 60, 0), UTC, at(2026, 1, 20), 2, start) == [
        at(2026, 1, 22, 1),
        at(2026, 1, 25, 1),
    ]
    tuesdays_and_sundays = Every(WEEKS, 2, 0, 0b1000010)
    assert dues(tuesdays_and_sundays, UTC, 0, 4, start) == [
        at(2026, 1, 11),
        at(2026, 1, 20),
        at(2026, 1, 25),
        at(2026, 2, 3),
    ]
    ends = Every(MONTHS, 1, 5, 31)
    assert dues(ends, UTC, at(2028, 1, 15), 4) == [
        at(2028, 1, 31, 0, 5),
        at(2028, 2, 29, 0, 5),
        at(2028, 3, 31, 0, 5),
        at(2028, 4, 30, 0, 5),
    ]
    quarters = Every(MONTHS, 3, 0, 1)
    assert dues(quarters, UTC, at(2026, 1, 15), 2, at(2025, 11, 5)) == [
        at(2026, 2, 1),
        at(2026, 5, 1),
    ]


def test_not_before_its_start():
    start = at(2030, 5, 6, 7, 8)
    for every in (Every(MINUTES, 1, 0, 0), Every(DAYS, 1, 428, 0), Every(MONTHS, 1, 428, 6)):
        assert next_due(every, start, UTC, 0) == start
        assert last_due(every, start, UTC, start - 1) == 0
        assert last_due(every, start, UTC, start) == start


def test_the_last_one_is_the_one_before_the_next():
    units = (
        Every(MINUTES, 1, 0, 0),
        Every(MINUTES, 50, 0, 0),
        Every(MINUTES, 700, 0, 0),
        Every(DAYS, 5, 30, 0),
        Every(WEEKS, 2, 30, 0b0100100),
        Every(MONTHS, 12, 30, 31),
    )
    for every in units:
        for zone in (SPAIN, CHILE):
            due = next_due(every, 0, zone, at(2026, 10, 24))
            for _ in range(12):
                after = next_due(every, 0, zone, due)
                assert last_due(every, 0, zone, due) == due
                assert last_due(every, 0, zone, after - 1) == due
                due = after


def test_what_was_missed_is_counted_to_a_limit():
    every = Every(MINUTES, 15, 0, 0)
    assert missed(every, 0, UTC, at(2026, 1, 1), at(2026, 1, 2)) == 95
    assert missed(every, 0, UTC, at(2026, 1, 1), at(2026, 1, 1, 0, 15)) == 0
    assert missed(every, 0, UTC, at(2026, 1, 1), at(2027, 1, 1)) == MOST_MISSED
