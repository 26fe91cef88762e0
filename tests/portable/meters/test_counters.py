"""Invocation counters: none twice, whatever happens to the power."""

from __future__ import annotations

from gateway.contract.limits import MAX_COUNTER
from gateway.meters.counters import (
    BLOCK,
    DAY_S,
    FIRST,
    LAST,
    LOST,
    MAX_JUMP,
    SKIP,
    CounterError,
    Counters,
)
from hal.sim.storage import EACCES, EIO, ENOSPC, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises, random_bytes

A, B = "AMI0000000001", "AMI0000000002"
NOW = 1_700_000_000
KEY, NEXT_KEY, THIRD_KEY = bytes(16), bytes(15) + b"\1", bytes(15) + b"\2"


def test_each_meter_counts_for_itself():
    counters = Counters(MemoryStorage(), bytes)
    assert [counters.next(A) for _ in range(3)] == [1, 2, 3]
    assert counters.next(B) == 1
    assert counters.next(A) == 4


def test_a_restart_never_repeats():
    storage = MemoryStorage()
    used = []
    for run in range(5):
        counters = Counters(storage, bytes)
        for _ in range(run * BLOCK // 2 + 1):
            used.append(counters.next(A))
    assert used == sorted(used) and len(set(used)) == len(used)
    assert used[-1] < len(used) + 6 * BLOCK


def test_few_writes():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    before = storage.syncs
    for _ in range(4 * BLOCK):
        counters.next(A)
    assert storage.syncs - before == 4


def test_no_number_twice_over_power_cuts():
    for survival in SURVIVALS:
        storage = MemoryStorage()
        used = []
        for cut in range(6):
            try:
                storage.arm(cut, survival)
                counters = Counters(storage, bytes)
                for _ in range(3 * BLOCK):
                    used.append(counters.next(A))
            except PowerCut:
                storage = storage.after_cut()
        assert used == sorted(used) and len(set(used)) == len(used), survival
        assert len(used) > 0


def test_raise_to():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    counters.next(A)
    counters.raise_to(A, 5000, NOW)
    assert counters.next(A) == 5000
    counters.raise_to(A, 10, NOW)
    assert counters.next(A) == 5001
    assert Counters(storage, bytes).next(A) == 5000 + BLOCK


def test_a_forged_demand_does_not_use_up_the_numbers():
    counters = Counters(MemoryStorage(), bytes)
    error = raises(CounterError, counters.raise_to, A, LAST, NOW)
    assert A in str(error)
    raises(CounterError, counters.raise_to, A, MAX_JUMP + 2, NOW)
    assert counters.next(A) == 1


def demand_all_day(counters, meter, now, times=300):
    """Forged demands, each as high as was ever believed, and ever lower."""
    for shift in range(times):
        try:
            counters.raise_to(meter, counters.next(meter) + (MAX_JUMP >> shift % 21), now)
        except CounterError:
            pass


def test_forged_demands_cost_one_jump_a_day_however_many_and_over_restarts():
    storage = MemoryStorage()
    first = 1
    for day in range(4):
        for start in range(3):
            counters = Counters(storage, bytes)
            counters.begin_at(A, KEY, 0)
            demand_all_day(counters, A, NOW + day * DAY_S + start * DAY_S // 4)
            counters.next(A)
        number = counters.next(A)
        # what the meter has asked for, and what our own three starts and 900 numbers cost
        assert MAX_JUMP - BLOCK <= number - first <= MAX_JUMP + 900 + 4 * BLOCK
        first = number


def test_an_unset_or_wrong_clock_gives_no_more_jumps():
    counters = Counters(MemoryStorage(), bytes)
    counters.raise_to(A, MAX_JUMP, NOW)
    for now in (NOW + 1, 0, NOW - 7200, NOW + DAY_S - 1):
        raises(CounterError, counters.raise_to, A, MAX_JUMP + 10, now)
    counters.raise_to(A, 2 * MAX_JUMP, NOW + DAY_S)
    # A clock that was years ahead is no reason to wait for years.
    counters.raise_to(A, 3 * MAX_JUMP, NOW - 400 * DAY_S)
    raises(CounterError, counters.raise_to, A, 4 * MAX_JUMP, NOW - 400 * DAY_S)


def test_a_new_key_goes_on_where_the_old_one_was():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    for key in (KEY, NEXT_KEY, KEY):
        counters.begin_at(A, key, 0)
        counters.next(A)
    assert counters.next(A) == 4
    counters.begin_at(A, NEXT_KEY, 1000)
    assert counters.next(A) == 1000


def test_a_key_that_is_used_up_is_replaced_by_one_that_begins_anew():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    counters.begin_at(A, KEY, MAX_COUNTER)
    counters.raise_to(A, MAX_COUNTER + MAX_JUMP, NOW)
    counters.next(A)
    counters = Counters(storage, bytes)
    counters.begin_at(A, NEXT_KEY, 0)
    used = [counters.next(A) for _ in range(2 * BLOCK)]
    assert used == list(range(1, 2 * BLOCK + 1))
    counters = Counters(storage, bytes)
    counters.begin_at(A, NEXT_KEY, 0)
    assert counters.next(A) == 2 * BLOCK + 1
    counters.raise_to(A, MAX_JUMP, NOW)  # what was asked for the old key does not count
    # The old one never comes again: its numbers are gone.
    for _ in range(2):
        error = raises(CounterError, counters.begin_at, A, KEY, 0)
        assert "used up" in str(error) and "new keys" in str(error)
        assert counters.next(A) >= MAX_JUMP
        counters = Counters(storage, bytes)
    counters.begin_at(A, THIRD_KEY, 0)
    assert counters.next(A) > MAX_JUMP


def test_no_number_twice_under_a_key_over_power_cuts_while_keys_change():
    for survival in SURVIVALS:
        for cut in range(14):
            storage = MemoryStorage()
            used = {KEY: [], NEXT_KEY: []}
            try:
                storage.arm(cut, survival)
                use_two_keys(Counters(storage, bytes), used)
            except PowerCut:
                pass
            storage = storage.after_cut()
            for _ in range(2):
                use_two_keys(Counters(storage, bytes), used)
            for numbers in used.values():
                assert len(set(numbers)) == len(numbers), (survival, cut)
            assert max(used[NEXT_KEY]) < 4 * SKIP


def use_two_keys(counters, used):
    try:
        counters.begin_at(A, KEY, MAX_COUNTER)
        used[KEY] += [counters.next(A), counters.next(A)]
    except CounterError:
        pass  # replaced already
    counters.begin_at(A, NEXT_KEY, 0)
    for _ in range(BLOCK + 2):
        used[NEXT_KEY].append(counters.next(A))


def test_damage_and_a_rewrite_leave_a_new_key_behind_what_it_has_used():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    counters.begin_at(A, KEY, MAX_COUNTER)
    counters.next(A)
    counters.begin_at(A, NEXT_KEY, 0)
    used = [counters.next(A) for _ in range(3 * BLOCK)]
    name = next(n for n in storage.names() if n.startswith("counters."))
    whole = storage.read(name)
    for size in range(len(whole) - 80, len(whole)):
        content = bytearray(whole)
        content[size] ^= 1
        storage.replace(name, bytes(content))
        counters = Counters(storage, bytes)
        counters.begin_at(A, NEXT_KEY, 0)
        assert counters.next(A) not in used
        for other in storage.names():
            if other != name:
                storage.remove(other)


def test_a_rewrite_keeps_keys_and_what_was_asked_for():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    counters.begin_at(A, KEY, MAX_COUNTER)
    counters.next(A)
    counters.begin_at(A, NEXT_KEY, 0)
    counters.raise_to(A, MAX_JUMP, NOW)
    counters.next(A)
    counters.begin_at(B, KEY, 0)
    for turn in range(6000):
        counters.begin_at(B, KEY, (turn + 1) * BLOCK * 2)
        counters.next(B)
    counters = Counters(storage, bytes)
    raises(CounterError, counters.begin_at, A, KEY, 0)
    raises(CounterError, counters.raise_to, A, 2 * MAX_JUMP, NOW + 3600)
    counters.begin_at(A, NEXT_KEY, 0)
    assert MAX_JUMP < counters.next(A) < MAX_JUMP + 2 * BLOCK


def all_but_one_used(counters):
    number, now = MAX_COUNTER, NOW
    counters.begin_at(A, KEY, number)
    while LAST - number > MAX_JUMP:
        number += MAX_JUMP
        now += DAY_S
        counters.raise_to(A, number, now)
    counters.raise_to(A, LAST, now + DAY_S)


def test_the_end_of_the_numbers():
    counters = Counters(MemoryStorage(), bytes)
    all_but_one_used(counters)
    assert counters.next(A) == LAST
    raises(CounterError, counters.next, A)
    assert counters.next(B) == 1


def test_the_end_survives_a_restart():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    all_but_one_used(counters)
    counters.next(A)
    raises(CounterError, Counters(storage, bytes).next, A)


def test_damage_skips_ahead_for_all_meters():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    for _ in range(10 * BLOCK):
        counters.next(A)
    name = next(n for n in storage.names() if n.startswith("counters."))
    content = bytearray(storage.read(name))
    content[12] ^= 1  # in the first record: all are lost
    storage.replace(name, bytes(content))
    counters = Counters(storage, bytes)
    assert counters.next(A) > SKIP
    assert counters.next(B) > SKIP
    # and it stays so
    counters = Counters(storage, bytes)
    assert counters.next("AMI0000000003") > SKIP


def test_the_journal_does_not_grow_for_ever():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    for turn in range(6000):
        counters.begin_at(A, KEY, (turn + 1) * BLOCK * 2)
        counters.next(A)
    total = sum([storage.size(name) for name in storage.names()])
    assert total < 140000
    assert Counters(storage, bytes).next(A) == 6000 * BLOCK * 2 + BLOCK


def test_a_full_flash_gives_out_nothing():
    counters = Counters(MemoryStorage(20), bytes)
    raises(OSError, counters.next, A)


def test_no_number_twice_whatever_call_of_the_flash_fails():
    for errno in (EIO, EACCES, ENOSPC):
        for at in range(8):
            storage = MemoryStorage()
            storage.fail_at(at, errno)
            used = []
            for _ in range(3):  # the gateway's starts
                try:
                    counters = Counters(storage, bytes)
                except OSError as error:
                    assert error.errno == errno
                    continue
                for _ in range(BLOCK + 3):
                    try:
                        used.append(counters.next(A))
                    except OSError as error:
                        assert error.errno == errno  # none is given out, and the next call may
                storage = storage.after_cut()
            assert used == sorted(used) and len(set(used)) == len(used)
            assert len(used) >= 2 * (BLOCK + 3)
            assert storage.failed()


def test_a_meter_that_stands_far_ahead_is_told_of_at_commissioning():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    far = 2_500_000_000
    raises(CounterError, counters.raise_to, A, far, NOW)
    counters.begin_at(A, KEY, far)
    assert [counters.next(A), counters.next(A)] == [far, far + 1]
    counters.begin_at(A, KEY, far)  # told each time the keys are read
    assert counters.next(A) == far + 2 and counters.next(B) == 1
    assert Counters(storage, bytes).next(A) > far + 2


def test_a_told_counter_that_would_leave_no_numbers():
    """A slip of the pen must not use up the meter's keys."""
    counters = Counters(MemoryStorage(), bytes)
    for far in (MAX_COUNTER + 1, 0xFFFFFFFF):
        error = raises(CounterError, counters.begin_at, A, KEY, far)
        assert "told to begin at invocation counter %d" % far in str(error)
        assert counters.next(A) < 10
    counters.begin_at(A, KEY, MAX_COUNTER)
    assert counters.next(A) == MAX_COUNTER


class Chance:
    """Random numbers, the same each time."""

    def __init__(self, seed=1):
        self.seed = seed

    def __call__(self, size):
        self.seed += 1
        return random_bytes(self.seed, size)


def copy_of(storage):
    copy = MemoryStorage()
    for name in storage.names():
        copy.replace(name, storage.read(name))
    return copy


def test_each_life_begins_a_random_stride_ahead():
    storage, chance = MemoryStorage(), Chance()
    ends, strides = {A: FIRST, B: FIRST}, []
    for _ in range(200):
        counters = Counters(storage, chance)
        for serial in (A, B):
            first = counters.next(serial)
            strides.append(first - ends[serial])
            assert counters.next(serial) == first + 1  # one stride a life
            ends[serial] = first + BLOCK
    assert 0 <= min(strides) < 1000 and 64000 < max(strides) <= 65536
    assert 29000 < sum(strides) // len(strides) < 36000
    assert ends[A] != ends[B]


def test_strides_alone_never_use_up_a_key():
    storage = MemoryStorage()
    counters = Counters(storage, lambda size: b"\xff" * size)
    counters.begin_at(A, KEY, MAX_COUNTER)
    left = LAST - MAX_COUNTER
    assert counters.next(A) - MAX_COUNTER <= left >> 16
    counters = Counters(storage, lambda size: b"\xff" * size)
    left = LAST + 1 - Counters(storage, bytes).next(A)
    assert LAST + 1 - counters.next(A) > left - left // 60000
    # As many starts as there are minutes in twenty years: some are left.
    left = 1 << 32
    for _ in range(20 * 365 * 24 * 60 // 1000):
        left -= 1000 * (left >> 17)
    assert left > 0


def test_two_that_go_on_from_the_same_copy_do_not_meet_but_by_chance():
    storage = MemoryStorage()
    Counters(storage, bytes).next(A)
    met = 0
    for seed in range(100):
        one = Counters(copy_of(storage), Chance(seed))
        other = Counters(copy_of(storage), Chance(seed + 1000))
        numbers = {one.next(A) for _ in range(200)}
        met += bool([1 for _ in range(200) if other.next(A) in numbers])
    assert met <= 5  # 0.6 are to be expected


def test_used_counts_what_was_given_out_and_not_the_strides():
    storage = MemoryStorage()
    for life in range(1, 4):
        counters = Counters(storage, Chance(life))
        assert counters.used == counters.used_before == (life - 1) * 3 * BLOCK
        for _ in range(BLOCK + 1):
            counters.next(A)
        counters.next(B)
        assert counters.used == life * 3 * BLOCK
    before = counters.used
    counters.raise_to(A, counters.next(A) + 5001, NOW)
    counters.next(A)
    assert before + 5000 <= counters.used <= before + 5000 + BLOCK
    counters.skip(12)  # a rewrite keeps it
    assert Counters(storage, bytes).used == counters.used


def test_what_is_skipped_is_skipped_for_all_and_for_good():
    storage = MemoryStorage()
    counters = Counters(storage, bytes)
    assert counters.next(A) == 1
    counters.skip(5000)
    assert counters.next(A) == 5002 and counters.next(B) == 5001
    again = Counters(storage, bytes)
    assert again.next(A) > 5002 and again.next(B) > 5001 and again.next("C") == 5001
    # Whoever is told where to begin may have begun there before.
    again.begin_at("D", KEY, 70000)
    assert again.next("D") == 75000
    again.begin_at("D", KEY, 70000)
    assert again.next("D") == 75001


def test_a_skip_is_there_before_and_after_any_cut():
    for survival in SURVIVALS:
        for cut in range(8):
            storage = MemoryStorage()
            counters = Counters(storage, bytes)
            counters.next(A)
            storage.arm(cut, survival)
            skipped = False
            try:
                counters.skip(100000)
                skipped = True
                storage.arm(99)
            except PowerCut:
                storage = storage.after_cut()
            number = Counters(storage, bytes).next(A)
            assert number >= 1 + BLOCK + 100000 if skipped else number >= 1 + BLOCK


def test_a_lost_journal_is_no_new_one():
    storage = MemoryStorage()
    counters = Counters(storage, bytes, lost=True)
    assert counters.next(A) > LOST
    assert Counters(storage, bytes).next(B) > LOST
