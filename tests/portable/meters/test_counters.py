"""Invocation counters: none twice, whatever happens to the power."""

from __future__ import annotations

from gateway.contract.limits import MAX_COUNTER
from gateway.meters.counters import BLOCK, LAST, MAX_JUMP, SKIP, CounterError, Counters
from hal.sim.storage import EACCES, EIO, ENOSPC, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises

A, B = "AMI0000000001", "AMI0000000002"


def test_each_meter_counts_for_itself():
    counters = Counters(MemoryStorage())
    assert [counters.next(A) for _ in range(3)] == [1, 2, 3]
    assert counters.next(B) == 1
    assert counters.next(A) == 4


def test_a_restart_never_repeats():
    storage = MemoryStorage()
    used = []
    for run in range(5):
        counters = Counters(storage)
        for _ in range(run * BLOCK // 2 + 1):
            used.append(counters.next(A))
    assert used == sorted(used) and len(set(used)) == len(used)
    assert used[-1] < len(used) + 6 * BLOCK


def test_few_writes():
    storage = MemoryStorage()
    counters = Counters(storage)
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
                counters = Counters(storage)
                for _ in range(3 * BLOCK):
                    used.append(counters.next(A))
            except PowerCut:
                storage = storage.after_cut()
        assert used == sorted(used) and len(set(used)) == len(used), survival
        assert len(used) > 0


def test_raise_to():
    storage = MemoryStorage()
    counters = Counters(storage)
    counters.next(A)
    counters.raise_to(A, 5000)
    assert counters.next(A) == 5000
    counters.raise_to(A, 10)
    assert counters.next(A) == 5001
    assert Counters(storage).next(A) == 5000 + BLOCK


def test_a_forged_demand_does_not_use_up_the_numbers():
    counters = Counters(MemoryStorage())
    error = raises(CounterError, counters.raise_to, A, LAST)
    assert A in str(error)
    raises(CounterError, counters.raise_to, A, MAX_JUMP + 2)
    assert counters.next(A) == 1


def test_the_end_of_the_numbers():
    counters = Counters(MemoryStorage())
    number = 1
    while LAST - number > MAX_JUMP:
        number += MAX_JUMP
        counters.raise_to(A, number)
    counters.raise_to(A, LAST)
    assert counters.next(A) == LAST
    raises(CounterError, counters.next, A)
    assert counters.next(B) == 1


def test_the_end_survives_a_restart():
    storage = MemoryStorage()
    counters = Counters(storage)
    number = 1
    while LAST - number > MAX_JUMP:
        number += MAX_JUMP
        counters.raise_to(A, number)
    counters.raise_to(A, LAST)
    counters.next(A)
    raises(CounterError, Counters(storage).next, A)


def test_damage_skips_ahead_for_all_meters():
    storage = MemoryStorage()
    counters = Counters(storage)
    for _ in range(10 * BLOCK):
        counters.next(A)
    name = next(n for n in storage.names() if n.startswith("counters."))
    content = bytearray(storage.read(name))
    content[12] ^= 1  # in the first record: all are lost
    storage.replace(name, bytes(content))
    counters = Counters(storage)
    assert counters.next(A) > SKIP
    assert counters.next(B) > SKIP
    # and it stays so
    counters = Counters(storage)
    assert counters.next("AMI0000000003") > SKIP


def test_the_journal_does_not_grow_for_ever():
    storage = MemoryStorage()
    counters = Counters(storage)
    for turn in range(6000):
        counters.raise_to(A, (turn + 1) * BLOCK * 2)
        counters.next(A)
    total = sum([storage.size(name) for name in storage.names()])
    assert total < 140000
    assert Counters(storage).next(A) == 6000 * BLOCK * 2 + BLOCK


def test_a_full_flash_gives_out_nothing():
    counters = Counters(MemoryStorage(20))
    raises(OSError, counters.next, A)


def test_no_number_twice_whatever_call_of_the_flash_fails():
    for errno in (EIO, EACCES, ENOSPC):
        for at in range(8):
            storage = MemoryStorage()
            storage.fail_at(at, errno)
            used = []
            for _ in range(3):  # the gateway's starts
                try:
                    counters = Counters(storage)
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
    counters = Counters(storage)
    far = 2_500_000_000
    raises(CounterError, counters.raise_to, A, far)
    counters.begin_at(A, far)
    assert [counters.next(A), counters.next(A)] == [far, far + 1]
    counters.begin_at(A, far)  # told each time the keys are read
    assert counters.next(A) == far + 2 and counters.next(B) == 1
    assert Counters(storage).next(A) > far + 2


def test_a_told_counter_that_would_leave_no_numbers():
    """A slip of the pen must not use up the meter's keys."""
    counters = Counters(MemoryStorage())
    for far in (MAX_COUNTER + 1, 0xFFFFFFFF):
        error = raises(CounterError, counters.begin_at, A, far)
        assert "told to begin at invocation counter %d" % far in str(error)
        assert counters.next(A) < 10
    counters.begin_at(A, MAX_COUNTER)
    assert counters.next(A) == MAX_COUNTER
