"""What meters have taken is remembered over a restart, without wearing the flash out."""

from __future__ import annotations

from gateway.contract.kinds import CONFIGURE, READ
from gateway.jobs.forecast import FILE, Durations
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage


class CountingStorage(MemoryStorage):
    """Counts how often the file is written; refuses while `full`."""

    writes = 0
    full = False

    def replace(self, name: str, data: bytes) -> None:
        if self.full:
            raise OSError(28, "full")
        self.writes += 1
        MemoryStorage.replace(self, name, data)


def world() -> tuple[ManualClock, CountingStorage, Durations]:
    clock, storage = ManualClock(1_790_000_000), CountingStorage()
    return clock, storage, Durations(clock, storage)


def test_a_restart_keeps_them() -> None:
    clock, storage, durations = world()
    assert durations.of(READ) is None
    durations.note(READ, 800, 1)
    assert storage.writes == 1
    clock.advance(600_000)
    durations.note(CONFIGURE, 6000, 2)
    again = Durations(clock, storage)
    assert (again.of(READ), again.of(CONFIGURE)) == (800, 3000)
    assert Durations(clock).of(READ) is None


def test_few_writes() -> None:
    clock, storage, durations = world()
    for _ in range(2000):  # for a day and a half, all over the place
        for duration in (500, 4000, 900, 2500):
            durations.note(READ, duration, 1)
        clock.advance(60_000)
    assert storage.writes <= 200
    before = storage.writes
    for _ in range(2000):  # much the same as before
        durations.note(READ, durations.of(READ) or 0, 1)
        clock.advance(60_000)
    assert storage.writes <= before + 1


def test_a_full_flash_costs_the_memory_only() -> None:
    clock, storage, durations = world()
    storage.full = True
    durations.note(READ, 800, 1)
    assert durations.of(READ) == 800
    storage.full = False
    durations.note(READ, 800, 1)
    assert storage.writes == 0  # not at once again
    clock.advance(600_000)
    durations.note(READ, 800, 1)
    assert Durations(clock, storage).of(READ) == 800


def test_a_file_that_says_something_else() -> None:
    clock, storage, _ = world()
    for content in (
        b"",
        b"\xff",
        b"7",
        b"[7]",
        b'{"2": 800}',
        b"[[2]]",
        b"[[2, 800, 1]]",
        b'[["2", 800]]',
        b"[[[], 800]]",
        b'[[2, "800"]]',
        b"[[2, -1]]",
        b"[[2, 99999999999999999999]]",
        b"[[9, 800]]",
        b"[" * 1024,
    ):
        storage.replace(FILE, content)
        assert Durations(clock, storage).of(READ) is None, content
    storage.replace(FILE, b"[[9, 800], [2, 700]]")
    assert Durations(clock, storage).of(READ) == 700
