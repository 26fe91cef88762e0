"""The last known time on the flash: it only rises, survives power cuts, and is written seldom."""

from __future__ import annotations

from gateway.kept_clock import EVERY_S, LAST, MARGIN_S, KeptClock
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import SURVIVALS, MemoryStorage, PowerCut

log.set_level("error")

NOW = 1_800_000_000
DAY = 86_400


class Counted(MemoryStorage):
    writes = 0

    def replace(self, name: str, data: bytes) -> None:
        self.writes += 1
        MemoryStorage.replace(self, name, data)


def confirmed(storage: MemoryStorage, date: int = NOW) -> KeptClock:
    clock = KeptClock(ManualClock(date), storage)
    clock.confirm()
    return clock


def test_the_last_known_time_outlives_a_start_without_battery() -> None:
    storage = MemoryStorage()
    confirmed(storage)
    clock = KeptClock(ManualClock(0), storage)
    assert clock.unix_time() == 0 and clock.floor == NOW - MARGIN_S
    assert clock.bounds() == (NOW - MARGIN_S, LAST)
    clock.set_unix_time(NOW + 5)
    assert clock.bounds() == (NOW + 5, NOW + 5)


def test_a_date_below_the_floor_is_none() -> None:
    storage = MemoryStorage()
    confirmed(storage)
    for date, counts in (
        (NOW - MARGIN_S, True),
        (NOW - MARGIN_S - 1, False),
        (1_750_000_000, False),
    ):
        assert (KeptClock(ManualClock(date), storage).unix_time() != 0) == counts, date
    clock = KeptClock(ManualClock(0), storage)
    try:
        clock.set_unix_time(NOW - MARGIN_S - 1)
    except ValueError:
        pass
    else:
        raise AssertionError("the clock went below the floor")


def test_a_boards_own_date_does_not_move_the_floor_until_somebody_confirms_it() -> None:
    storage = MemoryStorage()
    clock = KeptClock(ManualClock(4_000_000_000), storage)
    clock.keep()
    assert storage.names() == [] and clock.floor == 0
    clock.guess(4_100_000_000)
    clock.keep()
    assert clock.floor == 0


def test_it_is_written_four_times_a_day_at_most_and_in_turn() -> None:
    storage = Counted()
    manual = ManualClock(NOW)
    clock = KeptClock(manual, storage)
    clock.confirm()
    assert storage.writes == 1
    for _ in range(10 * DAY // 600):
        manual.advance(600_000)
        clock.confirm()
        clock.keep()
    assert 36 <= storage.writes <= 41, storage.writes
    assert manual.unix_time() - clock.floor <= MARGIN_S + EVERY_S
    assert sorted(storage.names()) == ["time.0", "time.1"]
    assert KeptClock(ManualClock(0), storage).floor == clock.floor


def test_one_damaged_file_costs_six_hours() -> None:
    for name in ("time.0", "time.1"):
        for damage in (b"", bytes(8), b"\xff" * 9, b"\xff" * 8):
            storage = MemoryStorage()
            manual = ManualClock(NOW)
            clock = KeptClock(manual, storage)
            for _ in range(4):
                clock.confirm()
                manual.advance(EVERY_S * 1000)
            before = clock.floor
            storage.replace(name, damage)
            again = KeptClock(ManualClock(0), storage)
            assert before - EVERY_S <= again.floor <= before, (name, damage)
            again.set_unix_time(manual.unix_time())
            again.confirm()
            again = KeptClock(ManualClock(0), storage)
            assert again.floor >= before, (name, damage)


def test_it_never_goes_back_whenever_the_power_fails() -> None:
    for survival in SURVIVALS:
        for cut in range(5):
            storage = MemoryStorage()
            manual = ManualClock(NOW)
            clock = KeptClock(manual, storage)
            storage.arm(cut, survival)
            before = reached = 0
            try:
                for _ in range(4):
                    reached = before
                    clock.confirm()
                    before = clock.floor
                    manual.advance(EVERY_S * 1000)
            except PowerCut:
                assert cut < 4
            else:
                assert cut == 4
                reached = before
            floor = KeptClock(ManualClock(0), storage.after_cut()).floor
            assert floor >= reached, (survival, cut)


def test_a_flash_that_fails_harms_nothing() -> None:
    class Full(MemoryStorage):
        def replace(self, name: str, data: bytes) -> None:
            raise OSError(28, "no space")

    clock = confirmed(Full())
    assert clock.unix_time() == NOW and clock.floor == NOW - MARGIN_S


def test_only_lower_brings_it_back_and_both_files_know() -> None:
    storage = MemoryStorage()
    clock = confirmed(storage, 4_000_000_000)
    clock.lower(NOW)
    clock.set_unix_time(NOW)
    for name in ("time.0", "time.1"):
        copy = MemoryStorage()
        copy.replace(name, storage.read(name))
        assert KeptClock(ManualClock(0), copy).floor == NOW - MARGIN_S
    clock.lower(NOW + DAY)  # not lower
    assert clock.floor == NOW - MARGIN_S


def test_a_guess_is_for_people_only() -> None:
    storage = MemoryStorage()
    confirmed(storage)
    manual = ManualClock(0)
    clock = KeptClock(manual, storage)
    clock.guess(NOW - DAY)
    assert clock.doubtful_time() == 0
    clock.guess(NOW + 9)
    manual.advance(2000)
    assert (clock.doubtful_time(), clock.unix_time()) == (NOW + 11, 0)
    assert clock.bounds() == (NOW - MARGIN_S, LAST)
    clock.set_unix_time(NOW + 50)
    assert clock.doubtful_time() == clock.unix_time() == NOW + 50
