"""What hinders us is no attempt: it costs no try, waits until it is over, and is told."""

from __future__ import annotations

from gateway.contract.reasons import next_step
from gateway.contract.result import HINDERED, KO, OK, Result
from gateway.jobs.queue import Queue
from gateway.jobs.remaining import Standing
from tests.portable.jobs.support import done
from tests.portable.jobs.test_queue import NOW, World
from tests.portable.jobs.told import told

SPENT = Result(HINDERED, "radio-budget", "rf: spent", None, 3420)
GONE = Result(HINDERED, "modem-gone")
NO_ANSWER = Result(KO, "no-answer")
# silent over PLC, while RF was hindered
HALF = Result(KO, "no-answer", "plc: silence", None, 3420, "radio-budget")


def waited(world: World) -> int:
    """Seconds until the only meter may be tried again."""
    seconds = 0
    while (execution := world.take()) is None:
        world.clock.advance(1000)
        seconds += 1
    assert execution.attempt == execution.tries == 1
    world.execution = execution  # type: ignore[attr-defined]
    return seconds


def test_it_waits_until_it_is_over_and_costs_no_try() -> None:
    world = World()
    world.job(1, ["A"], attempts=1)
    for _ in range(300):
        execution = world.must_take()
        assert (execution.attempt, execution.tries) == (1, 1)
        done(world.queue, execution, SPENT)
        assert world.take() is None
        world.clock.advance(3_420_000 - 1)
        assert world.take() is None
        world.clock.advance(1)
    done(world.queue, world.must_take(), Result(OK, "applied"))
    assert world.states(1) == ["succeeded"] and world.reasons() == ["applied"]
    assert told(world.ledger, 0, 10)[1].attempts == 1


def test_who_is_hindered_for_longer_is_looked_at_more_seldom() -> None:
    for result, first, last in (
        (GONE, [0, 5, 10, 20], 60),
        (Result(HINDERED, "too-long"), [0, 30, 60, 120], 3600),
        (Result(HINDERED, "radio-budget", "", None, 1), [0, 1, 2, 4], 60),
    ):
        world = World()
        world.job(1, ["A"])
        pauses = []
        for _ in range(12):
            pauses.append(waited(world))
            done(world.queue, world.execution, result)  # type: ignore[attr-defined]
        assert pauses[:4] == first and pauses[-1] == last
        waited(world)
        done(world.queue, world.execution, NO_ANSWER)  # type: ignore[attr-defined]
        world.clock.advance(60_000)
        done(world.queue, world.must_take(), result)
        assert world.queue.next_due_ms() == first[1] * 1000, "it begins anew"


def test_what_is_over_before_its_time() -> None:
    world = World()
    world.job(1, ["A", "B", "C"])
    for result in (Result(HINDERED, "unknown-model"), GONE, NO_ANSWER):
        done(world.queue, world.must_take(), result)
    assert world.take() is None
    world.queue.over("unknown-model")
    assert world.must_take().serial == "A" and world.take() is None


def test_an_end_that_a_modem_puts_off_for_years_is_not_believed() -> None:
    world = World()
    world.job(1, ["A"])
    done(world.queue, world.must_take(), Result(HINDERED, "radio-budget", "", None, 1 << 31))
    assert world.queue.next_due_ms() == 3_600_000
    world.clock.advance(3_600_000)
    done(world.queue, world.must_take(), Result(OK, "applied"))
    assert world.states(1) == ["succeeded"]


def test_a_restart_does_not_forget_it() -> None:
    world = World()
    world.job(1, ["A"], attempts=1)
    done(world.queue, world.must_take(), SPENT)
    world.restart()
    assert world.take() is None
    (entry,) = world.ledger.jobs()
    assert world.ledger.reason_of(entry, 0) == "radio-budget" and entry.tries(0) == 0
    world.clock.advance(3_420_000)
    assert world.must_take().tries == 1


def test_the_window_closes_and_it_was_not_tried() -> None:
    world = World()
    world.job(1, ["A", "B"], window=(0, NOW + 60))
    done(world.queue, world.must_take(), SPENT)
    done(world.queue, world.must_take(), NO_ANSWER)
    world.clock.advance(40_000)
    done(world.queue, world.must_take(), SPENT)
    assert world.states(1) == ["queued", "queued"]
    world.clock.advance(60_000)
    world.queue.expire()
    assert world.states(1) == ["timed-out", "timed-out"]
    assert world.reasons() == ["not-tried", "window-closed"]
    first, second = [report for report in told(world.ledger, 0, 10) if report.kind == "execution"]
    assert first.detail == "hindered: radio-budget"
    assert second.detail == "last attempt: radio-budget"
    assert next_step("not-tried") == next_step("window-closed") == "retry"


def test_who_never_began_tells_what_was_in_the_way() -> None:
    world = World()
    world.queue = Queue(
        world.ledger,
        world.clock,
        lambda n: bytes(n),
        standing=lambda job, serial: Standing("no-slot" if serial == "A" else "", 0, False),
    )
    world.job(1, ["A", "B"], window=(0, NOW + 60))
    world.clock.advance(60_000)
    world.queue.expire()
    details = [report.detail for report in told(world.ledger, 0, 10) if report.kind == "execution"]
    assert details == ["hindered: no-slot", ""]


def test_a_meter_is_not_given_up_before_the_path_that_was_hindered_was_tried() -> None:
    world = World()
    world.job(1, ["A"], attempts=3)
    for attempt in (1, 2, 3):
        execution = world.must_take()
        assert (execution.attempt, execution.tries) == (attempt, attempt)
        done(world.queue, execution, HALF)
        if attempt < 3:
            world.clock.advance(150_000)
    assert world.states(1) == ["queued"]
    (entry,) = world.ledger.jobs()
    assert world.ledger.reason_of(entry, 0) == "radio-budget"
    world.clock.advance(3_420_000 - 1)
    assert world.take() is None
    world.clock.advance(1)
    execution = world.must_take()
    assert execution.tries == 3
    done(world.queue, execution, NO_ANSWER)
    assert world.states(1) == ["failed"] and world.reasons() == ["no-answer"]


def test_what_is_stopped_does_not_wait() -> None:
    for result in (SPENT, HALF):
        world = World()
        job = world.job(1, ["A"], attempts=1)
        execution = world.must_take()
        world.ledger.cancel(job.id)
        done(world.queue, execution, result)
        assert world.states(1) == ["canceled"] and world.reasons() == ["canceled"]


def test_nothing_is_kept_of_jobs_that_have_ended() -> None:
    world = World()
    world.job(1, ["A"], window=(0, NOW + 60))
    done(world.queue, world.must_take(), SPENT)
    world.clock.advance(60_000)
    world.queue.expire()
    world.queue.expire()
    assert world.queue._outcomes._hindered == {}


def test_it_has_its_turn_as_soon_as_it_is_over_among_many() -> None:
    world = World()
    world.job(1, ["M%d" % number for number in range(10)])
    first = world.must_take()
    others = [world.must_take() for _ in range(5)]
    done(world.queue, first, GONE)
    for execution in others:
        done(world.queue, execution, Result(OK, "applied"))
    world.clock.advance(4_999)
    assert world.must_take().serial == "M6"
    world.clock.advance(1)
    assert world.must_take().serial == first.serial
