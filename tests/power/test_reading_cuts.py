"""The power goes at every single write, sync, truncate and remove while readings are recorded,
sent, acknowledged and, for want of room, forgotten."""

from __future__ import annotations

import pytest

from hal.sim.storage import SURVIVALS, MemoryStorage
from tests.power.readings_scenario import Life
from tests.power.scenario import with_cuts


def operations() -> int:
    """How many calls change the medium in a life without a cut."""
    storage = MemoryStorage()
    Life().boot(storage)
    return storage.operations


def booted(storage: MemoryStorage) -> MemoryStorage:
    return storage


@pytest.mark.parametrize("survival", SURVIVALS)
def test_no_reading_is_lost_or_doubled(survival: str) -> None:
    """At every third cut point, at all of them with two of what survives."""
    count = operations()
    assert count > 80
    for cut in range(SURVIVALS.index(survival) % 3, count, 3):
        assert with_cuts(MemoryStorage(), booted, [cut], survival, Life) == 1


@pytest.mark.long
@pytest.mark.parametrize("survival", SURVIVALS)
def test_nor_at_any_cut(survival: str) -> None:
    for cut in range(operations()):
        assert with_cuts(MemoryStorage(), booted, [cut], survival, Life) == 1


@pytest.mark.parametrize("survival", SURVIVALS)
def test_nor_at_a_second_and_third_cut_soon_after(survival: str) -> None:
    happened = 0
    for cut in range(SURVIVALS.index(survival), operations(), len(SURVIVALS)):
        happened += with_cuts(MemoryStorage(), booted, [cut, cut % 7, cut % 5], survival, Life)
    assert happened > 30
