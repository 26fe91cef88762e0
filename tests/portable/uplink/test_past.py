"""What the HES remembers of the data folder, held against what is here: a copy that was put back,
and two that go on from one copy, are found out, and use no counter a second time."""

from __future__ import annotations

from gateway.audit import Audit
from gateway.contract.messages import Memory
from gateway.folder import Folder
from gateway.jobs.ledger import Ledger
from gateway.meters.counters import BLOCK, Counters
from gateway.uplink.past import EVENT, MARGIN, MOST, MOST_UNPROVEN, Past
from hal.sim.clock import ManualClock
from hal.sim.storage import EIO, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.jobs.told import told
from tests.portable.meters.test_counters import Chance, copy_of
from tests.portable.support import raises
from tests.portable.uplink.support import BOARD_KEY, NOW, Limits, Vault, World, crypto

A, B, C = "AMI0000000001", "AMI0000000002", "AMI0000000003"


class Gateway:
    """As much of one as its folder makes. `used`: the numbers it gave out, by meter, as ranges
    [first, last]."""

    def __init__(self, storage, seed=1):
        self.folder = Folder(storage, Vault(crypto(), BOARD_KEY), lambda: True)
        clock = ManualClock(NOW)
        trail = Audit(storage, clock, 1 << 16)
        self.ledger = Ledger(storage, clock, crypto().random, Limits(), trail)
        self.ledger.note("start", ["%d" % seed])
        self.counters = Counters(storage, Chance(seed))
        self.past = Past(self.folder, self.counters, self.ledger)
        self.used = {A: [], B: [], C: []}

    def use(self, serial, count):
        ranges = self.used[serial]
        for _ in range(count):
            number = self.counters.next(serial)
            if ranges and number == ranges[-1][1] + 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])

    def hello(self, hes):
        """Say hello, and take the answer."""
        trail = self.ledger.trail
        self.past.told(trail.records, trail.head)
        said = Memory(self.past.starts, self.past.used, trail.records, trail.head)
        self.past.take(hes.answer(said))

    def events(self):
        return [one.reason for one in told(self.ledger, 0, 50) if one.kind == "event"]


class Hes:
    def __init__(self):
        self.known = Memory(0, 0, 0, bytes(32))

    def answer(self, said):
        before = self.known
        self.known = Memory(
            max(before.starts, said.starts), max(before.used, said.used), said.records, said.head
        )
        return before.encode()


def none_twice(*lives):
    for serial in (A, B, C):
        ranges = sorted([one for life in lives for one in life.used[serial]])
        for index in range(1, len(ranges)):
            assert ranges[index - 1][1] < ranges[index][0], (serial, ranges)


def test_a_folder_that_goes_on_is_believed():
    storage, hes = MemoryStorage(), Hes()
    lives = []
    for seed in range(5):
        gateway = Gateway(storage, seed)
        for turn in range(3):
            gateway.hello(hes)
            gateway.use(A, 300)
            gateway.counters.raise_to(B, gateway.counters.next(B) + 1000, NOW)
            gateway.ledger.note("trust", [turn, "something done"])
        assert gateway.events() == []
        lives.append(gateway)
    none_twice(*lives)


def test_a_copy_that_was_put_back():
    """Without the jump the two lives would use the same numbers: chance is the same for both."""
    storage, hes = MemoryStorage(), Hes()
    first = Gateway(storage)
    first.use(A, 10)
    first.hello(hes)
    copy = copy_of(storage)
    first.use(A, 3 * BLOCK)
    first.use(B, 5)
    later = Gateway(storage)
    later.use(A, 40 * BLOCK)
    later.use(C, BLOCK)
    later.hello(hes)
    back = Gateway(copy)
    back.hello(hes)
    assert back.events() == [EVENT]
    back.use(A, 100 * BLOCK)
    back.use(B, BLOCK)
    back.use(C, BLOCK)
    none_twice(first, later, back)
    # It is told once; what the two sides know is the same from here on.
    assert (back.past.starts, back.past.used) >= (later.past.starts, later.past.used)
    back.hello(hes)
    assert back.events() == [EVENT]
    again = Gateway(copy, 3)
    again.hello(hes)
    again.use(A, BLOCK)
    none_twice(first, later, back, again)
    assert again.events() == [EVENT]  # the one from before


def test_what_one_meter_has_used_meanwhile_does_not_count_for_another():
    """The line was down after the start, and the meters were worked all the same."""
    storage, hes = MemoryStorage(), Hes()
    first = Gateway(storage)
    first.hello(hes)
    copy = copy_of(storage)
    first.use(A, 1000 * BLOCK)
    first.hello(hes)
    back = Gateway(copy, 7)
    back.use(B, 900 * BLOCK)
    back.hello(hes)
    back.use(A, 1)
    assert back.used[A][0][0] > first.used[A][-1][1]
    none_twice(first, back)


def test_two_that_go_on_from_one_copy():
    """Neither has more than the other knows of: the end of the audit trail tells."""
    storage, hes = MemoryStorage(), Hes()
    first = Gateway(storage)
    first.use(A, 3)
    first.hello(hes)
    one, other = Gateway(copy_of(storage), 2), Gateway(copy_of(storage), 3)
    one.hello(hes)
    other.hello(hes)
    assert one.events() == [] and other.events() == [EVENT]
    other.ledger.note("trust", [1, "it has become longer"])
    other.hello(hes)
    one.hello(hes)
    assert one.events() == [EVENT]
    one.use(A, BLOCK)
    other.use(A, BLOCK)
    none_twice(first, one, other)


def test_a_trail_that_became_longer_and_is_another():
    storage = MemoryStorage()
    gateway = Gateway(storage)
    records, head = gateway.ledger.trail.records, gateway.ledger.trail.head
    for number in range(30):
        gateway.ledger.note("trust", [number, "x"])
    gateway.past.take(Memory(1, 0, records, head).encode())
    assert gateway.events() == []
    gateway.past.take(Memory(1, 0, records, bytes(32)).encode())
    assert gateway.events() == [EVENT]
    gateway = Gateway(storage)
    gateway.past.take(Memory(1, 0, records, head).encode())
    assert gateway.events() == [EVENT]


def test_what_is_not_kept_any_more_is_believed():
    storage = MemoryStorage()
    clock = ManualClock(NOW)
    trail = Audit(storage, clock, 16384)
    ledger = Ledger(storage, clock, crypto().random, Limits(), trail)
    for number in range(400):
        ledger.note("trust", [number, "x" * 40])
    assert trail.hash_of(1) is None
    heads = {}
    for number in range(400, 430):
        ledger.note("trust", [number, "x" * 40])
        heads[trail.records] = trail.head
    for number in heads:
        assert trail.hash_of(number) == heads[number]
    assert trail.hash_of(trail.records + 1) is None and trail.hash_of(0) is None


def test_nobody_can_use_up_the_keys_so():
    gateway = Gateway(MemoryStorage())
    for turn in range(1, 9):
        gateway.past.take(Memory(1, turn << 28, 0, bytes(32)).encode())
    assert gateway.counters.next(A) <= MOST + 2 * MARGIN


def test_on_a_plain_line_nobody_locks_meters_out():
    """Anybody can forge what the HES remembers there, or the hello that it remembers."""
    storage = MemoryStorage()
    for life in range(1, 20):
        gateway = Gateway(storage, life)
        before = gateway.counters.next(A)
        for turn in range(1, 200):
            used = ((life << 8) + turn) << 40
            gateway.past.take(Memory(0xFFFFFFFF, used, 1 << 30, bytes(32)).encode(), False)
        assert MOST_UNPROVEN <= gateway.counters.next(A) - before <= MOST_UNPROVEN + 2
    # What the HES has sealed counts nevertheless.
    gateway.past.take(Memory(0xFFFFFFFF, 1 << 60, 1 << 30, bytes(32)).encode())
    assert gateway.counters.next(A) - before > 1 << 25


def test_whether_it_is_proven_is_the_lines_to_say():
    for protected in (False, True):
        world = World(protected=protected)
        if protected:
            world.agree()
        counters = world.session._past._counters
        before = counters.next(A)
        world.give("memory", Memory(9, 1 << 60, 1 << 30, bytes(32)).encode())
        assert counters.next(A) - before == (MOST if protected else MOST_UNPROVEN) + 1


def test_a_jump_is_durable_before_it_counts():
    for survival in SURVIVALS:
        for cut in range(9):
            storage, hes = MemoryStorage(), Hes()
            first = Gateway(storage)
            first.use(A, 1)
            hes.known = Memory(9, 500000, 0, bytes(32))
            storage.arm(cut, survival)
            try:
                first.hello(hes)
            except PowerCut:
                storage = storage.after_cut()
            else:
                storage.arm(99)
            back = Gateway(storage, 5)
            hes.known = Memory(9, 500000, 0, bytes(32))
            back.hello(hes)
            back.use(A, 1)
            assert back.used[A][0][0] > 500000, (survival, cut)
            assert back.past.starts >= 9


def test_a_flash_that_refuses_gives_no_counter_from_before():
    storage = MemoryStorage()
    gateway = Gateway(storage)
    gateway.use(A, 1)
    storage.fail_next(EIO)
    raises(OSError, gateway.past.take, Memory(9, 500000, 0, bytes(32)).encode())
    gateway.use(A, 1)
    assert gateway.used[A][1][0] > 500000


def test_reports_go_on_in_another_epoch():
    """Under the numbers that follow in a copy the HES has others already."""
    storage, hes = MemoryStorage(), Hes()
    gateway = Gateway(storage, 1)
    gateway.hello(hes)
    copy = copy_of(storage)
    for seed in (2, 3):
        gateway = Gateway(storage, seed)
        gateway.hello(hes)
    epoch = gateway.ledger.epoch
    back = Gateway(copy, 4)
    number = back.ledger.last_number
    assert back.ledger.epoch == epoch
    back.hello(hes)
    assert back.ledger.epoch != epoch and back.ledger.last_number > number
    known = back.ledger.epoch
    back.hello(hes)
    assert back.ledger.epoch == known, "once in a life"
    assert Gateway(copy, 5).ledger.epoch == known, "durable"
