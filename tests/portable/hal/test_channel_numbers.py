"""The simulated channel's numbers: the same for ever, and within their bounds."""

from __future__ import annotations

from hal.sim.channel import Rng


def test_numbers_drawn():
    rng = Rng(0)
    assert [rng.draw() for _ in range(3)] == FIRST
    assert Rng(1 << 32).draw() == FIRST[0], "32 bits of the seed count"


FIRST = [4082820308, 1472615860, 862190220]


def test_between_takes_both_ends():
    rng = Rng(7)
    assert {rng.between(3, 5) for _ in range(200)} == {3, 4, 5}
    assert {rng.between(4, 4) for _ in range(9)} == {4}
    assert {rng.below(2) for _ in range(99)} == {0, 1}


def test_chances_at_the_ends():
    rng = Rng(7)
    assert not [1 for _ in range(99) if rng.chance(0.0)]
    assert len([1 for _ in range(99) if rng.chance(1.0)]) == 99
