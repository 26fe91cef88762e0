"""Power cuts over the whole scenario, a sample of tests/power for both runtimes."""

from __future__ import annotations

from hal.sim.storage import MemoryStorage
from tests.power.scenario import Life, with_cuts


def booted(storage: MemoryStorage) -> MemoryStorage:
    return storage


def test_nothing_promised_is_lost() -> None:
    storage = MemoryStorage()
    Life().boot(storage)
    count = storage.operations
    assert count > 100
    for cut in range(0, count, 7):
        assert with_cuts(MemoryStorage(), booted, [cut], "half") == 1
    for cut in range(3, count, 17):
        assert with_cuts(MemoryStorage(), booted, [cut, cut % 9], "garbage") >= 1
