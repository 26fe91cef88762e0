"""How often something may happen, to the millisecond; and what is said of a refusal."""

from __future__ import annotations

from gateway.jobs.rate import MAX_NAMES, Rate
from gateway.jobs.routine import REFUSALS_A_MINUTE, REFUSALS_AT_ONCE
from hal.sim.clock import ManualClock
from tests.portable.jobs.test_ledger import World


def count(rate, name, most=1000):
    """How often it may happen now."""
    for number in range(most):
        if not rate.allows(name):
            return number
    return most


def test_a_few_at_once_and_so_many_a_minute():
    clock = ManualClock()
    rate = Rate(clock, 5, 2)
    assert count(rate, "a") == 5
    clock.advance(29_999)
    assert count(rate, "a") == 0
    clock.advance(1)
    assert count(rate, "a") == 1
    clock.advance(60_000)
    assert count(rate, "a") == 2
    clock.advance(3_600_000)
    assert count(rate, "a") == 5, "never more than at first"


def test_each_name_by_itself_and_twice_as_many_in_all():
    clock = ManualClock()
    rate = Rate(clock, 5, 2)
    assert [count(rate, name) for name in ("a", "b", "c")] == [5, 5, 0]
    clock.advance(15_000)
    assert [count(rate, name) for name in ("c", "d")] == [1, 0], "four a minute in all"
    clock.advance(30_000)
    assert [count(rate, name) for name in ("a", "b", "c")] == [1, 1, 0]


def test_what_is_refused_by_all_costs_a_name_nothing():
    clock = ManualClock()
    rate = Rate(clock, 2, 1)
    assert [count(rate, name) for name in ("a", "b")] == [2, 2]
    assert not rate.allows("c")
    clock.advance(60_000)  # two in all
    assert [count(rate, name) for name in ("c", "a")] == [2, 0]


def test_names_beyond_those_kept_share_one_allowance():
    clock = ManualClock()
    rate = Rate(clock, 1, 1)
    for number in range(MAX_NAMES):
        clock.advance(600_000)
        assert rate.allows("name %d" % number)
    clock.advance(600_000)
    assert rate.allows("another") and not rate.allows("yet another")
    assert rate.allows("name 0")
    assert MAX_NAMES == 16


def test_whether_a_refusal_is_reported_or_only_counted():
    world = World()
    assert (REFUSALS_AT_ONCE, REFUSALS_A_MINUTE) == (64, 6)

    def refused():
        return world.ledger.refused("job", bytes(32), None, "malformed", "noise")

    assert [refused() for _ in range(66)] == [True] * 64 + [False] * 2
    assert len(world.ledger.reports(0, 999)) == 64
    world.clock.advance(60_000)
    assert [refused() for _ in range(7)] == [True] * 6 + [False]
    assert len(world.ledger.reports(0, 999)) == 70
