"""The power goes at every single operation of the storage while the data folder writes down what it
keeps beside its journals."""

from __future__ import annotations

import pytest

from hal.sim.storage import SURVIVALS, MemoryStorage
from tests.power.folder_scenario import Life
from tests.power.scenario import with_cuts


def operations() -> int:
    """How many calls change the medium in a start without a cut."""
    storage = MemoryStorage()
    Life().boot(storage)
    return storage.operations


def booted(storage: MemoryStorage) -> MemoryStorage:
    return storage


@pytest.mark.parametrize("survival", SURVIVALS)
def test_the_folder_goes_on_after_any_cut(survival: str) -> None:
    count = operations()
    assert count > 10
    for cut in range(count):
        assert with_cuts(MemoryStorage(), booted, [cut], survival, Life) == 1


@pytest.mark.parametrize("survival", SURVIVALS)
def test_and_after_a_second_and_third_soon_after(survival: str) -> None:
    happened = 0
    for cut in range(operations()):
        happened += with_cuts(MemoryStorage(), booted, [cut, cut % 7, cut % 5], survival, Life)
    assert happened > 30
