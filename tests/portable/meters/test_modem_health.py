"""When a modem counts as down, and how often that is told."""

from __future__ import annotations

from gateway.meters.modem_health import DAY_MS, QUIET_MS, Health

STEP_MS = 5000


def told(ups, health=None, start=0):
    """[(ms, told_up)] of looking every STEP_MS at a modem that is up as `ups` say."""
    health = health or Health(start)
    changes = []
    for number, up in enumerate(ups):
        now = start + number * STEP_MS
        if health.look(up, now):
            changes.append((now, health.told_up))
    return changes


def test_a_modem_that_stays_up_or_stumbles_is_not_told():
    assert told([True] * 1000) == []
    assert told([True] * 10 + [False] * 5 + [True] * 100) == []


def test_down_and_back():
    changes = told([True] * 10 + [False] * 100 + [True] * 100)
    assert changes == [(50000 + QUIET_MS, False), (110 * STEP_MS + QUIET_MS, True)]


def test_down_from_the_start():
    assert told([False] * 20) == [(QUIET_MS, False)]


def test_flapping_counts_as_down_once():
    changes = told([True, False] * 1000)
    assert [up for _, up in changes] == [False]


def test_slow_flapping_is_told_ever_more_seldom():
    # Three minutes up, three minutes down, for two days.
    spell = 36
    changes = told(([True] * spell + [False] * spell) * (2 * DAY_MS // (2 * spell * STEP_MS)))
    assert 2 <= len(changes) <= 12, len(changes)


def test_a_good_day_restores_trust():
    health = Health(0)
    start = 0
    for _ in range(3):
        ups = [False] * 720 + [True] * 1440
        told(ups, health, start)
        start += len(ups) * STEP_MS
    told([True] * (DAY_MS // STEP_MS + 1), health, start)
    start += DAY_MS + 2 * STEP_MS
    assert told([False] * 13, health, start) == [(start + QUIET_MS, False)]
