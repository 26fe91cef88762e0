"""What is known of each path: states with their history, ranking, and the file it survives in."""

from __future__ import annotations

from gateway.meters import ranking
from gateway.meters.inventory import Meter
from gateway.meters.reachability import FILE, REACHABLE, UNKNOWN, UNREACHABLE, Reachability
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.support import random_bytes

PLC = ("plc", "0080e1000001")
RF = ("rf", "2c2d576866323002")
METER = Meter("A", [PLC, RF])
NOW = 1800000000


def fresh():
    clock = ManualClock(NOW)
    return Reachability(clock), clock


def seconds(clock, count):
    clock.advance(1000 * count)


def test_nothing_is_known_at_first():
    known, _ = fresh()
    state = known.state(METER, PLC)
    assert (state.state, state.since, state.heard, state.changes) == (UNKNOWN, 0, 0, 0)
    assert (state.rate, state.silent, state.registered) == (90, 0, False)
    assert known.worth(METER, PLC) > known.worth(METER, RF)


def test_states_and_their_history():
    known, clock = fresh()
    known.answered(METER, RF)
    seconds(clock, 60)
    known.answered(METER, RF)
    state = known.state(METER, RF)
    assert (state.state, state.since, state.before) == (REACHABLE, NOW, 0)
    assert state.heard == NOW + 60 and state.changes == 1
    seconds(clock, 60)
    known.fell_silent(METER, RF)
    known.fell_silent(METER, RF)
    state = known.state(METER, RF)
    assert (state.state, state.since, state.before) == (UNREACHABLE, NOW + 120, NOW)
    assert (state.heard, state.silent, state.changes) == (NOW + 60, 2, 2)
    seconds(clock, 60)
    known.answered(METER, RF)
    state = known.state(METER, RF)
    assert (state.state, state.since, state.before) == (REACHABLE, NOW + 180, NOW + 120)
    assert (state.silent, state.changes) == (0, 3)
    assert known.state(METER, PLC).state == UNKNOWN


def test_registration_is_a_state_too():
    known, clock = fresh()
    known.registered(METER, PLC, False)
    assert known.state(METER, PLC).state == UNREACHABLE
    seconds(clock, 10)
    known.registered(METER, PLC, True)
    state = known.state(METER, PLC)
    assert (state.state, state.since, state.registered) == (REACHABLE, NOW + 10, True)
    assert state.heard == 0
    # Registered and silent is not reachable, until it registers anew.
    known.fell_silent(METER, PLC)
    known.registered(METER, PLC, True)
    assert known.state(METER, PLC).state == UNREACHABLE
    known.registered(METER, PLC, False)
    known.registered(METER, PLC, True)
    state = known.state(METER, PLC)
    assert (state.state, state.silent) == (REACHABLE, 1)


def test_counts_stop_at_their_end():
    known, _ = fresh()
    for _ in range(300):
        known.fell_silent(METER, PLC)
        known.registered(METER, PLC, False)
        known.registered(METER, PLC, True)
    state = known.state(METER, PLC)
    assert (state.silent, state.changes, state.registered) == (31, 255, True)


def test_delivery_is_learned_and_forgotten():
    rate = ranking.PRIOR
    for _ in range(30):
        rate = ranking.learned(rate, 100)
    assert ranking.percent(rate) >= 99 and rate <= 200
    assert ranking.aged(rate) == rate
    for _ in range(30):
        rate = ranking.learned(rate, 0)
    assert ranking.percent(rate) <= 1
    hours = 0
    while rate < ranking.PRIOR:
        rate = ranking.aged(rate)
        hours += 1
    assert 20 <= hours <= 48 and rate == ranking.PRIOR
    assert ranking.worth("plc", 180) > ranking.worth("rf", 180) > ranking.worth("ip", 180)


def test_an_hour_ages_all_paths():
    known, _ = fresh()
    known.fell_silent(METER, PLC)
    before = known.state(METER, PLC).rate
    known.age()
    assert before < known.state(METER, PLC).rate < 90


def test_it_survives_a_restart():
    clock, storage = ManualClock(NOW), MemoryStorage()
    known = Reachability(clock, storage)
    known.save()
    assert storage.size(FILE) == -1  # nothing to tell
    meters = [Meter("S%04d" % i, [("plc", "%012x" % i), RF]) for i in range(300)]
    for number, meter in enumerate(meters):
        known.answered(meter, meter.paths[0], number % 101)
        if number % 3 == 0:
            known.fell_silent(meter, RF)
    known.save()
    assert storage.size(FILE) < 300 * 42 + 8
    again = Reachability(clock, storage)
    for meter in meters:
        for path in meter.paths:
            before, after = known.state(meter, path), again.state(meter, path)
            for name in before.__slots__:
                assert getattr(before, name) == getattr(after, name), name
    again.save()  # unchanged: nothing is written


def test_another_address_is_another_path():
    known, _ = fresh()
    known.answered(METER, PLC)
    moved = Meter("A", [("plc", "0080e1000099"), RF, PLC])
    assert known.state(moved, moved.paths[0]).state == UNKNOWN
    known.answered(moved, RF)
    assert known.state(moved, moved.paths[0]).state == UNKNOWN
    assert known.state(moved, RF).state == REACHABLE
    fewer = Meter("A", [RF])
    known.fell_silent(fewer, RF)
    assert known.state(fewer, RF).state == UNREACHABLE


def test_meters_that_are_gone_are_forgotten():
    clock, storage = ManualClock(NOW), MemoryStorage()
    known = Reachability(clock, storage)
    known.answered(METER, PLC)
    known.answered(Meter("B", [PLC]), PLC)
    known.save()
    known = Reachability(clock, storage, ["B", "C"])
    assert known.state(METER, PLC).state == UNKNOWN
    assert known.state(Meter("B", [PLC]), PLC).state == REACHABLE


def test_without_a_date():
    clock = ManualClock()
    known = Reachability(clock)
    known.answered(METER, PLC)
    assert known.state(METER, PLC).heard == 1
    assert known.state(METER, PLC).since == 1


def test_a_damaged_file_is_not_believed():
    clock, storage = ManualClock(NOW), MemoryStorage()
    known = Reachability(clock, storage)
    for number in range(50):
        known.answered(Meter("S%d" % number, [PLC]), PLC)
    known.save()
    whole = storage.read(FILE)
    damages = [b"", b"AMR2", whole[:-1], whole[:100], whole + b"x", random_bytes(1, 500)]
    for at in range(0, len(whole), 37):
        damages.append(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
    for damage in damages:
        storage.replace(FILE, damage)
        again = Reachability(clock, storage)
        assert again.state(Meter("S1", [PLC]), PLC).state == UNKNOWN
        again.answered(METER, PLC)
        again.save()
        assert Reachability(clock, storage).state(METER, PLC).state == REACHABLE


class FullStorage(MemoryStorage):
    def append(self, name):
        raise OSError(28, "full")


def test_a_storage_that_refuses_keeps_the_old_file():
    clock, storage = ManualClock(NOW), FullStorage()
    known = Reachability(clock, storage)
    known.answered(METER, PLC)
    try:
        known.save()
    except OSError as error:
        assert error.errno == 28
    else:
        raise AssertionError("the storage refused, and nobody was told")
    assert storage.names() == []


def test_what_a_meter_costs():
    clock, storage = ManualClock(NOW), MemoryStorage()
    known = Reachability(clock, storage)
    near, far, noisy, silent = [Meter("S%d" % number, [PLC]) for number in range(4)]
    known.answered(near, PLC, 100, 1)
    known.answered(far, PLC, 100, 3)
    known.answered(noisy, PLC, 20, 1)
    known.answered(silent, PLC, 100, 1)
    known.fell_silent(silent, PLC)
    stranger = Meter("S9", [PLC])
    costs = [known.cost(meter, PLC) for meter in (near, noisy, stranger, far, silent)]
    assert costs == sorted(costs) and len(set(costs)) == 5
    known.answered(far, PLC, 100)  # the modem does not say this time
    known.save()
    again = Reachability(clock, storage)
    assert again.state(far, PLC).hops == 3 and again.cost(far, PLC) == known.cost(far, PLC)
