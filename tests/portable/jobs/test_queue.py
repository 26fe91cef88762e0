"""gateway.jobs.queue: who is next, and what becomes of an attempt."""

from __future__ import annotations

import asyncio

from gateway.audit import Audit
from gateway.contract.job import Canary, Job, PackageRef, State
from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.result import HINDERED, KO, OK, WAIT, Result
from gateway.contract.window import Daily
from gateway.jobs.ledger import MOST_INTERRUPTED_S, Ledger
from gateway.jobs.outcomes import WAIT_LIMIT_MS
from gateway.jobs.queue import Execution, Queue
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.jobs.support import done, in_work
from tests.portable.jobs.told import told
from tests.portable.support import raises, random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOW = 1_700_000_000
APPLIED = Result(OK, "applied")
NO_ANSWER = Result(KO, "no-answer", "plc: 3 tries")
WRONG_MODEL = Result(KO, "wrong-model")


class Limits:
    jobs = 16
    ledger_bytes = 1 << 20
    free_bytes = 0


class World:
    def __init__(self, unix: int = NOW) -> None:
        self.storage = MemoryStorage()
        self.clock = ManualClock(unix)
        self.open()

    def open(self) -> None:
        random = random_bytes(7, 4096)
        taken = [0]

        def draw(n: int) -> bytes:
            taken[0] += n
            return random[taken[0] - n : taken[0]]

        self.ledger = Ledger(
            self.storage, self.clock, draw, Limits(), Audit(self.storage, self.clock, 16384)
        )
        self.queue = Queue(self.ledger, self.clock, draw)

    def restart(self) -> None:
        self.storage = self.storage.after_cut()
        self.open()

    def job(
        self,
        number: int,
        serials: list[str],
        priority: int = 5,
        window: tuple[int, int] = (0, 0),
        attempts: int = 3,
        package: bool = False,
        daily: Daily | None = None,
        canary: Canary | None = None,
    ) -> Job:
        id = number.to_bytes(16, "big")
        reference = PackageRef("tariff", 10, bytes(32)) if package else None
        objects = [] if package else [(8, b"\x00\x00\x01\x00\x00\xff", 2)]
        kind = CONFIGURE if package else READ
        job = Job(
            id,
            kind,
            "ct-1",
            NOW,
            priority,
            window[0],
            window[1],
            attempts,
            30,
            serials,
            reference,
            objects,
            daily,
            canary,
        )
        assert self.ledger.accept(job, job.encode()) in ("accepted", "window-not-open")
        return job

    def take(self, *unusable: str) -> Execution | None:
        return self.queue.take(lambda serial, job: serial not in unusable)

    def must_take(self, *unusable: str) -> Execution:
        execution = self.take(*unusable)
        assert execution is not None
        return execution

    def states(self, number: int) -> list[str]:
        entry = self.ledger.entry(number.to_bytes(16, "big"))
        assert entry is not None
        return [State.NAMES[state] for state in entry.states]

    def reasons(self) -> list[str]:
        return [r.reason for r in told(self.ledger, 0, 1000) if r.kind == "execution"]


def test_in_order_one_worker_each() -> None:
    world = World()
    world.job(1, ["A", "B", "C"])
    first, second, third = world.must_take(), world.must_take(), world.must_take()
    assert [first.serial, second.serial, third.serial] == ["A", "B", "C"]
    assert world.take() is None and in_work(world.queue) == 3
    done(world.queue, second, APPLIED, "plc", 5)
    done(world.queue, first, WRONG_MODEL)
    assert world.states(1) == ["rejected", "succeeded", "in-progress"]
    raises(ValueError, done, world.queue, first, APPLIED)
    done(world.queue, third, Result(KO, "write-refused"))
    assert world.states(1) == ["rejected", "succeeded", "failed"]
    assert world.reasons() == ["applied", "wrong-model", "write-refused"]
    assert world.take() is None


def test_unusable_meters_are_passed_over() -> None:
    world = World()
    world.job(1, ["A", "B"])
    assert world.must_take("A").serial == "B"
    assert world.take("A") is None
    assert world.must_take().serial == "A"


def test_the_most_urgent_first_and_a_meter_never_twice() -> None:
    world = World()
    world.job(1, ["A", "B"], 3)
    world.job(2, ["A"], 8)
    world.job(3, ["A", "C"], 3)
    urgent = world.must_take()
    assert (urgent.serial, urgent.job.priority) == ("A", 8)
    assert world.must_take().serial == "B"
    assert world.must_take().serial == "C"
    assert world.take() is None  # both others want A
    done(world.queue, urgent, APPLIED)
    older = world.must_take()
    assert (older.serial, older.seq) == ("A", 1)
    assert world.take() is None
    done(world.queue, older, APPLIED)
    assert world.must_take().seq == 3


def test_waiting_jobs_gain_levels_but_not_the_urgent_one() -> None:
    world = World()
    world.job(1, ["A"] + ["A%d" % i for i in range(9)], 2)
    world.clock.advance(3 * 3600 * 1000)
    world.job(2, ["B"], 4)
    assert world.must_take().serial == "A"
    world.job(3, ["C"], 6)
    assert world.must_take().serial == "C"
    world.clock.advance(90 * 3600 * 1000)
    world.job(4, ["D"], 8)
    world.job(5, ["E"], 9)
    assert [world.must_take().serial for _ in range(3)] == ["E", "A0", "A1"]
    world.restart()
    assert world.must_take().serial == "E"
    assert world.must_take().serial == "A"


def test_age_counts_from_the_opening_of_the_window() -> None:
    world = World()
    world.job(1, ["A"], 2, (NOW + 86400, 0))
    world.clock.advance(86400 * 1000)
    world.job(2, ["B"], 3)
    assert world.must_take().serial == "B"


def test_retries_wait_twice_as_long_each_time() -> None:
    world = World()
    world.job(1, ["A"], attempts=4)
    for attempt, wait in [(1, 30), (2, 60), (3, 120)]:
        execution = world.must_take()
        assert execution.attempt == attempt
        done(world.queue, execution, NO_ANSWER, "plc", 9)
        assert world.states(1) == ["queued"]
        due = world.queue.next_due_ms()
        assert wait * 750 <= due <= wait * 1250
        world.clock.advance(due - 1)
        assert world.take() is None
        world.clock.advance(1)
    last = world.must_take()
    done(world.queue, last, NO_ANSWER, "plc", 9)
    assert world.states(1) == ["failed"] and world.reasons() == ["no-answer"]
    report = told(world.ledger, 1, 1)[0]
    assert report.attempts == 4 and report.detail == "plc: 3 tries"


def test_backoff_has_a_limit_and_jitter() -> None:
    world = World()
    world.job(1, ["M%d" % i for i in range(20)], attempts=20)
    waits = set()
    for _ in range(12):
        for _ in range(20):
            done(world.queue, world.must_take(), NO_ANSWER)
        entry = world.ledger.jobs()[0]
        dues = [due - world.clock.ticks_ms() for due in entry.due.values()]
        assert max(dues) <= 3600 * 1250
        waits.add(max(dues))
        assert len(set(dues)) > 10
        world.clock.advance(max(dues))
    assert max(waits) > 3600 * 1000


def test_only_within_the_window() -> None:
    world = World()
    world.job(1, ["A", "B", "C"], 5, (NOW + 100, NOW + 200))
    assert world.take() is None
    assert world.queue.next_due_ms() == 100000
    world.clock.advance(100000)
    in_hand = world.must_take()
    tried = world.must_take()
    done(world.queue, tried, NO_ANSWER)
    assert world.queue.next_due_ms() <= 37500
    world.clock.advance(100000)
    assert world.take() is None
    assert world.states(1) == ["in-progress", "timed-out", "timed-out"]
    done(world.queue, in_hand, APPLIED)
    assert world.states(1) == ["succeeded", "timed-out", "timed-out"]
    assert world.reasons() == ["window-closed", "not-tried", "applied"]
    assert told(world.ledger, 1, 1)[0].detail == "last attempt: no-answer"
    assert told(world.ledger, 0, 99)[-1].detail == "1 succeeded, 2 timed-out"


def test_no_retry_that_would_begin_after_the_window() -> None:
    world = World()
    world.job(1, ["A"], 5, (0, NOW + 10))
    done(world.queue, world.must_take(), NO_ANSWER)
    assert world.states(1) == ["timed-out"] and world.reasons() == ["window-closed"]
    assert told(world.ledger, 1, 1)[0].detail == "last attempt: no-answer: plc: 3 tries"


def test_windows_wait_for_the_date() -> None:
    world = World(0)
    world.job(1, ["A"], 9, (0, NOW + 10))
    world.job(2, ["B"], 9, (NOW - 10, 0))
    world.job(3, ["C"], 1)
    assert world.must_take().serial == "C"
    assert world.take() is None
    world.clock.set_unix_time(NOW)
    assert world.must_take().serial == "A"
    assert world.must_take().serial == "B"


def test_a_job_waits_for_its_package() -> None:
    world = World()
    job = world.job(1, ["A", "B"], 5, (0, NOW + 100), package=True)
    assert world.take() is None
    assert [held.id for held in world.queue.held()] == [job.id]
    world.queue.release(job.id)
    assert world.queue.held() == []
    assert world.must_take().serial == "A"
    world.restart()
    assert len(world.queue.held()) == 1 and world.take() is None
    world.clock.advance(100000)
    assert world.take() is None
    assert world.reasons() == ["package-unavailable", "package-unavailable"]
    job = world.job(2, ["A", "B"], package=True)
    world.queue.fail_job(job.id, "bad-digest", "other bytes")
    assert world.states(2) == ["failed", "failed"]
    assert world.reasons()[-1] == "bad-digest" and world.queue.held() == []


def test_cancel_lets_the_one_in_hand_end() -> None:
    world = World()
    job = world.job(1, ["A", "B", "C"])
    good, bad = world.must_take(), world.must_take()
    assert world.ledger.cancel(job.id)
    assert world.take() is None
    done(world.queue, good, APPLIED)
    done(world.queue, bad, NO_ANSWER)
    assert world.states(1) == ["succeeded", "canceled", "canceled"]
    last = told(world.ledger, 0, 99)[-1]
    assert (last.state, last.reason, last.detail) == (
        "ended",
        "canceled",
        "1 succeeded, 2 canceled",
    )
    assert world.ledger.cancel(job.id)  # answered, and it stays so
    assert told(world.ledger, 0, 99)[-1].number == last.number


VERIFYING = Result(WAIT, "image-verifying", wait_s=30)


def test_a_meter_that_needs_time_is_asked_again_and_it_costs_no_attempt() -> None:
    world = World()
    world.job(1, ["A", "B"], attempts=1)
    for _ in range(5):
        execution = world.must_take("B")
        assert execution.attempt == 1
        done(world.queue, execution, VERIFYING)
        assert world.states(1) == ["queued", "queued"]
        assert world.take("B") is None  # others have their turn
        world.clock.advance(30_000)
    assert world.reasons() == []
    world.restart()
    execution = world.must_take("B")
    assert (execution.attempt, execution.again) == (1, True)
    done(world.queue, execution, APPLIED)
    assert world.states(1) == ["succeeded", "queued"]
    other = world.must_take()
    assert (other.attempt, other.again) == (1, False)


def test_waiting_has_an_end() -> None:
    world = World()
    world.job(1, ["A"], attempts=1)
    for _ in range(1 + WAIT_LIMIT_MS // 30_000):
        done(world.queue, world.must_take(), VERIFYING)
        world.clock.advance(30_000)
    assert world.states(1) == ["failed"] and world.reasons() == ["image-stuck"]


def test_a_model_may_want_more_time() -> None:
    """Silence in between does not take it away."""
    slow = Result(WAIT, "image-verifying", wait_s=30, limit_s=2 * WAIT_LIMIT_MS // 1000)
    world = World()
    world.job(1, ["A"], attempts=1)
    for turn in range(2 * WAIT_LIMIT_MS // 60_000):
        done(world.queue, world.must_take(), NO_ANSWER if turn % 2 else slow)
        world.clock.advance(60_000)
        assert world.states(1) == ["queued"], turn
    done(world.queue, world.must_take(), slow)
    assert world.states(1) == ["failed"] and world.reasons() == ["image-stuck"]


def test_a_meter_that_is_silent_while_it_verifies_or_starts_has_not_failed() -> None:
    for waits in (VERIFYING, Result(WAIT, "image-activating", wait_s=30)):
        world = World()
        world.job(1, ["A"], attempts=1)
        done(world.queue, world.must_take(), waits)
        world.clock.advance(30_000)
        for reason in ("no-answer", "link-lost", "meter-busy", "association-lost"):
            done(world.queue, world.must_take(), Result(KO, reason))
            assert world.states(1) == ["queued"] and world.take() is None, reason
            world.clock.advance(60_000)
        done(world.queue, world.must_take(), APPLIED)
        assert world.states(1) == ["succeeded"]
    world = World()
    world.job(1, ["A"], attempts=1)
    done(world.queue, world.must_take(), VERIFYING)
    world.clock.advance(30_000)
    for _ in range(1 + WAIT_LIMIT_MS // 60_000):
        done(world.queue, world.must_take(), NO_ANSWER)
        world.clock.advance(60_000)
    assert world.states(1) == ["failed"] and world.reasons() == ["image-stuck"]


def test_what_hinders_us_meanwhile_does_not_forget_what_the_meter_is_at() -> None:
    world = World()
    world.job(1, ["A"], attempts=1)
    done(world.queue, world.must_take(), VERIFYING)
    world.clock.advance(30_000)
    done(world.queue, world.must_take(), Result(HINDERED, "modem-gone"))
    world.clock.advance(5_000)
    done(world.queue, world.must_take(), NO_ANSWER)
    assert world.states(1) == ["queued"], "silent, as it may be while it verifies"
    world.clock.advance(60_000)
    done(world.queue, world.must_take(), APPLIED)
    assert world.states(1) == ["succeeded"]


def test_the_wait_for_a_set_time_is_none_for_the_meter() -> None:
    """It has waited for ten hours; now it starts the image, and has its time for that."""
    world = World()
    world.job(1, ["A"], attempts=1)
    done(world.queue, world.must_take(), Result(WAIT, "activation-waits", wait_s=36_000))
    world.clock.advance(36_000_000)
    done(world.queue, world.must_take(), Result(WAIT, "image-activating", wait_s=30))
    assert world.states(1) == ["queued"]
    world.clock.advance(30_000)
    done(world.queue, world.must_take(), APPLIED)
    assert world.states(1) == ["succeeded"]


def test_waiting_for_a_set_time_has_that_end_only() -> None:
    world = World()
    world.job(1, ["A"], attempts=1)
    for _ in range(100):
        done(world.queue, world.must_take(), Result(WAIT, "activation-waits", wait_s=600))
        world.clock.advance(600_000)
    done(world.queue, world.must_take(), APPLIED)
    assert world.states(1) == ["succeeded"]


def test_waiting_ends_with_the_window_and_with_a_cancel() -> None:
    world = World()
    world.job(1, ["A"], window=(0, NOW + 60))
    done(world.queue, world.must_take(), VERIFYING)
    world.clock.advance(30_000)
    done(world.queue, world.must_take(), Result(WAIT, "image-verifying", wait_s=31))
    assert world.states(1) == ["timed-out"] and world.reasons() == ["window-closed"]
    world = World()
    job = world.job(1, ["A"])
    execution = world.must_take()
    world.ledger.cancel(job.id)
    done(world.queue, execution, VERIFYING)
    assert world.states(1) == ["canceled"]


def test_a_transfer_takes_all_executions_of_its_job() -> None:
    world = World()
    world.job(1, ["A", "B", "C", "D"])
    asked: list[int] = []

    def together(execution: Execution) -> Any:
        asked.append(world.queue.due(execution))
        return lambda serial: serial != "C"

    first = world.queue.take(lambda serial, job: True, together)
    assert first is not None and asked == [3]
    others = first.others
    assert [other.serial for other in others] == ["B", "D"]
    assert in_work(world.queue) == 3 and world.queue.due(first) == 1
    assert world.must_take().serial == "C"
    world.queue.park(others[0])
    done(world.queue, others[0], APPLIED)
    assert world.queue.unpark(others[1])
    done(world.queue, others[1], APPLIED)
    assert world.states(1) == ["in-progress", "succeeded", "in-progress", "succeeded"]
    raises(ValueError, done, world.queue, others[0], APPLIED)


def test_between_two_conversations_an_urgent_job_may_have_the_meter() -> None:
    world = World()
    world.job(1, ["A"], priority=5)
    transfer = world.must_take()
    world.job(2, ["A"], priority=9)
    world.job(3, ["A"], priority=5)
    assert world.take() is None  # a conversation is under way
    world.queue.park(transfer)
    urgent = world.must_take()
    assert urgent.job.priority == 9
    assert not world.queue.unpark(transfer)
    assert world.take() is None  # one who is as patient as the transfer waits for its end
    done(world.queue, urgent, APPLIED)
    assert world.take() is None
    assert world.queue.unpark(transfer)
    done(world.queue, transfer, APPLIED)
    assert world.must_take().job.priority == 5


def test_a_transfer_is_told_how_its_job_stands() -> None:
    world = World()
    job = world.job(1, ["A", "B"], window=(0, NOW + 60))
    transfer = world.must_take()
    assert world.queue.signal(transfer) == "go"
    world.ledger.pause(job.id, True, NOW)
    assert world.queue.signal(transfer) == "pause"
    world.ledger.pause(job.id, False, NOW + 1)
    assert world.queue.signal(transfer) == "go"
    world.clock.advance(60_000)
    assert world.queue.signal(transfer) == "stop"
    world = World()
    job = world.job(1, ["A", "B"])
    transfer = world.must_take()
    world.ledger.cancel(job.id)
    assert world.queue.signal(transfer) == "stop"


def test_an_attempt_that_a_restart_breaks_off_costs_no_try() -> None:
    world = World()
    world.job(1, ["A"], attempts=1)
    for attempt in range(1, 11):
        execution = world.must_take()
        assert (execution.attempt, execution.tries) == (attempt, 1)
        world.restart()
        if attempt == 5:
            world.ledger.compact()
            world.restart()
        world.clock.advance(MOST_INTERRUPTED_S * 1000)
    done(world.queue, world.must_take(), NO_ANSWER)
    assert world.states(1) == ["failed"] and world.reasons() == ["no-answer"]


def test_who_is_in_hand_at_one_restart_after_the_other_waits_and_the_others_go_on() -> None:
    world = World()
    world.job(1, ["A", "B"])
    waited = []
    for _ in range(13):
        seconds = 0
        while (execution := world.take("B")) is None:
            world.clock.advance(1000)
            seconds += 1
        assert execution.serial == "A"
        waited.append(seconds)
        world.restart()
    assert waited[:4] == [0, 0, 0, 0] and waited[4:7] == [15, 30, 60]
    assert waited[-1] == MOST_INTERRUPTED_S
    assert world.must_take().serial == "B", "A waits, B does not"


def test_a_job_that_makes_the_gateway_restart_is_not_tried_for_ever() -> None:
    world = World()
    world.job(1, ["A"])
    (entry,) = world.ledger.jobs()
    entry.attempts[0] = entry.uncounted[0] = 254
    assert world.must_take().attempt == 255
    world.restart()
    world.clock.advance(MOST_INTERRUPTED_S * 1000)
    assert world.take() is None
    assert world.states(1) == ["failed"] and world.reasons() == ["interrupted"]


def test_changed_counts_from_the_call() -> None:
    async def body() -> None:
        world = World()
        early = world.queue.changed()
        world.job(1, ["A"])
        await early
        waiting = [asyncio.create_task(world.queue.changed()) for _ in range(2)]
        await world.clock.settle()
        assert [task.done() for task in waiting] == [False, False]
        await world.queue.finish(world.must_take(), NO_ANSWER)
        for task in waiting:
            await task

    run(body())


HOUR = 3600


def test_every_night_until_it_is_done() -> None:
    """NOW is 22:13:20 UTC on a Tuesday."""
    world = World()
    world.job(1, ["A", "B", "C"], window=(0, NOW + 60 * HOUR), daily=Daily(22 * HOUR, 5 * HOUR))
    in_hand = world.must_take()
    until_five = (29 * HOUR - (22 * HOUR + 800)) * 1000
    assert world.queue.next_due_ms() == min(until_five, HOUR * 1000)
    world.clock.advance(until_five)
    assert world.take() is None and world.states(1) == ["in-progress", "queued", "queued"]
    done(world.queue, in_hand, APPLIED)  # the meter in hand is finished
    assert world.states(1)[0] == "succeeded"
    world.restart()
    assert world.take() is None
    world.clock.advance(16 * HOUR * 1000)
    assert world.queue.next_due_ms() == HOUR * 1000
    world.clock.advance(HOUR * 1000)
    done(world.queue, world.must_take(), NO_ANSWER)
    world.clock.advance(7 * HOUR * 1000 - 1)
    done(world.queue, world.must_take(), NO_ANSWER)  # is tried again the next night
    assert world.states(1) == ["succeeded", "queued", "queued"]
    world.clock.advance(24 * HOUR * 1000 + 1)  # the last night is over
    assert world.take() is None
    assert world.reasons() == ["applied", "window-closed", "window-closed"]
    assert world.ledger.jobs()[0].final_number


def test_no_retry_after_the_last_night() -> None:
    world = World()
    world.job(1, ["A"], window=(0, NOW + 12 * HOUR), daily=Daily(22 * HOUR, 22 * HOUR + 810))
    done(world.queue, world.must_take(), NO_ANSWER)
    assert world.states(1) == ["timed-out"]


def canary_world(percent: int = 50) -> World:
    world = World()
    world.job(1, ["A", "B", "C", "D"], canary=Canary(2, percent), attempts=1)
    return world


def last_reports(world: World) -> list[tuple[str, str]]:
    """(reason, detail) of what was told of whole jobs."""
    return [(r.reason, r.detail) for r in told(world.ledger, 0, 1000) if r.kind == "job"]


def test_the_others_wait_for_the_canary() -> None:
    world = canary_world(100)
    first, second = world.must_take(), world.must_take()
    assert (first.serial, second.serial) == ("A", "B") and world.take() is None
    done(world.queue, second, APPLIED)
    assert world.take() is None
    world.restart()
    first = world.must_take()
    assert first.serial == "A" and world.take() is None
    done(world.queue, first, APPLIED)
    told = ("canary-passed", "2 of the first 2 meters succeeded, 2 had to")
    assert last_reports(world)[1:] == [told]
    world.restart()
    assert [world.must_take().serial for _ in range(2)] == ["C", "D"]
    assert last_reports(world)[1:] == [told]


def test_enough_is_enough() -> None:
    world = canary_world()
    world.must_take()
    done(world.queue, world.must_take(), APPLIED)
    assert world.must_take().serial == "C"


def test_a_bad_canary_ends_the_rest() -> None:
    world = canary_world(100)
    first, second = world.must_take(), world.must_take()
    done(world.queue, second, Result(KO, "write-refused"))
    assert world.states(1) == ["in-progress", "failed", "canceled", "canceled"]
    assert world.reasons() == ["write-refused", "canary-failed", "canary-failed"]
    assert world.take() is None
    world.restart()  # the power went with the first in hand: it was stopped, too
    assert world.states(1)[0] == "canceled"
    assert last_reports(world)[1:] == [
        ("canary-failed", "0 of the first 2 meters succeeded, 2 had to"),
        ("canary-failed", "1 failed, 3 canceled"),
    ]
    world = canary_world(100)
    first, second = world.must_take(), world.must_take()
    done(world.queue, second, Result(KO, "write-refused"))
    done(world.queue, first, NO_ANSWER)
    assert world.reasons()[-1] == "canary-failed"
    assert told(world.ledger, 0, 99)[-2].detail == "last attempt: no-answer: plc: 3 tries"


def test_a_canary_has_not_failed_when_all_ends_for_another_reason() -> None:
    world = World()
    job = world.job(1, ["A", "B", "C"], package=True, canary=Canary(1, 100))
    world.queue.fail_job(job.id, "bad-digest")
    assert world.reasons() == 3 * ["bad-digest"]
    assert [reason for reason, _ in last_reports(world)] == ["accepted", "ended"]
    world.job(2, ["A", "B", "C"], canary=Canary(1, 100), window=(0, NOW + 9))
    world.clock.advance(9000)
    assert world.take() is None
    assert world.reasons()[3:] == 3 * ["not-tried"]


def test_a_meter_nobody_knows_is_no_canary() -> None:
    world = canary_world(100)
    world.ledger.finished(1, 0, State.REJECTED, Result(KO, "unknown-meter"))
    assert [world.must_take().serial for _ in range(2)] == ["B", "C"]
    assert world.take() is None


def test_paused_and_resumed() -> None:
    world = World()
    job = world.job(1, ["A", "B", "C"])
    in_hand = world.must_take()
    assert world.ledger.pause(job.id, True, NOW) == ""
    assert world.take() is None
    done(world.queue, in_hand, APPLIED)
    assert world.states(1) == ["succeeded", "queued", "queued"]
    world.restart()
    world.ledger.compact()
    world.restart()
    assert world.take() is None
    assert world.ledger.pause(job.id, True, NOW) == "duplicate"
    assert world.ledger.pause(job.id, False, NOW) == "outdated"
    assert world.ledger.pause(job.id, False, NOW + 2) == ""
    assert world.ledger.pause(job.id, True, NOW + 1) == "outdated"  # overtaken on its way
    assert world.must_take().serial == "B"
    assert last_reports(world)[1:] == [
        ("paused", "2 wait, 1 in hand end first"),
        ("resumed", "2 wait"),
    ]


def test_a_paused_job_can_be_canceled_and_its_window_closes() -> None:
    world = World()
    job = world.job(1, ["A", "B"], window=(0, NOW + 100))
    world.ledger.pause(job.id, True, NOW)
    world.clock.advance(100000)
    assert world.take() is None and world.reasons() == ["not-tried", "not-tried"]
    job = world.job(2, ["A"])
    world.ledger.pause(job.id, True, NOW)
    assert world.ledger.cancel(job.id) and world.states(2) == ["canceled"]
    assert world.ledger.pause(job.id, False, NOW + 9) == "unknown-job"


def test_a_forecast_from_what_meters_took() -> None:
    world = World()
    new = world.job(1, ["A", "B"])
    assert world.queue.forecast(new) == ("", "")
    first, second = world.must_take(), world.must_take()
    done(world.queue, first, APPLIED, "plc", 8000)  # two at once: one every four seconds
    done(world.queue, second, APPLIED, "plc", 4000)
    serials = ["M%d" % i for i in range(100)]
    assert world.queue.forecast(read_job(serials)) == ("", "expected to end in 6 min")
    assert world.queue.forecast(read_job(serials, NOW + 60)) == (
        "window-short",
        "about 15 of 100 meters have their turn within the window, at 4000 ms a meter",
    )
    world.job(2, ["Z%d" % i for i in range(10)], 7)  # goes first
    assert world.queue.forecast(read_job(serials, NOW + 60))[1].startswith("about 5 of 100")
    short = Daily(22 * HOUR, 22 * HOUR + 1000)  # 200 seconds are left of it
    nights = world.queue.forecast(read_job(serials, 0, short))
    assert nights == ("", "expected to end in 23 h")


def read_job(serials: list[str], not_after: int = 0, daily: Daily | None = None) -> Job:
    objects = [(8, b"\x00\x00\x01\x00\x00\xff", 2)]
    id = bytes(15) + b"\x99"
    return Job(id, READ, "ct-1", NOW, 5, 0, not_after, 3, 30, serials, None, objects, daily)
