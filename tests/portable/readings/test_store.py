"""Readings on the flash: what was committed is there after a restart and goes to the HES once, in
order; what is lost is named; how far each series is survives the segments it was read in."""

from __future__ import annotations

import asyncio

from gateway.contract import block
from gateway.contract.reading_record import Gap, Kept, Layout, Lost, Rows
from gateway.readings.series import key_of
from hal.sim.storage import MemoryStorage
from tests.portable.readings.support import (
    COLUMNS,
    DAILY,
    NOW,
    PROFILE,
    Limits,
    World,
    rows_of,
    understood,
)


def test_what_was_recorded_is_sent_after_a_restart_too() -> None:
    world = World(MemoryStorage())
    expected = {}
    for i in range(5):
        expected["M%d" % i] = rows_of(NOW, 20 + i)
        world.record("M%d" % i, expected["M%d" % i])
    epoch = world.store.epoch
    assert epoch and world.store.next == 7, "a layout and five records"
    assert understood(world.sent()) == expected
    world.open(2)
    assert (world.store.epoch, world.store.next) == (epoch, 7)
    assert understood(world.sent()) == expected


def test_nothing_is_on_the_flash_before_something_is_read() -> None:
    world = World(MemoryStorage())
    assert world.store.epoch == 0 and world.storage.names() == []
    world.store.begin_epoch()
    world.store.acknowledge(5)
    assert world.storage.names() == []
    assert world.store.records(0, 4096) == ([], 0)


def test_the_series_go_on_where_they_were() -> None:
    world = World(MemoryStorage())
    rows = rows_of(NOW, 96)
    world.record("M1", rows)
    world.record("M2", rows_of(NOW, 10), obis=DAILY)
    for _ in range(2):
        recorder = world.recorder()
        last, digest = recorder.last("M1", PROFILE)
        assert last == rows[-1][0] and digest == recorder.digest(b"", rows[-1])
        assert recorder.last("M1", DAILY) == (0, b"")
        assert recorder.last("M2", DAILY)[0] == NOW + 900 * 9
        days = [recorder.complete("M1", PROFILE, NOW // 86400 + i) for i in range(-1, 3)]
        today = (86400 - NOW % 86400 + 899) // 900
        assert days == [0, today, 96 - today, 0]
        world.open()


def test_rows_that_are_here_are_left_out_by_time_and_content() -> None:
    world = World(MemoryStorage())
    world.record("M1", [[NOW, 1, 0], [NOW + 5, 2, 0], [NOW + 5, 3, 0]])
    world.record("M1", [[NOW + 5, 2, 0], [NOW + 5, 3, 0]])
    assert world.store.next == 3, "nothing new"
    world.record("M1", [[NOW + 5, 2, 0], [NOW + 5, 3, 0], [NOW + 5, 4, 0], [NOW + 9, 5, 0]])
    world.record("M1", [[NOW + 5, 2, 0], [NOW + 5, 3, 0], [NOW + 5, 4, 0], [NOW + 9, 5, 0]][3:])
    assert [row[1] for row in understood(world.sent())["M1"]] == [1, 2, 3, 4, 5]
    world.record("M1", [[NOW + 9, 6, 32]])
    recorder = world.recorder()
    both = recorder.digest(recorder.digest(b"", [NOW + 9, 5, 0]), [NOW + 9, 6, 0])
    assert recorder.last("M1", PROFILE) == (NOW + 9, both)


def test_older_rows_read_again_do_not_set_a_series_back_but_a_clock_does() -> None:
    world = World(MemoryStorage())
    world.record("M1", rows_of(NOW, 4))
    world.record("M1", rows_of(NOW - 9000, 4))
    assert world.recorder().last("M1", PROFILE)[0] == NOW + 2700
    world.record("M1", [[NOW - 100, 5, 8], [NOW + 800, 5, 0]])
    assert world.recorder().last("M1", PROFILE)[0] == NOW + 800


def test_large_readings_travel_in_parts_that_fit_a_message() -> None:
    world = World(MemoryStorage())
    noise = [[NOW + 900 * i, i * 7919 * 104729 % (1 << 32), 0] for i in range(3000)]
    world.record("M1", noise)
    assert understood(world.sent())["M1"] == noise
    after, messages = 0, 0
    while after < world.store.last_number:
        records, after = world.store.records(after, 4096)
        assert sum([len(one) for one in records]) <= 4096
        messages += 1
    assert messages >= 3


def test_acknowledged_ones_are_not_sent_again() -> None:
    world = World(MemoryStorage())
    for i in range(4):
        world.record("M%d" % i, rows_of(NOW, 3))
    world.store.acknowledge(3)
    world.open()
    assert world.store.first == 4
    assert [number for number, _ in world.sent()] == [4, 5]
    world.store.acknowledge(99)
    assert world.store.acknowledged == 5 and world.sent() == []


def test_the_oldest_that_the_hes_has_go_first_and_the_series_stay() -> None:
    world = World(MemoryStorage())
    world.record("OLD", rows_of(NOW, 4))
    last = world.recorder().last("OLD", PROFILE)
    for i in range(400):
        world.record("M%d" % (i % 7), rows_of(NOW + 90000 * (i // 7), 100, i))
        world.store.acknowledge(world.store.last_number)
        assert world.store.size() <= Limits.readings_bytes
    assert world.events == []
    assert world.storage.names()[0] > "readings.00000005", "segments have gone"
    for _ in range(2):
        assert world.recorder().last("OLD", PROFILE) == last, "read long ago, and known"
        assert world.recorder().last("M3", PROFILE)[0]
        assert world.store.first == world.store.next == world.store.last_number + 1
        world.open()


def test_what_has_to_go_unsent_is_named_and_told_once() -> None:
    world = World(MemoryStorage())
    for i in range(400):
        world.record("M%d" % (i % 7), rows_of(NOW + 90000 * (i // 7), 100, i))
    assert world.events == ["readings-lost"]
    for _ in range(2):
        sent = world.sent()
        first, lost = sent[0]
        assert isinstance(lost, Lost) and lost.reason == "no-room" and lost.last == first
        assert isinstance(sent[1][1], Layout), "each segment can be understood alone"
        assert [number for number, _ in sent[1:]] == list(range(first + 1, sent[-1][0] + 1))
        understood(sent[1:])
        world.open()


def test_what_is_kept_to_be_asked_for_is_not_sent() -> None:
    world = World(MemoryStorage())
    world.record("M1", rows_of(NOW, 3))
    world.record("M2", rows_of(NOW, 3), asked=True)
    world.record("M3", rows_of(NOW, 3), asked=True)
    world.record("M4", rows_of(NOW, 3))
    world.record("M5", rows_of(NOW, 3), asked=True)
    kinds = [(number, type(record)) for number, record in world.sent()]
    assert kinds == [(1, Layout), (2, Rows), (4, Kept), (5, Rows), (6, Kept)]
    assert [one.serial for one in world.store.stored(key_of("M3", PROFILE))] == ["M3"]


def test_a_layout_that_came_with_what_is_kept_goes_up_all_the_same() -> None:
    world = World(MemoryStorage())
    world.record("M1", rows_of(NOW, 3), asked=True)
    world.record("M2", rows_of(NOW, 3))
    kinds = [type(record) for _, record in world.sent()]
    assert kinds == [Layout, Kept, Rows]


def test_what_waits_for_a_window_goes_with_its_release() -> None:
    world = World(MemoryStorage())
    recorder = world.recorder(wait=True)
    layout = recorder.layout("M1", 7, PROFILE, 900, [(8, PROFILE, 2, 0, 25, None, None)])
    recorder.rows(layout, "M1", "t", NOW, [[NOW, 0]])
    asyncio.run(recorder.commit())
    assert world.sent() == [] and world.store.last_number == 2
    world.store.release()
    assert len(world.sent()) == 2


def test_what_the_hes_has_for_days_goes() -> None:
    world = World(MemoryStorage())
    world.store.keep_days = 2
    for day in range(10):
        for i in range(40):
            world.record("M%d" % i, rows_of(NOW + 86400 * day, 96, i))
        if day < 8:
            world.store.acknowledge(world.store.last_number)
        world.clock.advance(86_400_000)
    assert world.events == []
    assert len(world.storage.names()) < 11, "there would be room for 14"


def test_values_and_gaps_and_what_is_too_large() -> None:
    world = World(MemoryStorage())
    recorder = world.recorder()
    recorder.values("M1", "now", NOW, [(3, PROFILE, 2, bytes(1500), 0, 30)] * 5)
    recorder.gap("M1", 7, PROFILE, NOW, NOW + 900, "overwritten")
    try:
        recorder.values("M1", "now", NOW, [(3, PROFILE, 2, bytes(8192), 0, 30)])
        raise AssertionError("taken")
    except ValueError:
        pass
    asyncio.run(recorder.commit())
    assert [len(getattr(one, "values", [])) for _, one in world.sent()] == [2, 2, 1, 0]


def test_another_epoch_for_a_folder_that_was_put_back() -> None:
    world = World(MemoryStorage())
    world.record("M1", rows_of(NOW, 3))
    epoch = world.store.epoch
    world.open(2)
    world.store.begin_epoch()
    assert world.store.epoch != epoch and world.store.next == 3
    epoch = world.store.epoch
    world.store.begin_epoch()
    world.record("M1", rows_of(NOW + 9000, 3))
    world.open(3)
    assert world.store.epoch == epoch
    assert len(understood(world.sent())["M1"]) == 6


def test_damage_is_named_and_no_number_is_given_twice() -> None:
    world = World(MemoryStorage())
    for i in range(80):
        world.record("M%d" % i, rows_of(NOW, 50, i))
    before = world.store.last_number
    name = world.storage.names()[1]
    raw = bytearray(world.storage.read(name))
    raw[1000] ^= 1
    world.storage.replace(name, bytes(raw))
    world.open()
    assert world.events == ["readings-cut"] and world.store.next > before + 1000
    sent = world.sent()
    lost = [record for _, record in sent if isinstance(record, Lost)]
    assert [one.reason for one in lost] == ["damage", "damage"]
    assert sent[-1][0] == world.store.last_number
    world.record("M1", rows_of(NOW + 90000, 2))
    world.open()
    assert world.sent()[-1][0] == world.store.last_number
    understood([one for one in world.sent() if not isinstance(one[1], Lost)])


def test_rows_that_come_in_batches_are_one_record() -> None:
    world = World(MemoryStorage())
    rows = rows_of(NOW, 96)
    recorder = world.recorder()
    layout = recorder.layout("M1", 7, PROFILE, 900, COLUMNS)
    for start in range(0, 96, 40):
        recorder.rows(layout, "M1", "daily", NOW, rows[start : start + 40])
        recorder.gap("M1", 7, PROFILE, NOW, NOW + 1, "overwritten")
        assert recorder.last("M1", PROFILE)[0] == rows[min(start + 40, 96) - 1][0]
    daily = recorder.layout("M1", 7, DAILY, 0, COLUMNS)
    recorder.rows(daily, "M1", "daily", NOW, rows[:1])
    recorder.rows(layout, "M2", "daily", NOW, rows[:3])
    recorder.rows(layout, "M2", "daily", NOW, [])
    asyncio.run(recorder.commit())
    found = [record for _, record in world.sent() if isinstance(record, Rows)]
    assert [len(block.decode(one.block)) for one in found] == [96, 1, 3]
    last = world.recorder().last("M1", PROFILE)
    assert last == (rows[-1][0], recorder.digest(b"", rows[-1]))


def test_a_row_that_no_record_has_room_for_is_a_gap() -> None:
    world = World(MemoryStorage())
    recorder = world.recorder()
    layout = recorder.layout("M1", 7, PROFILE, 900, COLUMNS)
    rows = [[NOW, 1, 0], [NOW + 1, bytes(9000), 0], [NOW + 2, 2, 0]]
    recorder.rows(layout, "M1", "daily", NOW, rows)
    asyncio.run(recorder.commit())
    records = [record for _, record in world.sent()]
    (gap,) = [one for one in records if isinstance(one, Gap)]
    assert (gap.start, gap.end, gap.reason) == (NOW + 1, NOW + 1, "rows-malformed")
    found = [block.decode(one.block) for one in records if isinstance(one, Rows)]
    assert found == [[rows[0]], [rows[2]]]
    assert world.recorder().last("M1", PROFILE)[0] == NOW + 2


def test_many_share_one_sync() -> None:
    world = World(MemoryStorage())

    async def visit(i: int) -> None:
        recorder = world.recorder()
        layout = recorder.layout("M%d" % i, 7, PROFILE, 900, [(8, PROFILE, 2, 0, 25, None, None)])
        recorder.rows(layout, "M%d" % i, "t", NOW, [[NOW, 0]])
        await recorder.commit()

    async def all_of_them() -> None:
        await asyncio.gather(*[visit(i) for i in range(10)])

    before = world.storage.operations
    asyncio.run(all_of_them())
    assert len(world.sent()) == 11
    assert world.storage.operations - before <= 4, "a file, a write, a sync"
