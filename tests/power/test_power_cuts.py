"""The power goes at every single write, sync, truncate, rename and remove of a whole scenario."""

from __future__ import annotations

import pytest

from hal.sim.storage import SURVIVALS, MemoryStorage
from tests.power.scenario import Life, with_cuts


def operations() -> int:
    """How many calls change the medium in a life without a cut."""
    storage = MemoryStorage()
    Life().boot(storage)
    return storage.operations


def booted(storage: MemoryStorage) -> MemoryStorage:
    return storage


@pytest.mark.parametrize("survival", SURVIVALS)
def test_nothing_promised_is_lost_at_any_cut(
    survival: str, capsys: pytest.CaptureFixture[str]
) -> None:
    count = operations()
    assert count > 100
    for cut in range(count):
        assert with_cuts(MemoryStorage(), booted, [cut], survival) == 1
    with capsys.disabled():
        print("\n%d cut points survived, unsynced bytes: %s" % (count, survival))


@pytest.mark.parametrize("survival", SURVIVALS)
def test_nor_at_a_second_and_third_cut_soon_after(survival: str) -> None:
    happened = 0
    for cut in range(operations()):
        happened += with_cuts(MemoryStorage(), booted, [cut, cut % 7, cut % 5], survival)
    assert happened > 200
