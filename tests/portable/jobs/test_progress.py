"""How far the jobs are, and when they are likely to end."""

from __future__ import annotations

from gateway.contract.kinds import READ
from gateway.contract.limits import MOST_JOBS, MOST_REASONS
from gateway.contract.messages import Progress
from gateway.contract.result import KO, VALUE, WAIT, Result
from gateway.contract.window import Daily
from gateway.jobs.forecast import Durations
from gateway.jobs.queue import Queue
from gateway.uplink.progress_pace import EVERY_MS, LOOK_MS, ProgressPace
from tests.portable.jobs.support import done
from tests.portable.jobs.test_queue import HOUR, NOW, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READ_IT = Result(VALUE, "read", "", [b"\x00"])


class Known(World):
    """A meter takes 10 s."""

    def open(self) -> None:
        super().open()
        self.durations = Durations(self.clock)
        self.durations.note(READ, 10_000, 1)
        self.queue = Queue(
            self.ledger, self.clock, lambda n: bytes([128] * n), durations=self.durations
        )

    def left(self) -> list[int]:
        """Seconds to the end of each job, the most urgent first."""
        now = self.clock.unix_time()
        return [each.end and each.end - now for each in self.queue.progress()]


def names(count: int, letter: str = "M") -> list[str]:
    return ["%s%d" % (letter, number) for number in range(count)]


def test_what_is_left_after_what_is_before_it() -> None:
    world = Known()
    world.job(1, names(6))
    world.job(2, names(3, "N"), priority=7)
    assert world.left() == [30, 90]
    done(world.queue, world.must_take(), READ_IT, "plc", 10_000)
    (urgent, other) = world.queue.progress()
    assert (urgent.queued, urgent.in_hand, urgent.done, urgent.permille) == (2, 0, 1, 333)
    assert urgent.phase == "" and other.queued == 6 and world.left() == [20, 80]


def test_nothing_is_promised_where_nothing_is_known() -> None:
    world = World()
    world.job(1, names(3))
    assert [each.end for each in world.queue.progress()] == [0]
    known = Known()
    known.clock.unset = True  # type: ignore[attr-defined]
    known.job(1, names(3), package=True)
    known.job(2, names(3, "N"), priority=2)
    assert known.left() == [0, 0]  # of configurations nothing is known, nor of what comes after


def test_a_paused_job_has_no_end_and_delays_none() -> None:
    world = Known()
    world.job(1, names(3), priority=7)
    world.job(2, names(2, "N"))
    world.ledger.pause((1).to_bytes(16, "big"), True, NOW)
    assert world.left() == [0, 20]


def test_windows_and_the_end_of_the_last_one() -> None:
    world = Known()  # it is 22:13:20
    world.job(1, names(3), window=(0, NOW + 40 * HOUR), daily=Daily(23 * HOUR, 5 * HOUR))
    assert world.left() == [46 * 60 + 40 + 30]
    world = Known()
    world.job(1, names(30), window=(0, NOW + 100))
    assert world.left() == [100]


def test_who_waits_and_for_what() -> None:
    world = Known()
    world.job(1, names(9))
    for number, reason in enumerate(
        ("no-answer", "no-answer", "link-lost", "meter-busy", "modem-gone", "interrupted")
    ):
        execution = world.must_take()
        done(world.queue, execution, Result(KO, reason), "plc", 10_000)
        assert execution.serial == "M%d" % number
    done(world.queue, world.must_take(), Result(WAIT, "activation-waits", wait_s=7200), "plc", 10)
    (progress,) = world.queue.progress()
    assert progress.queued == 9 and len(progress.waiting) == MOST_REASONS
    assert progress.waiting[0] == ["no-answer", 2] and ["activation-waits", 1] in progress.waiting
    assert world.left() == [7200]


def test_a_transfer_to_many_tells_its_phase() -> None:
    world = Known()
    world.job(1, names(4))
    execution = world.must_take()
    world.queue.transfers(execution, lambda: ("survey", 5_000, 0))
    (progress,) = world.queue.progress()
    assert (progress.phase, progress.end) == ("survey", 0)
    world.queue.transfers(execution, lambda: ("blocks", 30_000, 90_000))
    (progress,) = world.queue.progress()
    assert (progress.phase, progress.permille) == ("blocks", 250) and world.left() == [90]
    world.queue.transfers(execution, None)
    assert world.queue.progress()[0].phase == ""


def test_told_at_once_and_then_once_a_minute_if_it_has_changed() -> None:
    world = Known()
    pace = ProgressPace(world.queue, world.clock)
    told: list[tuple[int, list[Any]]] = []

    def minutes(count: int) -> None:
        for _ in range(count * 60_000 // LOOK_MS):
            message = pace.message()
            if message is not None:
                content = Progress.decode(message.encode())
                told.append((world.clock.ticks_ms(), content.jobs))
            world.clock.advance(LOOK_MS)

    minutes(3)
    assert told == []
    world.job(1, names(3))
    minutes(1)
    assert len(told) == 1 and told[0][1][0][3] == 3
    done(world.queue, world.must_take(), READ_IT, "plc", 10_000)
    done(world.queue, world.must_take(), READ_IT, "plc", 10_000)
    minutes(1)
    assert len(told) == 2 and told[1][0] - told[0][0] >= EVERY_MS
    assert told[1][1][0][3:6] == [1, 0, 2]
    world.job(2, ["N"])
    minutes(1)
    assert len(told) == 3 and told[2][1][0][0] == (2).to_bytes(16, "big")
    minutes(9)  # nothing is done, so the end moves
    later = len(told)
    assert later <= 3 + 9
    pace.connected()
    minutes(1)
    assert [len(jobs) for _, jobs in told[later:]] == [2]


def test_many_jobs_are_a_few_hundred_bytes() -> None:
    world = Known()
    for number in range(MOST_JOBS):
        world.job(number + 1, ["M%d" % number])
    assert len(world.queue.progress()) == MOST_JOBS
    pace = ProgressPace(world.queue, world.clock)
    message = pace.message()
    assert message is not None and len(message.encode()) < 40 * MOST_JOBS


def test_what_is_worth_telling() -> None:
    """Each row changes one thing; an end that moves by two minutes, or by a tenth of what is left,
    has not moved."""
    for changes, end, told_end, expected in (
        ({}, NOW + 600, NOW + 600, False),
        ({"phase": "blocks"}, NOW + 600, NOW + 600, True),
        ({"permille": 1}, NOW + 600, NOW + 600, True),
        ({"queued": 1}, NOW + 600, NOW + 600, True),
        ({"in_hand": 1}, NOW + 600, NOW + 600, True),
        ({"done": 1}, NOW + 600, NOW + 600, True),
        ({"waiting": [["no-answer", 1]]}, NOW + 600, NOW + 600, True),
        ({}, NOW + 720, NOW + 600, False),
        ({}, NOW + 721, NOW + 600, True),
        ({}, NOW + 600, NOW + 720, False),
        ({}, NOW + 600, NOW + 721, True),
        ({}, NOW + 36000, NOW + 32400, False),
        ({}, NOW + 36000, NOW + 32399, True),
        ({}, 0, 0, False),
        ({}, 0, NOW + 600, True),
        ({}, NOW + 600, 0, True),
    ):
        world = World()
        world.job(1, names(3))
        (standing,) = world.queue.progress()
        (told,) = world.queue.progress()
        standing.end, told.end = end, told_end
        for name in changes:
            setattr(standing, name, changes[name])
        assert standing.differs(told, NOW) == expected, (changes, end - NOW, told_end - NOW)


def test_an_end_that_becomes_known_is_told_also_while_the_clock_is_young() -> None:
    world = World()
    world.job(1, names(3))
    (standing,) = world.queue.progress()
    (told,) = world.queue.progress()
    for end, told_end, expected in ((5, 0, True), (0, 5, True), (5, 6, False), (0, 0, False)):
        standing.end, told.end = end, told_end
        assert standing.differs(told, 1) == expected, (end, told_end)
