"""Each condition of queue and ledger alone: of a case where all hold, one is taken away."""

from __future__ import annotations

from gateway.contract.job import Job, PackageRef, State
from gateway.contract.kinds import CONFIGURE, IMAGE, READ
from gateway.contract.result import KO, OK, Result
from gateway.contract.window import Daily
from gateway.jobs.queue import Execution
from tests.portable.jobs.support import done
from tests.portable.jobs.test_queue import APPLIED, NO_ANSWER, NOW, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

A_TRANSFER = b"\x01" * 32


def order(world: World, number: int, **changes: Any) -> Job:
    """Of a reading of the meter A, more urgent than the transfer."""
    job = Job(
        number.to_bytes(16, "big"), READ, "ct-1", NOW, 7, 0, 0, 3, 30, ["A"], None,
        [(8, b"\x00\x00\x01\x00\x00\xff", 2)],
    )  # fmt: skip
    for name in changes:
        setattr(job, name, changes[name])
    if job.kind != READ:
        job.objects = []
    assert world.ledger.accept(job, job.encode()) in ("accepted", "window-not-open")
    return job


def transferring(world: World, **changes: Any) -> Execution:
    """An image is on its way to A, priority 5."""
    reference = PackageRef("image", 10, A_TRANSFER)
    job = order(world, 1, kind=IMAGE, priority=5, package=reference, **changes)
    world.queue.release(job.id)
    return world.must_take()


def test_a_transfer_gives_way_to_what_is_more_urgent_and_can_begin_at_its_meter() -> None:
    other_image = PackageRef("image", 10, b"\x02" * 32)
    package = PackageRef("tariff", 10, b"\x03" * 32)
    cases: list[tuple[str, bool, dict[str, Any]]] = [
        ("a more urgent reading", True, {}),
        ("by one level", True, {"priority": 6}),
        ("as urgent as the transfer", False, {"priority": 5}),
        ("less urgent", False, {"priority": 4}),
        ("of another meter", False, {"serials": ["B"]}),
        ("of more meters, A the last", True, {"serials": ["B", "C", "A"]}),
        ("an image too: two at once are too many", False, {"kind": IMAGE, "package": other_image}),
        ("its package is not here", False, {"kind": CONFIGURE, "package": package}),
        ("its window is not open yet", False, {"not_before": NOW + 60}),
        ("its window opens now", True, {"not_before": NOW}),
        ("its window has closed", False, {"not_after": NOW - 1}),
        ("not at this hour", False, {"daily": Daily(0, 60, 127)}),
    ]
    for name, expected, changes in cases:
        world = World()
        execution = transferring(world)
        if changes.get("not_after", NOW) < NOW:
            world.clock.advance(-3000)
            changes = dict(changes, not_after=NOW - 1)
            order(world, 2, **changes)
            world.clock.advance(3000)
        else:
            order(world, 2, **changes)
        assert world.queue.overtaken(execution) == expected, name


def test_a_transfer_gives_way_only_to_what_is_still_to_be_done() -> None:
    def overtaken(how: str) -> bool:
        world = World()
        execution = transferring(world)
        job = order(world, 2, max_attempts=2)
        world.queue.park(execution)
        if how == "released package":
            configure = order(world, 3, kind=CONFIGURE, package=PackageRef("tariff", 10, bytes(32)))
            world.ledger.cancel(job.id)
            world.queue.release(configure.id)
        if how == "canceled":
            world.ledger.cancel(job.id)
        if how == "paused":
            world.ledger.pause(job.id, True, NOW)
        if how == "resumed":
            world.ledger.pause(job.id, True, NOW)
            world.ledger.pause(job.id, False, NOW + 1)
        if how in ("done", "waits", "is due again", "in hand"):
            urgent = world.must_take()
            assert urgent.job.id == job.id
            if how == "done":
                done(world.queue, urgent, APPLIED)
            if how in ("waits", "is due again"):
                done(world.queue, urgent, NO_ANSWER)
            if how == "is due again":
                world.clock.advance(60_000)
        return world.queue.overtaken(execution)

    for how, expected in (
        ("waits for its turn", True),
        ("released package", True),
        ("resumed", True),
        ("is due again", True),
        ("canceled", False),
        ("paused", False),
        ("done", False),
        ("waits", False),
        ("in hand", False),
    ):
        assert overtaken(how) == expected, how


def test_who_may_speak_to_a_meter_in_the_breaks_of_a_transfer() -> None:
    other = PackageRef("image", 10, b"\x02" * 32)
    for name, parked, expected, changes in (
        ("the transfer speaks", False, False, {}),
        ("it has a break", True, True, {}),
        ("a break, but as urgent", True, False, {"priority": 5}),
        ("a break, but another image", True, False, {"kind": IMAGE, "package": other}),
        ("another meter", False, True, {"serials": ["B"]}),
    ):
        world = World()
        execution = transferring(world)
        if parked:
            world.queue.park(execution)
        job = order(world, 2, **changes)
        world.queue.release(job.id)
        assert (world.take() is not None) == expected, name


def test_what_becomes_of_an_attempt() -> None:
    for name, result, attempts, expected in (
        ("it succeeds", Result(OK, "applied"), 3, "succeeded"),
        ("the order does not fit the meter", Result(KO, "wrong-model"), 3, "rejected"),
        ("the meter refuses", Result(KO, "write-refused"), 3, "failed"),
        ("worth another try", Result(KO, "no-answer"), 3, "queued"),
        ("that was the last one", Result(KO, "no-answer"), 1, "failed"),
    ):
        world = World()
        world.job(1, ["A"], attempts=attempts)
        done(world.queue, world.must_take(), result)
        assert world.states(1) == [expected], name


def test_what_becomes_of_an_attempt_whose_job_ends_meanwhile() -> None:
    for name, cancel, window_s, expected in (
        ("canceled", True, 0, "canceled"),
        ("its window closes before the next try", False, 10, "timed-out"),
        ("its window is open for longer", False, 100, "queued"),
        ("it has no window", False, 0, "queued"),
    ):
        world = World()
        job = world.job(1, ["A"], window=(0, NOW + window_s if window_s else 0))
        execution = world.must_take()
        if cancel:
            world.ledger.cancel(job.id)
        done(world.queue, execution, NO_ANSWER)  # the next try would be in 30 s or so
        assert world.states(1) == [expected], name


def test_why_a_job_is_not_taken() -> None:
    """One row for each reason; with `limits` of two jobs."""

    def answer(how: str) -> str:
        world = World()
        world.ledger._limits.jobs = 2
        job = world.job(1, ["A"])
        again = Job.decode(job.encode())
        if how == "the same again":
            return world.ledger.accept(again, job.encode())
        if how == "another under its id":
            again.priority = 6
            return world.ledger.accept(again, again.encode())
        again.id = bytes(15) + b"\x09"
        if how == "a retry of what is open":
            again.retry_of = job.id
        if how == "a retry of what has ended":
            again.retry_of = job.id
            done(world.queue, world.must_take(), APPLIED)
        if how == "a retry of what nobody knows":
            again.retry_of = bytes(16)
        if how == "a third job":
            world.job(2, ["B"])
        if how == "a third, of which one has ended":
            world.job(2, ["B"])
            done(world.queue, world.must_take(), APPLIED)
        return world.ledger.accept(again, again.encode())

    for how, expected in (
        ("as any other", "accepted"),
        ("the same again", "duplicate"),
        ("another under its id", "conflicting-duplicate"),
        ("a retry of what is open", "still-open"),
        ("a retry of what has ended", "accepted"),
        ("a retry of what nobody knows", "accepted"),
        ("a third job", "too-many-jobs"),
        ("a third, of which one has ended", "accepted"),
    ):
        assert answer(how) == expected, how


def test_states_are_counted_one_by_one() -> None:
    world = World()
    world.job(1, ["A", "B", "C"])
    done(world.queue, world.must_take(), APPLIED)
    world.must_take()
    entry = world.ledger.jobs()[0]
    counts = [entry.count(state) for state in range(len(State.NAMES))]
    assert counts[State.QUEUED] == counts[State.IN_PROGRESS] == counts[State.SUCCEEDED] == 1
    assert sum(counts) == 3 and entry.open() == 2


def test_what_waits_for_its_hour_wakes_nobody_before_it() -> None:
    """NOW is 22:13:20 UTC; the window is open until 22:20."""
    world = World()
    world.job(1, ["A"], daily=Daily(22 * 3600, 22 * 3600 + 1200))
    world.clock.advance(399_000)
    done(world.queue, world.must_take(), NO_ANSWER)
    assert world.queue.next_due_ms() == 1000, "then it closes"
    world.clock.advance(1000)
    assert world.states(1) == ["queued"] and len(world.ledger.jobs()[0].due) == 1
    assert world.queue.next_due_ms() == 3_600_000, "it opens tomorrow: at most an hour"
    world.clock.advance((86400 - 1200 - 1800) * 1000)
    assert world.queue.next_due_ms() == 1_800_000
    world.clock.advance(1_800_000)
    assert world.must_take().serial == "A"


def test_a_job_with_nothing_queued_wakes_nobody() -> None:
    world = World()
    world.job(1, ["A", "B"], window=(0, NOW + 100))
    world.must_take()
    assert world.queue.next_due_ms() == 100_000, "B would be timed out then"
    world.must_take()
    assert world.queue.next_due_ms() == 3_600_000


def test_a_job_without_a_date_ages_from_its_acceptance() -> None:
    """Which package is pulled first, while the clock is unset."""
    for not_before, hours, expected in (
        (0, 0, [2, 1]),
        (NOW, 0, [2, 1]),
        (0, 2, [1, 2]),
        (NOW, 2, [1, 2]),
    ):
        world = World(unix=0)
        world.job(1, ["A"], 5, (not_before, 0), package=True)
        world.clock.advance(hours * 3_600_000)
        world.job(2, ["B"], 6, package=True)
        assert [job.id[-1] for job in world.queue.held()] == expected, (not_before, hours)


def test_a_window_closes_to_the_second_also_one_that_will_have_closed_then() -> None:
    for at_s, wait_ms, closed in (
        (99, 0, False),
        (100, 0, True),
        (99, 1, True),
        (98, 1, False),
        (98, 1000, False),
        (98, 1001, True),
    ):
        world = World()
        world.job(1, ["A"], window=(0, NOW + 100))
        world.clock.advance(at_s * 1000)
        (entry,) = world.ledger.jobs()
        assert world.queue._outcomes.closed(entry, wait_ms) == closed, (at_s, wait_ms)
        if not wait_ms:
            assert world.queue._outcomes.closed(entry) == closed, at_s
            world.queue.expire()
            assert world.states(1) == ["timed-out" if closed else "queued"], at_s
