"""What the ledger remembers of jobs that are not in it: no job runs twice as long as it could be
taken, and an order that has come before its job counts when that comes."""

from __future__ import annotations

from gateway.contract.job import State
from gateway.contract.reports import JobReport
from gateway.jobs.memory import EARLY_ORDERS, ENDED_JOBS
from hal.sim.clock import ManualClock
from tests.portable.jobs.test_ledger import NOW, Limits, World, make_job
from tests.portable.jobs.told import told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.job import Job

YEAR_MS = 365 * 86400 * 1000


def ended(world: World, job: Job) -> None:
    """It comes, is done, and is forgotten."""
    assert world.accept(job) == "accepted"
    world.finish(world.ledger.jobs()[-1].seq, 0)
    world.ledger.acknowledge(world.ledger.last_number)
    assert world.ledger.entry(job.id) is None


def issued(number: int, at: int) -> Job:
    job = make_job(number, 1)
    job.issued = at
    return job


def answers(world: World, after: int) -> list[str]:
    return ["%s %s" % (each.state, each.serial) for each in told(world.ledger, after, 999)]


def test_a_job_is_taken_once_however_long_its_window_is() -> None:
    world = World()
    job = make_job(1, 1)  # its window has no end
    ended(world, job)
    for _ in range(3):
        world.clock.advance(YEAR_MS)
        world.restart()
        world.ledger.compact()
        world.restart()
        assert world.accept(job) == "already-ended"
    # A clock that was set back brings no job back.
    world.clock = ManualClock(NOW - 86400)
    world.restart()
    assert world.accept(job) == "already-ended"


def test_whatever_came_in_between_a_job_is_never_taken_twice() -> None:
    world = World(Limits(ledger_bytes=1 << 18))
    jobs = [issued(number, NOW + number) for number in range(ENDED_JOBS + 20)]
    for job in jobs:
        ended(world, job)
    for _ in range(2):
        answered = [world.ledger._why_not(job, job.encode()) for job in jobs]
        assert answered == ["too-old"] * 20 + ["already-ended"] * ENDED_JOBS
        # What nobody has seen is named too old if it could be among those forgotten.
        assert world.accept(issued(5000, NOW + 19)) == "too-old"
        assert world.ledger._why_not(issued(5001, NOW + 20), b"") == ""
        world.restart()
        world.ledger.compact()
        world.restart()
    last = told(world.ledger, 0, 99)[-1]
    assert (last.kind, last.topic, last.reason) == ("refusal", "job", "too-old")


def test_a_cancel_that_comes_first_counts_when_the_job_comes() -> None:
    for unset in (False, True):
        world = World()
        if unset:
            world.clock = ManualClock()
            world.restart()
        job = make_job(1, 3)
        assert world.ledger.cancel(job.id, b"hes-1", NOW)
        for _ in range(2):
            assert world.ledger.cancel(job.id, b"hes-1", NOW)  # played again
            world.restart()
            world.ledger.compact()
            world.restart()
        (report,) = world.ledger.reports(0, 99)
        body = report.body
        assert isinstance(body, JobReport) and body.job_id == job.id
        assert (body.state, body.reason) == ("in-progress", "canceled")
        world.ledger.acknowledge(1)
        world.restart()
        assert world.accept(job) == "accepted"
        assert answers(world, 1) == [
            "accepted ",
            "canceled ",
            "canceled M000",
            "canceled M001",
            "canceled M002",
            "ended ",
        ]
        assert world.accept(job) == "duplicate"
        world.ledger.acknowledge(99)
        last = world.ledger.last_number
        for _ in range(2):
            assert world.ledger.cancel(job.id, b"hes-1", NOW)
            assert world.ledger.pause(job.id, True, NOW + 1) == "unknown-job"
            world.restart()
            world.ledger.compact()
        assert world.ledger.last_number == last and world.ledger.jobs() == []


def test_a_pause_that_comes_first_counts_when_the_job_comes() -> None:
    world = World()
    job = make_job(1, 2)
    assert world.ledger.pause(job.id, True, NOW + 2) == ""
    for _ in range(2):
        assert world.ledger.pause(job.id, True, NOW + 2) == "duplicate"
        assert world.ledger.pause(job.id, False, NOW + 1) == "outdated"
        world.restart()
        world.ledger.compact()
    assert world.accept(job) == "accepted"
    world.restart()
    (entry,) = world.ledger.jobs()
    assert entry.paused and entry.count(State.QUEUED) == 2
    assert [each.state for each in told(world.ledger, 0, 9)] == ["paused", "accepted", "paused"]
    assert world.ledger.pause(job.id, True, NOW + 2) == "duplicate"
    assert world.ledger.pause(job.id, False, NOW + 3) == ""
    assert not world.restart().jobs()[0].paused


def test_a_pause_that_was_lifted_before_the_job_comes() -> None:
    world = World()
    job = make_job(1, 2)
    assert world.ledger.pause(job.id, True, NOW) == ""
    assert world.ledger.pause(job.id, False, NOW + 1) == ""
    assert world.accept(job) == "accepted"
    assert not world.restart().jobs()[0].paused
    assert world.ledger.pause(job.id, True, NOW) == "duplicate"


def test_a_pause_and_then_a_cancel_before_the_job() -> None:
    world = World()
    job = make_job(1, 2)
    assert world.ledger.pause(job.id, True, NOW) == ""
    assert world.ledger.cancel(job.id, b"hes-1", NOW + 1)
    assert world.ledger.pause(job.id, True, NOW) == "duplicate"
    assert world.ledger.pause(job.id, False, NOW + 2) == "unknown-job"
    assert world.accept(job) == "accepted"
    assert world.restart().jobs()[0].final_number


def test_too_many_orders_before_their_jobs_are_named() -> None:
    world = World()
    for number in range(EARLY_ORDERS + 1):
        assert world.ledger.cancel(issued(number, 0).id, b"hes-1", NOW + number)
    for _ in range(2):
        # The first one is forgotten: what it was about was issued before it, and does not run.
        assert world.accept(issued(0, NOW)) == "too-old"
        assert world.accept(issued(900, NOW)) == "too-old"
        world.restart()
        world.ledger.compact()
    assert world.accept(issued(1, NOW - 9)) == "accepted"
    assert world.ledger.jobs()[0].final_number
    assert world.accept(issued(901, NOW + 1)) == "accepted"
    assert not world.ledger.jobs()[1].final_number


def test_an_order_that_was_answered_changes_nothing_when_it_is_played_again() -> None:
    world = World()
    job = make_job(1, 2)
    world.accept(job)
    orders = [(NOW + number, not number & 1) for number in range(6)]
    for at, paused in orders:
        assert world.ledger.pause(job.id, paused, at) == ""
    last = world.ledger.last_number
    for _ in range(2):
        for at, paused in orders + orders[:3]:
            assert world.ledger.pause(job.id, paused, at) == "duplicate"
        assert world.ledger.pause(job.id, True, NOW - 1) == "outdated"  # was never answered
        assert not world.ledger.jobs()[0].paused
        world.restart()
        world.ledger.compact()
    for index in range(2):
        world.finish(1, index)
    world.ledger.acknowledge(world.ledger.last_number)
    assert world.ledger.jobs() == []
    last = world.ledger.last_number
    for at, paused in orders:
        assert world.ledger.pause(job.id, paused, at) == "duplicate"
    assert world.ledger.pause(job.id, True, NOW + 9) == "unknown-job"
    assert not world.ledger.cancel(job.id, b"", NOW)  # it had run to its end
    assert world.ledger.last_number == last


def test_a_cancel_of_what_has_ended_says_so() -> None:
    world = World()
    world.accept(make_job(1, 1))
    world.finish(1, 0)
    assert not world.ledger.cancel(make_job(1).id)
    world.ledger.acknowledge(99)
    assert not world.restart().cancel(make_job(1).id)


def test_what_journals_of_before_remember_counts() -> None:
    """They have the time of the end in place of that of the order."""
    world = World()
    memory = world.ledger._store.contents.memory
    job = make_job(1, 1)
    ended(world, job)
    what = memory.ended[job.id]
    memory.restore([[job.id, what[:16] + (NOW + 500).to_bytes(4, "big")]], [])
    assert world.accept(job) == "already-ended" and not world.ledger.cancel(job.id)
    assert world.ledger.pause(job.id, True, NOW) == "unknown-job"
