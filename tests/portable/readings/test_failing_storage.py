"""A flash that refuses any one call, whatever it says: what failed has not happened, and the same
call again does what it would have done."""

from __future__ import annotations

import asyncio

from tests.portable.failing import EIO, ENOSPC, ERRORS, FailingStorage
from tests.portable.readings.support import COLUMNS, NOW, PROFILE, World, rows_of, understood

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Step = Callable[[World], None]


def again(step: Callable[[], object]) -> None:
    """Until it does not fail; the test orders one failure."""
    try:
        step()
    except OSError:
        step()


def record(meter: int, day: int) -> Step:
    def step(world: World) -> None:
        again(lambda: world.record("M%d" % meter, rows_of(NOW + 90000 * day, 8, meter + day), 1500))

    return step


def acknowledge(world: World) -> None:
    again(lambda: world.store.acknowledge(world.store.last_number - 1))


def begin_epoch(world: World) -> None:
    again(world.store.begin_epoch)


def reopen(world: World) -> None:
    again(lambda: world.open(2))


# Segments are full, and the oldest goes, several times on the way.
STEPS = [record(i % 3, i // 3) for i in range(18)]
STEPS += [acknowledge, reopen]
STEPS += [record(i % 3, 6 + i // 3) for i in range(12)]
STEPS += [begin_epoch, acknowledge, record(0, 10), reopen, record(1, 10)]


class Small:
    readings_bytes = 32768
    free_bytes = 0


def life(storage: FailingStorage) -> World:
    world = World(storage, Small)
    for step in STEPS:
        step(world)
    return world


def test_any_one_call_may_fail() -> None:
    whole = life(FailingStorage())
    operations = whole.storage.operations
    assert operations > 80
    expected = understood(whole.sent(), False)
    series = [whole.recorder().last("M%d" % i, b"\x01\x00\x63\x01\x00\xff") for i in range(3)]
    for error in ERRORS:
        for n in range(ERRORS.index(error), operations, 2):
            storage = FailingStorage()
            storage.fail_at(n, error)
            world = life(storage)
            for _ in range(2):
                sent = world.sent()
                rows = understood(sent, False)
                assert {one: rows[one][-8:] for one in rows} == {
                    one: expected[one][-8:] for one in rows
                }, (error, n)
                numbers = [number for number, _ in sent]
                first = world.store.acknowledged + 1
                assert numbers == list(range(first, world.store.next)), (error, n)
                found = [
                    world.recorder().last("M%d" % i, b"\x01\x00\x63\x01\x00\xff") for i in range(3)
                ]
                assert found == series, (error, n)
                world.open()


def test_a_flash_that_stays_full_gives_up_old_readings_for_new_ones() -> None:
    """And what the ledger needs to be left free is left free."""

    class Little(FailingStorage):
        full = False

        def free(self) -> int:
            return 0 if self.full else 1 << 20

    storage = Little()
    world = World(storage)
    for i in range(30):
        world.record("M%d" % (i % 3), rows_of(NOW + 90000 * (i // 3), 96, i))
    Limits = type("Limits", (), {"readings_bytes": 65536, "free_bytes": 4096})
    storage.full = True
    world = World(storage, Limits)
    failed = 0
    for i in range(30, 40):
        try:
            world.record("M%d" % (i % 3), rows_of(NOW + 90000 * (i // 3), 96, i))
        except OSError as error:
            assert error.errno == 28
            failed += 1
    assert failed == 10 and world.events == ["readings-lost"]
    storage.full = False
    world.record("M1", rows_of(NOW + 90000 * 20, 96))


def test_a_series_whose_segment_went_in_need_is_known_after_a_restart() -> None:
    """There was no room to write it again before; and what was recorded meanwhile failed, too."""
    storage = FailingStorage()
    world = World(storage)
    world.record("OLD", rows_of(NOW, 4))
    last = world.recorder().last("OLD", PROFILE)
    while world.store.journal.newest() < 3 or world.store.journal.newest_size():
        world.record("M1", [], 1500)
        if world.store.journal.newest() == 3:
            break
    storage.fail_at(0, ENOSPC)
    fails(world, "M1", 1500)
    assert world.store.journal.oldest() == 2, "room was made"
    both = [world.recorder(), world.recorder()]
    for number in range(2):
        layout = both[number].layout("OLD", 7, PROFILE, 900, COLUMNS)
        both[number].rows(layout, ("OLD", "M2")[number], "t", NOW, rows_of(NOW + 9000, 2))

    async def commit_both() -> list[Any]:
        found: list[Any] = await asyncio.gather(
            *[one.commit() for one in both], return_exceptions=True
        )
        return found

    storage.fail_at(1, EIO)
    assert isinstance(asyncio.run(commit_both())[0], OSError)
    world.record("M1", [], 100)
    world.open(2)
    assert world.recorder().last("OLD", PROFILE) == last


def fails(world: World, serial: str, octets: int) -> None:
    try:
        world.record(serial, [], octets)
        raise AssertionError("written")
    except OSError:
        pass
