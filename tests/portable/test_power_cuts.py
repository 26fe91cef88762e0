"""Power cuts over the whole scenario, a sample of tests/power for both runtimes."""

from __future__ import annotations

from tests.power.scenario import operations, with_cuts


def test_nothing_promised_is_lost() -> None:
    count = operations()
    assert count > 100
    for cut in range(0, count, 7):
        assert with_cuts([cut], "half") == 1
    for cut in range(3, count, 17):
        assert with_cuts([cut, cut % 9], "garbage") >= 1
