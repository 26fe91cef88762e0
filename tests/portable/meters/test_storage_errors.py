"""What the room keeps on the flash, when any call of the storage fails: EIO, EACCES, ENOSPC."""

from __future__ import annotations

from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.meters.counters import BLOCK, Counters
from gateway.meters.inventory import KEYS, METERS, Inventory, Meter
from gateway.meters.reachability import FILE, REACHABLE, Reachability
from gateway.meters.strangers import MOST_A_DAY, Strangers
from gateway.meters.upkeep import LOOK_MS, SAVE_MS, Upkeep
from hal.sim.clock import ManualClock
from tests.portable.failing import ENOSPC, ERRORS, FailingStorage
from tests.portable.support import raises, run
from tests.portable.uplink.support import crypto

NOON = 1800014400
A, B = "AMI0000000001", "AMI0000000002"
PLC, RF = ("plc", "0080e1000001"), ("rf", "2c2d576866323002")


def sweep(play):
    """play(storage, error) with every changing call failing once; how many calls there are."""
    calls = 0
    while True:
        for error in ERRORS:
            storage = FailingStorage()
            storage.fail_at(calls, error)
            play(storage, error)
        if not storage.failed:
            return calls
        calls += 1


def tried(call, error, *arguments):
    """The result, if need be of the second try."""
    try:
        return call(*arguments)
    except OSError as told:
        assert told.errno == error
    return call(*arguments)


# ---------------------------------------------------------------- invocation counters


def test_no_counter_is_given_out_that_is_not_stored_and_none_twice():
    def play(storage, error):
        used = []
        counters = tried(Counters, error, storage, bytes)
        for _ in range(2 * BLOCK + 2):
            used.append(tried(counters.next, error, A))
        counters.begin_at(A, bytes(16), 5000)
        used.append(tried(counters.next, error, A))
        for _ in range(2):
            counters = Counters(storage.after_cut(), bytes)
            used.append(counters.next(A))
        assert used[:-1] == sorted(used[:-1]) and len(set(used[:-1])) == len(used) - 1
        # Both restarts are of the same medium.
        assert used[-1] == used[-2] > 5000

    assert sweep(play) >= 8


def test_a_counter_that_cannot_be_stored_is_an_error_each_time():
    storage = FailingStorage()
    counters = Counters(storage, bytes)
    storage.broken = True
    for _ in range(3):
        raises(OSError, counters.next, A)
    storage.broken = False
    assert counters.next(A) == 1


# ---------------------------------------------------------------- reachability


def test_what_was_learned_is_the_old_or_the_new_and_saved_the_next_time():
    meter = Meter(A, [PLC, RF])

    def play(storage, error):
        clock = ManualClock(NOON)
        known = Reachability(clock, storage)
        known.answered(meter, PLC, 100, 3)
        tried(known.save, error)
        known.answered(meter, RF)
        failed = storage.failed
        try:
            known.save()
        except OSError as told:
            assert told.errno == error
            again = Reachability(clock, storage.after_cut())
            assert again.state(meter, PLC).state == REACHABLE
            assert again.state(meter, RF).state != REACHABLE
            assert storage.names() == [FILE], "nothing half is left"
            known.save()
        assert storage.failed >= failed
        again = Reachability(clock, storage.after_cut())
        assert again.state(meter, PLC).state == again.state(meter, RF).state == REACHABLE
        assert again.state(meter, PLC).hops == 3
        assert storage.names() == [FILE]

    assert sweep(play) >= 8


def test_nothing_is_written_that_has_not_changed():
    storage = FailingStorage()
    known = Reachability(ManualClock(NOON), storage)
    known.save()
    assert storage.operations == 0
    known.answered(Meter(A, [PLC]), PLC)
    known.save()
    before = storage.operations
    known.save()
    assert storage.operations == before > 0


def test_what_half_a_save_left_is_no_part_of_the_next():
    storage = FailingStorage()
    storage.replace("reachability.new", b"half of a save")
    known = Reachability(ManualClock(NOON), storage)
    meter = Meter(A, [PLC])
    known.answered(meter, PLC)
    known.save()
    assert Reachability(ManualClock(NOON), storage).state(meter, PLC).state == REACHABLE


# ---------------------------------------------------------------- strangers


def test_strangers_are_told_although_it_cannot_be_kept():
    def play(storage, error):
        told = []
        strangers = Strangers(ManualClock(NOON), storage, lambda *what: told.append(what))
        strangers.found("plc", ["0080e1000009"])
        strangers.found("plc", ["0080e1000009", "0080e1000008"])
        assert told == [("stranger", "plc 0080e1000009"), ("stranger", "plc 0080e1000008")]
        Strangers(ManualClock(NOON), storage, lambda *what: told.append(what)).found(
            "plc", ["0080e1000009", "0080e1000008"]
        )
        assert 2 <= len(told) <= 4

    assert sweep(play) == 2


def test_how_many_strangers_are_told_by_name():
    for count, more in ((MOST_A_DAY - 1, 0), (MOST_A_DAY, 0), (MOST_A_DAY + 1, 1), (100, 52)):
        told = []
        clock = ManualClock(NOON)
        strangers = Strangers(clock, FailingStorage(), lambda *what, told=told: told.append(what))
        strangers.found("plc", ["%012x" % number for number in range(count)])
        named = [detail for _, detail in told if "more" not in detail]
        assert len(named) == min(count, MOST_A_DAY) == 48 - (count == 47)
        assert [detail for _, detail in told[len(named) :]] == (
            ["plc: %d more today" % more] if more else []
        )
        assert strangers.told("rf") == 0
        before = len(told)
        strangers.found("plc", ["%012x" % number for number in range(count)])
        assert len(told) == before
        strangers.found("rf", ["2c2d576866323002"])
        assert len(told) == before + 1, "each kind counts for itself"
        clock.set_unix_time(NOON + 86400)
        strangers.found("plc", ["%012x" % 0])
        assert told[-1] == ("stranger", "plc 000000000000") and strangers.told("plc") == 1


def test_a_file_of_strangers_is_believed_only_as_far_as_it_is_one():
    today = NOON // 86400
    good = b'[%d, {"plc": ["0080e1000009"]}]' % today
    for content, again in (
        (good, False),
        (b"", True),
        (b"[]", True),
        (b"[1]", True),
        (b"no json", True),
        (b'["1", {}]', True),
        (b"[%d, []]" % today, True),
        (b'[%d, {"plc": 1}]' % today, True),
        (b"[%d, {}]" % today, True),
        (good + b" " * (16384 - len(good)), False),
        (good + b" " * (16385 - len(good)), True),
        (b"\xff\xfe", True),
    ):
        storage = FailingStorage()
        storage.replace("strangers", content)
        told = []
        strangers = Strangers(
            ManualClock(NOON), storage, lambda *what, told=told: told.append(what)
        )
        strangers.found("plc", ["0080e1000009"])
        assert (told != []) == again, content[:40]


# ---------------------------------------------------------------- keys


def vault():
    return Vault(crypto(), bytes(range(16)))


def test_new_keys_are_all_there_or_none():
    lines = '{"serial": "%s", "paths": []}\n' * 2 % (A, B)
    old, new = MeterKeys(bytes(16), bytes(16)), MeterKeys(b"\x07" * 16, b"\x08" * 16)

    def play(storage, error):
        box = vault()
        file = FailingStorage()  # what was commissioned before
        file.replace(METERS, lines.encode())
        for name in file.names():
            storage._files[name] = file._files[name]
        inventory = Inventory(storage, box)
        for keys, before in ((old, None), (new, old)):
            entries = [(serial, box.wrap(serial, keys)) for serial in (A, B)]
            try:
                inventory.replace_keys(entries)
            except OSError as told:
                assert told.errno == error
                again = Inventory(storage.after_cut(), box)
                found = [again.keys(serial).ek for serial in (A, B)] if before else []
                assert found in ([before.ek] * 2 if before else [], [keys.ek] * 2)
                inventory.replace_keys(entries)
            again = Inventory(storage.after_cut(), box)
            assert [again.keys(serial).ek for serial in (A, B)] == [keys.ek] * 2
            assert storage.names() == [KEYS, METERS]

    assert sweep(play) >= 8


def test_files_are_closed_also_when_the_flash_refuses():
    for error in (None, ENOSPC):
        storage, box = FailingStorage(), vault()
        storage.replace(METERS, ('{"serial": "%s", "paths": []}\n' % A).encode())
        inventory = Inventory(storage, box)
        known = Reachability(ManualClock(NOON), storage)
        known.answered(Meter(A, [PLC]), PLC)
        opened = []
        made = storage.append

        def append(name, reserve=0, made=made, opened=opened):
            file = made(name, reserve)
            opened.append(name)
            file.close = lambda: opened.remove(name)
            return file

        storage.append = append
        keys = [(A, box.wrap(A, MeterKeys(bytes(16), bytes(16))))]
        for work in (known.save, lambda keys=keys, to=inventory: to.replace_keys(keys)):
            if error is None:
                work()
            else:
                storage.fail_at(1, error)
                raises(OSError, work)
            assert opened == []


# ---------------------------------------------------------------- upkeep


class Survey:
    looks = 0

    async def look(self):
        self.looks += 1


def test_looked_at_every_minute_and_saved_every_hour():
    assert (LOOK_MS, SAVE_MS) == (60_000, 3_600_000)
    storage = FailingStorage()
    clock = ManualClock(NOON)
    known = Reachability(clock, storage)
    meter = Meter(A, [PLC])
    survey, ages, steps = Survey(), [], []
    aged = known.age
    known.age = lambda: (ages.append(clock.ticks_ms()), aged())
    upkeep = Upkeep(survey, known, clock)

    async def play():
        import asyncio

        known.answered(meter, PLC)
        task = asyncio.create_task(upkeep.run(lambda: steps.append(0)))
        await clock.settle()
        assert (survey.looks, len(steps)) == (1, 1)
        for minute in range(1, 60):
            await clock.run(LOOK_MS)
            assert (survey.looks, len(ages), storage.size(FILE)) == (minute + 1, 0, -1)
        await clock.run(LOOK_MS)
        assert len(ages) == 1 and storage.size(FILE) > 0
        for _ in range(59):
            await clock.run(LOOK_MS)
        assert len(ages) == 1
        await clock.run(LOOK_MS)
        assert len(ages) == 2 and len(steps) == survey.looks == 121
        task.cancel()

    run(play())


def test_upkeep_lives_with_a_storage_that_refuses():
    storage = FailingStorage()
    known = Reachability(ManualClock(NOON), storage)
    known.answered(Meter(A, [PLC]), PLC)
    storage.fail_at(1, ENOSPC)
    upkeep = Upkeep(Survey(), known, ManualClock(NOON))
    upkeep.save()
    assert storage.failed == 1 and storage.size(FILE) < 0
    upkeep.save()
    assert storage.size(FILE) > 0
