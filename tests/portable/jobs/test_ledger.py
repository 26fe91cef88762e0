"""gateway.jobs.ledger: jobs, results and reports survive; what was acknowledged goes."""

from __future__ import annotations

from gateway.audit import Audit
from gateway.contract.envelope import digest_of
from gateway.contract.job import Job, State
from gateway.contract.kinds import READ
from gateway.contract.limits import MAX_VALUE
from gateway.contract.result import KO, OK, VALUE, Result
from gateway.jobs.ledger import Ledger, LedgerError
from gateway.jobs.records import EVENT
from gateway.jobs.routine import REFUSALS_A_MINUTE, REFUSALS_AT_ONCE, ROUTINE_SIZE
from hal.sim.clock import ManualClock
from hal.sim.storage import ENOSPC, MemoryStorage
from tests.portable.jobs.told import told
from tests.portable.support import raises, random_bytes

NOW = 1_700_000_000
APPLIED = Result(OK, "applied")


class Limits:
    def __init__(self, jobs: int = 8, ledger_bytes: int = 1 << 20, free_bytes: int = 1000) -> None:
        self.jobs = jobs
        self.ledger_bytes = ledger_bytes
        self.free_bytes = free_bytes


def make_job(number: int, meters: int = 3, not_before: int = 0, not_after: int = 0) -> Job:
    serials = ["M%03d" % i for i in range(meters)]
    objects = [(8, b"\x00\x00\x01\x00\x00\xff", 2)]
    id = number.to_bytes(16, "big")
    return Job(id, READ, "ct-1", NOW, 5, not_before, not_after, 3, 30, serials, None, objects)


class World:
    """A ledger on its own flash."""

    def __init__(self, limits: Limits | None = None, reserves: bool = True) -> None:
        self.storage = MemoryStorage(1 << 24, reserves)
        self.clock = ManualClock(NOW)
        self.limits = limits or Limits()
        self.ledger = self.open()

    def open(self) -> Ledger:
        trail = Audit(self.storage, self.clock, 16384)
        return Ledger(self.storage, self.clock, lambda n: random_bytes(1, n), self.limits, trail)

    def restart(self) -> Ledger:
        self.storage = self.storage.after_cut()
        self.ledger = self.open()
        return self.ledger

    def segments(self) -> list[str]:
        return [name for name in self.storage.names() if name.startswith("ledger.")]

    def accept(self, job: Job) -> str:
        return self.ledger.accept(job, job.encode())

    def finish(self, seq: int, index: int, result: Result = APPLIED) -> None:
        self.ledger.started(seq, index)
        state = State.SUCCEEDED if result.outcome != KO else State.FAILED
        self.ledger.finished(seq, index, state, result, "plc", 1234)


def kinds(ledger: Ledger) -> list[str]:
    return [r.kind + " " + (r.state or r.topic) for r in told(ledger, 0, 1000)]


def test_a_job_and_its_reports_survive_a_restart() -> None:
    world = World()
    epoch = world.ledger.epoch
    assert epoch > 0 and world.accept(make_job(1)) == "accepted"
    value = Result(VALUE, "read", "", [b"\x12\x00\x05", b"\x00"])
    world.finish(1, 0, value)
    world.ledger.started(1, 1)
    ledger = world.restart()
    assert ledger.epoch == epoch and ledger.recovery.notes == []
    (entry,) = ledger.jobs()
    assert entry.job.serials == ["M000", "M001", "M002"]
    assert bytes(entry.states) == bytes([State.SUCCEEDED, State.QUEUED, State.QUEUED])
    assert bytes(entry.attempts) == b"\x01\x01\x00"
    assert ledger.reason_of(entry, 1) == "interrupted"
    accepted, first = told(ledger, 0, 10)
    assert (accepted.number, accepted.kind, accepted.state) == (1, "job", "accepted")
    assert accepted.job_id == entry.job.id
    assert (first.number, first.kind, first.serial) == (2, "execution", "M000")
    assert (first.state, first.outcome, first.reason) == ("succeeded", VALUE, "read")
    assert first.value == [b"\x12\x00\x05", b"\x00"]
    assert (first.attempts, first.path, first.duration_ms) == (1, "plc", 1234)
    assert first.finished_at == NOW and first.job_id == entry.job.id


def test_the_last_execution_ends_the_job() -> None:
    world = World()
    world.accept(make_job(1))
    world.finish(1, 0)
    world.finish(1, 2, Result(KO, "no-answer", "x" * 500))
    entry = world.ledger.jobs()[0]
    assert entry.final_number == 0 and entry.open() == 1
    world.finish(1, 1)
    reports = told(world.ledger, 0, 100)
    assert [r.number for r in reports] == [1, 2, 3, 4, 5]
    assert (reports[4].kind, reports[4].state, reports[4].reason) == ("job", "ended", "ended")
    assert reports[4].detail == "2 succeeded, 1 failed"
    assert len(reports[2].detail) == 200
    assert entry.final_number == 5
    assert world.restart().jobs()[0].final_number == 5


def test_what_is_still_open_is_not_ordered_again() -> None:
    world = World()
    world.accept(make_job(1, 1))
    again = make_job(2, 1)
    again.retry_of = make_job(1).id
    assert world.accept(again) == "still-open"
    world.finish(1, 0)
    assert world.accept(again) == "accepted"


def test_acknowledged_jobs_are_forgotten_but_not_their_ids() -> None:
    world = World()
    job = make_job(1, 1)
    world.accept(job)
    world.finish(1, 0)
    world.ledger.acknowledge(2)
    assert len(world.ledger.jobs()) == 1
    world.ledger.acknowledge(99)
    assert world.ledger.acknowledged == 3 and world.ledger.jobs() == []
    assert told(world.ledger, 0, 10) == []
    for _ in range(2):
        assert world.accept(job) == "already-ended"
        assert world.accept(make_job(1, 2)) == "conflicting-duplicate"
        world.restart()
        world.ledger.compact()
        world.restart()
    assert world.ledger.jobs() == []
    world.clock.advance(31 * 86400 * 1000)
    assert world.accept(make_job(2, 1)) == "accepted"
    world.ledger.acknowledge(99)
    assert world.accept(job) == "already-ended"


def test_the_same_job_twice_is_one_job() -> None:
    world = World()
    assert world.accept(make_job(1)) == "accepted"
    assert world.accept(make_job(1)) == "duplicate"
    assert world.accept(make_job(1, 2)) == "conflicting-duplicate"
    world.restart()
    assert world.accept(make_job(1)) == "duplicate"
    assert len(world.ledger.jobs()) == 1
    last = told(world.ledger, 0, 10)[-1]
    assert (last.kind, last.topic, last.reason) == ("refusal", "job", "duplicate")
    assert last.digest == digest_of(make_job(1).encode()) and last.job_id == make_job(1).id


def test_too_many_jobs() -> None:
    world = World(Limits(jobs=2))
    assert [world.accept(make_job(i, 1)) for i in range(3)] == [
        "accepted",
        "accepted",
        "too-many-jobs",
    ]
    world.finish(1, 0)
    assert world.accept(make_job(3, 1)) == "accepted"


def test_no_room_no_job() -> None:
    world = World(Limits(ledger_bytes=20000))
    assert world.accept(make_job(1, 70)) == "accepted"
    assert world.accept(make_job(2, 70)) == "storage-full"
    world = World(Limits(free_bytes=1 << 24))
    assert world.accept(make_job(1)) == "storage-full"
    world = World()
    world.storage.fail_next(ENOSPC)
    assert world.accept(make_job(1)) == "storage-full"
    assert world.accept(make_job(1)) == "accepted"
    assert [r.reason for r in told(world.restart(), 0, 9)] == ["storage-full", "accepted"]


def test_a_window_that_is_not_open_yet() -> None:
    world = World()
    assert world.accept(make_job(1, 1, NOW + 60, NOW + 120)) == "window-not-open"
    assert told(world.ledger, 0, 1)[0].reason == "window-not-open"


def test_cancel_ends_what_is_queued() -> None:
    world = World()
    world.accept(make_job(1, 3))
    world.ledger.started(1, 1)
    assert world.ledger.cancel(make_job(1).id)
    assert world.ledger.cancel(make_job(1).id)
    entry = world.ledger.jobs()[0]
    assert bytes(entry.states) == bytes([State.CANCELED, State.IN_PROGRESS, State.CANCELED])
    reports = told(world.ledger, 0, 10)
    assert [r.state for r in reports] == ["accepted", "canceled", "canceled", "canceled"]
    assert reports[1].detail == "2 canceled, 1 in hand end first"
    ledger = world.restart()
    # The one in hand was interrupted, and is not tried again.
    assert bytes(ledger.jobs()[0].states) == bytes([State.CANCELED] * 3)
    assert told(ledger, 0, 10)[-1].state == "ended"
    assert ledger.cancel(make_job(1).id)  # answered, and it stays so
    assert told(ledger, 0, 10)[-1].state == "ended"


def test_states_go_one_way() -> None:
    world = World()
    world.accept(make_job(1))
    raises(LedgerError, world.ledger.again, 1, 0, "no-answer", 10)
    raises(LedgerError, world.ledger.finished, 1, 0, State.QUEUED, APPLIED)
    world.finish(1, 0)
    raises(LedgerError, world.ledger.started, 1, 0)
    raises(LedgerError, world.ledger.finished, 1, 0, State.FAILED, APPLIED)


def test_a_wait_between_attempts_survives() -> None:
    world = World()
    world.accept(make_job(1))
    world.ledger.started(1, 0)
    world.ledger.again(1, 0, "no-answer", 30500)
    entry = world.ledger.jobs()[0]
    assert entry.due[0] == world.clock.ticks_ms() + 30500
    world.clock.advance(10000)
    for _ in range(2):
        entry = world.restart().jobs()[0]
        assert entry.due[0] == world.clock.ticks_ms() + 21000
        assert world.ledger.reason_of(entry, 0) == "no-answer" and entry.attempts[0] == 1
        world.ledger.compact()


def test_refusals_are_bounded_and_counted() -> None:
    world = World()
    for _ in range(ROUTINE_SIZE + 7):
        world.ledger.refused("job", bytes(32), None, "malformed", "noise")
        world.clock.advance(10_000)
    assert world.ledger.last_number == ROUTINE_SIZE
    assert told(world.ledger, ROUTINE_SIZE - 1, 9)[0].reason == "refusals-dropped"
    world.ledger.event("ledger-cut")
    world.ledger.acknowledge(1)
    last = told(world.ledger, 1, 1000)[-1]
    assert (last.number, last.kind, last.reason) == (ROUTINE_SIZE + 1, "event", "refusals-dropped")
    assert last.detail == "9 refusals or events were only counted: job 8, ledger-cut 1"


def test_refusals_are_written_at_a_bounded_pace() -> None:
    """One topic's flood leaves room for the refusals of another, and hours of it cost few writes;
    what is only counted is reported."""
    world = World()
    for _ in range(1000):
        world.ledger.refused("job", bytes(32), None, "malformed", "noise")
    assert world.ledger.last_number == REFUSALS_AT_ONCE
    world.ledger.refused("cancel", bytes(32), None, "malformed", "noise")
    assert world.ledger.last_number == REFUSALS_AT_ONCE + 1
    last = world.ledger.last_number
    for _ in range(3600):
        world.clock.advance(1000)
        world.ledger.refused("job", bytes(32), None, "malformed", "noise")
        world.ledger.acknowledge(world.ledger.last_number)
    written = world.ledger.last_number - last
    # Every minute so many refusals, and at most as many reports of a count.
    refusals = 60 * REFUSALS_A_MINUTE
    assert refusals <= written <= 2 * (REFUSALS_AT_ONCE + refusals)
    world.clock.advance(60_000)
    world.ledger.tell_dropped()
    last_one = told(world.ledger, 0, 1000)[-1]
    assert last_one.reason == "refusals-dropped" and "job" in last_one.detail


def test_a_replayed_order_is_refused_at_a_bounded_pace() -> None:
    world = World()
    job = make_job(1, 1)
    world.accept(job)
    for _ in range(1000):
        assert world.ledger.accept(job, job.encode()) == "duplicate"
    assert world.ledger.last_number == 1 + REFUSALS_AT_ONCE


def test_a_value_too_large_for_a_report() -> None:
    world = World()
    world.accept(make_job(1, 1))
    world.finish(1, 0, Result(VALUE, "read", "", [bytes(MAX_VALUE), b"1"]))
    report = told(world.ledger, 1, 1)[0]
    assert (report.state, report.reason, report.value) == ("failed", "value-too-large", None)


def test_batches_are_one_sync() -> None:
    world = World()
    world.accept(make_job(1, 100))
    before = world.storage.syncs
    with world.ledger.batch():
        for index in range(100):
            world.finish(1, index)
    assert world.storage.syncs == before + 1
    assert world.restart().last_number == 102


def test_a_failed_write_changes_nothing() -> None:
    world = World()
    world.accept(make_job(1))
    world.finish(1, 0)
    world.storage.fail_next(5)
    raises(OSError, world.ledger.started, 1, 1)
    entry = world.ledger.jobs()[0]
    assert bytes(entry.attempts) == b"\x01\x00\x00" and entry.states[1] == State.QUEUED
    world.finish(1, 1)
    assert len(told(world.restart(), 0, 10)) == 3


def test_a_flash_that_does_not_answer_for_a_while() -> None:
    world = World()
    world.accept(make_job(1))
    world.finish(1, 0)
    world.storage.broken = True
    for _ in range(3):
        raises(OSError, world.ledger.started, 1, 1)
        raises(OSError, world.ledger.reports, 0, 9)
        raises(OSError, world.ledger.acknowledge, 2)
        raises(OSError, world.ledger.event, "clock-set")
    world.storage.broken = False
    assert [r.number for r in told(world.ledger, 0, 9)] == [1, 2]
    world.finish(1, 1)
    with world.ledger.batch():
        world.ledger.started(1, 2)
    assert world.ledger.last_number == 3
    assert [r.number for r in told(world.restart(), 0, 9)] == [1, 2, 3]


def test_a_full_flash_in_the_middle_of_a_batch() -> None:
    world = World(None, False)
    world.accept(make_job(1, 400))
    world.storage.set_capacity(world.ledger.size() + 5000)
    raises(OSError, world.ledger.cancel, make_job(1, 400).id)
    assert world.ledger.jobs()[0].open() == 400 and world.ledger.last_number == 1
    world.storage.set_capacity(1 << 20)
    assert world.ledger.cancel(make_job(1, 400).id)
    ledger = world.restart()
    assert ledger.recovery.notes == []
    assert [r.number for r in told(ledger, 0, 1000)] == list(range(1, 404))


def test_old_segments_go_with_their_reports() -> None:
    world = World(Limits(ledger_bytes=65536))
    world.accept(make_job(1, 40))
    for index in range(39):
        world.finish(1, index, Result(KO, "no-answer", "detail " * 25))
    segments = len(world.segments())
    assert segments > 1
    assert [r.number for r in told(world.ledger, 0, 1000)] == list(range(1, 41))
    ledger = world.restart()
    assert [r.number for r in told(ledger, 0, 1000)] == list(range(1, 41))
    assert [r.number for r in told(ledger, 17, 5)] == [18, 19, 20, 21, 22]
    assert [r.number for r in told(ledger, 3, 2)] == [4, 5]
    ledger.compact()
    assert len(world.segments()) >= segments
    ledger.acknowledge(40)
    assert len(world.segments()) == 1
    ledger = world.restart()
    assert ledger.last_number == 40 and ledger.acknowledged == 40
    world.finish(1, 39)
    assert kinds(ledger) == ["execution succeeded", "job ended"]


def test_size_stays_bounded_over_many_jobs() -> None:
    world = World(Limits(ledger_bytes=65536))
    largest = 0
    for number in range(60):
        world.accept(make_job(number, 8))
        for index in range(8):
            world.finish(number + 1, index)
        world.ledger.acknowledge(world.ledger.last_number)
        largest = max(largest, world.ledger.size())
    assert largest < 30000, largest
    assert world.restart().jobs() == []


def test_damage_is_reported_and_numbers_are_not_given_twice() -> None:
    world = World()
    world.accept(make_job(1))
    for index in range(3):
        world.finish(1, index)
    last = world.ledger.last_number
    name = world.segments()[-1]
    world.storage.damage(name, world.ledger.size() // 2)
    ledger = world.restart()
    assert ledger.recovery.damaged
    reports = told(ledger, 0, 100)
    numbers = [r.number for r in reports]
    lost = [r for r in reports if r.kind == "lost"]
    assert len(lost) == 1 and lost[0].last > last
    assert reports[-1].kind == "event" and reports[-1].reason == "ledger-cut"
    assert numbers == sorted(numbers) and numbers[-1] == lost[0].last + 1
    world.accept(make_job(2))
    assert [r.number for r in told(world.restart(), lost[0].last, 9)] == [
        numbers[-1],
        numbers[-1] + 1,
    ]


def test_ledgers_with_the_clock_unset() -> None:
    world = World()
    world.clock = ManualClock()
    world.ledger = world.open()
    world.accept(make_job(1))
    world.ledger.started(1, 0)
    world.ledger.again(1, 0, "no-answer", 5000)
    assert world.ledger.jobs()[0].due[0] == world.clock.ticks_ms() + 5000
    assert not world.restart().jobs()[0].due  # at once
    assert told(world.ledger, 0, 1)[0].finished_at == 0


def test_a_full_flash_at_the_start_is_waited_for() -> None:
    world = World(Limits(free_bytes=0), False)
    world.accept(make_job(1))
    world.ledger.started(1, 0)
    world.ledger.started(1, 1)
    full = 1 << 24
    world.storage = world.storage.after_cut()
    world.storage.set_capacity(full - world.storage.free())
    ledger = world.ledger = world.open()
    raises(OSError, ledger.settle)
    entry = ledger.jobs()[0]
    assert entry.count(State.IN_PROGRESS) == 2 and entry.open() == 3
    world.storage.set_capacity(full)
    ledger.settle()
    entry = ledger.jobs()[0]
    assert bytes(entry.states) == bytes(3) and bytes(entry.attempts) == b"\x01\x01\x00"
    assert ledger.reason_of(entry, 0) == "interrupted"
    ledger.started(1, 0)
    ledger.settle()  # only once
    assert entry.states[0] == State.IN_PROGRESS


def test_a_flash_that_was_always_full() -> None:
    world = World(Limits(free_bytes=0))
    world.storage = MemoryStorage(4)
    world.ledger = world.open()
    assert world.accept(make_job(1)) == "storage-full"
    world.storage.set_capacity(1 << 20)
    world.ledger.settle()
    epoch = world.ledger.epoch
    assert epoch and world.accept(make_job(1)) == "accepted"
    assert world.restart().epoch == epoch


def test_damage_on_a_full_flash_is_kept_all_the_same() -> None:
    world = World(Limits(free_bytes=0), False)
    for number in range(1, 4):
        world.accept(make_job(number))
    name = "ledger.%08d" % 1
    size = world.storage.size(name)
    world.storage = world.storage.after_cut()
    world.storage.damage(name, 100)
    damaged = world.storage.read(name)
    world.storage.set_capacity(size + 10)
    world.ledger = world.open()
    assert world.ledger.recovery.damaged and world.storage.read(name) == damaged
    world.storage.set_capacity(1 << 20)
    world.ledger.settle()
    world.ledger.acknowledge(world.ledger.last_number)
    world.ledger.compact()
    assert world.storage.read("ledger.bad.%08d" % 1) == damaged
    assert not world.restart().recovery.damaged


def test_short_room_is_reported_before_it_is_gone() -> None:
    world = World(Limits(ledger_bytes=65536))
    assert world.accept(make_job(1, 220)) == "accepted"
    for index in range(220):
        world.finish(1, index, Result(KO, "no-answer", "x" * 200))
    (low,) = [r for r in told(world.ledger, 0, 999) if r.reason == "storage-low"]
    assert low.kind == "event" and low.detail.startswith("the ledger has ")
    assert int(low.detail.split()[3]) < 65536
    world.ledger.acknowledge(world.ledger.last_number)
    world.ledger.compact()
    world.storage.set_capacity(world.storage.free() + 1500)  # free_bytes is 1000
    world.ledger.compact()
    world.ledger.compact()
    assert len([r for r in told(world.ledger, 0, 999) if r.reason == "storage-low"]) == 0


def test_a_checkpoint_is_written_in_pieces() -> None:
    world = World(Limits(ledger_bytes=700000))
    for number in range(5):
        assert world.accept(make_job(number, 500)) == "accepted"
    most = 0
    for index in range(500):
        for seq in (1, 2):
            before = world.ledger.size()
            world.finish(seq, index)
            most = max(most, world.ledger.size() - before)
    assert len(world.segments()) > 1  # segments: there was a checkpoint
    assert 8192 < most < 13000, most  # of 5 * 4000 bytes
    states = [bytes(entry.states) for entry in world.ledger.jobs()]
    assert [bytes(entry.states) for entry in world.restart().jobs()] == states


def test_a_report_that_cannot_be_read_is_a_lost_one_and_the_next_ones_are_told() -> None:
    for lost, expected in (
        ([], [(1, 1), (2, 2), (3, 3)]),
        ([2], [(1, 1), (2, 2), (3, 3)]),
        ([1, 2], [(1, 2), (3, 3)]),
        ([2, 3], [(1, 1), (2, 3)]),
    ):
        world = World()
        for number in (1, 2, 3):
            if number in lost:
                world.ledger._store.write([EVENT, number, NOW])
            else:
                world.ledger.event("event-%d" % number)
        reports = told(world.ledger, 0, 10)
        if lost == [2, 3]:
            assert [(each.number, each.last) for each in reports] == [(1, 1)]
            reports += told(world.ledger, 1, 10)
        assert [(each.number, each.last) for each in reports] == expected, lost
        for each in reports:
            assert (each.kind == "lost") == (each.number in lost), lost


def test_how_many_jobs_and_how_many_that_have_ended_beside_them() -> None:
    world = World(Limits(jobs=2))
    for number in (1, 2):
        assert world.accept(make_job(number, 1)) == "accepted"
    assert world.accept(make_job(3, 1)) == "too-many-jobs"
    # As many again may have ended and wait for their acknowledgement, together not more.
    for number in (1, 2):
        world.finish(number, 0)
    for number in (3, 4):
        assert world.accept(make_job(number, 1)) == "accepted"
        world.finish(number, 0)
    assert world.accept(make_job(5, 1)) == "too-many-jobs"
    world.ledger.acknowledge(world.ledger.last_number)
    assert world.accept(make_job(5, 1)) == "accepted"
