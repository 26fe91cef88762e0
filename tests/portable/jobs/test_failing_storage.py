"""A flash that refuses any one call, whatever it says: what was told is true, and the same call
again does what it would have done."""

from __future__ import annotations

from gateway.audit import Audit, verify
from gateway.contract.job import Canary, Job, State
from gateway.contract.kinds import READ
from gateway.contract.result import KO, OK, VALUE, Result
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Queue
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import EACCES, EIO, ENOSPC, MemoryStorage
from tests.portable.jobs.support import done
from tests.portable.jobs.told import told
from tests.portable.support import random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Step = Callable[["World"], Any]

ERRORS = (EIO, EACCES, ENOSPC)
NOW = 1_700_000_000
log.set_level("error")


class Limits:
    jobs = 8
    ledger_bytes = 65536
    free_bytes = 0


def job(number: int, meters: int, canary: Canary | None = None) -> Job:
    serials = ["M%d-%d" % (number, i) for i in range(meters)]
    objects = [(8, b"\x00\x00\x01\x00\x00\xff", 2)]
    return Job(
        number.to_bytes(16, "big"), READ, "ct-1", NOW, 5, 0, 0, 1, 30, serials, None, objects, None,
        canary,
    )  # fmt: skip


FIRST, SECOND, THIRD = job(1, 3, Canary(1, 100)), job(2, 4), job(3, 2)


class World:
    def __init__(self, storage: MemoryStorage) -> None:
        self.storage = storage
        self.clock = ManualClock(NOW)
        self.open()

    def open(self) -> None:
        self.trail = Audit(self.storage, self.clock, 16384)
        self.ledger = Ledger(
            self.storage, self.clock, lambda n: random_bytes(1, n), Limits(), self.trail
        )
        self.queue = Queue(self.ledger, self.clock, lambda n: random_bytes(7, n))

    def accept(self, order: Job) -> None:
        answer = self.ledger.accept(order, order.encode())
        if answer == "storage-full":  # the HES orders it again
            answer = self.ledger.accept(order, order.encode())
        assert answer in ("accepted", "duplicate"), answer

    def work(self, result: Result) -> None:
        execution = self.queue.take(lambda serial, job: True)
        assert execution is not None
        tries = 0
        while True:
            try:
                done(self.queue, execution, result)
                return
            except OSError:
                tries += 1
                assert tries < 3

    def told(self) -> list[tuple[object, ...]]:
        """What the HES hears of jobs and meters, in order."""
        reports = told(self.ledger, 0, 1000)
        assert [each.number for each in reports] == list(range(1, self.ledger.last_number + 1))
        return [
            (each.kind, each.job_id, each.serial, each.state, each.reason, each.value)
            for each in reports
            if each.kind in ("job", "execution")
        ]


STEPS: list[Step] = [
    lambda world: world.accept(FIRST),
    lambda world: world.work(Result(OK, "applied")),
    lambda world: world.accept(SECOND),
    lambda world: world.work(Result(VALUE, "read", "", [bytes(6000)])),
    lambda world: world.ledger.compact(),
    lambda world: world.ledger.pause(SECOND.id, True, NOW),
    lambda world: world.work(Result(KO, "write-refused", "why")),
    lambda world: world.ledger.pause(SECOND.id, False, NOW + 1),
    lambda world: world.work(Result(VALUE, "read", "", [bytes(20000)])),
    lambda world: world.ledger.cancel(SECOND.id),
    lambda world: world.accept(THIRD),
    lambda world: world.work(Result(OK, "applied")),
    lambda world: world.ledger.compact(),
    lambda world: world.work(Result(OK, "applied")),
]


def live(storage: MemoryStorage, errno: int = 0) -> World:
    world = World(storage)
    for number in range(len(STEPS)):
        for _ in range(3):
            try:
                STEPS[number](world)
                break
            except OSError as error:
                assert error.errno == errno
        else:
            raise AssertionError("step %d does not succeed any more" % number)
    return world


def sweep(check: Callable[[World], None]) -> None:
    storage = MemoryStorage()
    live(storage)
    for errno in ERRORS:
        for at in range(storage.operations):
            failing = MemoryStorage()
            failing.fail_at(at, errno)
            world = live(failing, errno)
            assert failing.failed(), "call %d was not made" % at
            check(world)


def test_the_same_is_told_whatever_call_fails() -> None:
    expected = live(MemoryStorage()).told()
    assert len(expected) == 19

    def check(world: World) -> None:
        assert world.told() == expected
        assert [entry.open() for entry in world.ledger.jobs()] == [0, 0, 0]
        world.storage = world.storage.after_cut()
        world.open()
        assert not world.ledger.recovery.damaged
        assert world.told() == expected

    sweep(check)


def test_what_was_reported_is_on_record_whatever_call_fails() -> None:
    def check(world: World) -> None:
        # The ledger carries what the trail's own file lacks, and gives it back before it lets go.
        world.ledger.acknowledge(world.ledger.last_number)
        world.ledger.compact()
        assert not world.trail.behind and world.ledger.jobs() == []
        trail = [record for _, record in world.trail._journal.records()]
        found = verify(trail)
        assert (found.last, found.head) == (world.trail.records, world.trail.head)

    sweep(check)


def test_a_start_on_a_flash_that_refuses_a_call_is_made_up_for() -> None:
    expected = live(MemoryStorage()).told()
    for errno in ERRORS:
        for at in range(12):
            world = live(MemoryStorage())
            world.ledger.accept(job(4, 2), job(4, 2).encode())
            world.queue.take(lambda serial, job: True)  # in hand when it ends
            world.storage = world.storage.after_cut()
            world.storage.fail_at(at, errno)
            world.open()  # says so in the log, and starts
            for _ in range(3):
                try:
                    world.ledger.settle()
                    break
                except OSError as error:
                    assert error.errno == errno
            else:
                raise AssertionError("it does not settle any more")
            assert world.told()[: len(expected)] == expected
            fourth = world.ledger.jobs()[-1]
            assert fourth.count(State.IN_PROGRESS) == 0 and fourth.open() == 2
