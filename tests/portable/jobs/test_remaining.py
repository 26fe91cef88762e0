"""What is left of a job: its work, and its slowest meters. Exact sums."""

from __future__ import annotations

from gateway.contract.kinds import READ
from gateway.contract.result import HINDERED, KO, OK, WAIT, Result
from gateway.jobs.forecast import (
    ANSWERED,
    ASKED,
    REFUSED,
    SILENT,
    WAITED,
    Durations,
    end_of,
)
from gateway.jobs.queue import Queue
from gateway.jobs.remaining import Shares, Standing
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.jobs.support import done
from tests.portable.jobs.test_queue import NOW, World

VERIFYING = Result(WAIT, "image-verifying", "", None, 30)


class Street(World):
    """Who answers takes 10 s, who refuses 1 s, who is silent 60 s; `standings`: by serial."""

    def open(self) -> None:
        super().open()
        self.durations = Durations(self.clock)
        for end, seconds in ((ANSWERED, 10), (REFUSED, 1), (SILENT, 60)):
            self.durations.note(READ, seconds * 1000, 1, end)
        self.standings: dict[str, Standing] = {}
        self.queue = Queue(
            self.ledger,
            self.clock,
            lambda n: bytes([128] * n),
            durations=self.durations,
            standing=lambda job, serial: self.standings.get(serial, Standing("", 0, False)),
        )

    def left(self) -> int:
        """Seconds to the end of the only job; 0: it cannot be judged."""
        (progress,) = self.queue.progress()
        return progress.end and progress.end - self.clock.unix_time()

    def waiting(self) -> list[list[object]]:
        return self.queue.progress()[0].waiting

    def ends(self, result: Result, took_s: int = 10) -> None:
        execution = self.must_take()
        self.clock.advance(took_s * 1000)
        done(self.queue, execution, result, "plc", took_s * 1000)


def test_how_an_attempt_ended() -> None:
    for result, waited, expected in (
        (Result(OK, "applied"), False, ANSWERED),
        (Result(OK, "applied"), True, ASKED),
        (VERIFYING, False, ANSWERED),
        (VERIFYING, True, ASKED),
        (Result(KO, "no-answer"), False, SILENT),
        (Result(KO, "link-lost"), True, SILENT),
        (Result(KO, "write-refused"), False, REFUSED),
        (Result(KO, "meter-busy"), False, REFUSED),
        (Result(HINDERED, "no-slot"), False, None),
    ):
        assert end_of(result, waited) == expected, result


def test_times_are_kept_by_the_end() -> None:
    clock, storage = ManualClock(NOW), MemoryStorage()
    durations = Durations(clock, storage)
    assert durations.any(READ) is None and durations.whole(READ, SILENT) is None
    durations.note(READ, 60_000, 4, SILENT)
    assert durations.of(READ) is None and durations.any(READ) == 15_000
    assert (durations.of(READ, SILENT), durations.whole(READ, SILENT)) == (15_000, 60_000)
    clock.advance(600_000)
    durations.note(READ, 8_000, 4)
    durations.note(READ, 1200_000, 1, WAITED)
    clock.advance(600_000)
    durations.note(READ, 1200_000, 1, WAITED)
    again = Durations(clock, storage)
    assert (again.any(READ), again.of(READ, SILENT)) == (2_000, 15_000)
    assert again.whole(READ, WAITED) == 1200_000


def test_shares_of_first_tries() -> None:
    own, before = Shares(), Shares()
    assert own.of_first(before) == [1.0, 0.0, 0.0]
    for end in (ANSWERED, ANSWERED, ANSWERED, SILENT):
        before.note(end, False)
    assert own.of_first(before) == [0.75, 0.0, 0.25]
    for _ in range(4):
        own.note(REFUSED, False)
    assert own.of_first(before) == [0.375, 0.5, 0.125], "four of its own count as much as all else"
    assert before.stays_silent() == 2 / 3
    for _ in range(200):
        before.note(ANSWERED, True)
    assert before.stays_silent() < 0.02 and sum(before.again) <= 65


def test_a_meter_that_does_not_answer_is_tried_again_after_ever_longer_pauses() -> None:
    world = Street()
    world.job(1, ["A"])  # 3 tries, 30 s and then 60 s apart
    assert world.left() == 10
    world.ends(Result(KO, "no-answer"), 60)
    # 30 s, 60 s, 60 s, 60 s
    assert 208 < world.left() <= 30 + 60 + 60 + 60 and world.waiting() == [["no-answer", 1]]
    world.clock.advance(30_000)
    world.ends(Result(KO, "no-answer"), 60)
    assert 60 + 45 <= world.left() <= 60 + 60, "give or take a quarter of the pause"


def test_who_refuses_or_recovers_is_told_from_who_stays_silent() -> None:
    world = Street()
    names = ["M%d" % number for number in range(40)]
    world.job(1, names)
    for _ in range(20):
        world.ends(Result(KO, "write-refused"), 1)
    assert world.left() == 20 * 1
    for _ in range(10):
        world.ends(Result(KO, "no-answer"), 60)
    assert 10 * 60 * 2 < world.left() < 20 * 60 * 3


def test_meters_that_were_silent_the_last_time() -> None:
    world = Street()
    world.job(1, ["A", "B"])
    assert world.left() == 20
    world.standings["B"] = Standing("", 0, True)
    # A; B at its first try, likely at its second and perhaps at its third, each after its pause
    assert world.left() > 10 + 60 + 30 + 60


def test_who_is_hindered_begins_later() -> None:
    world = Street()
    world.job(1, ["A", "B"])
    for serial in ("A", "B"):
        world.standings[serial] = Standing("radio-budget", 3_420_000, False)
    until = NOW + 3420
    assert world.left() == 3420 + 10 and world.waiting() == [["radio-budget", 2, until]]
    for serial in ("A", "B"):
        world.standings[serial] = Standing("", 0, False, lambda meters: 3_600_000 * (meters - 1))
    assert world.left() == 3600 + 10 and world.waiting() == [], "there is room for the first"
    world.standings = {"A": Standing("no-slot", 0, False)}
    assert world.waiting() == [["no-slot", 1]] and world.left() == 20
    world.must_take("A")
    assert world.waiting() == [], "B is at work, and A has its turn after it"


def test_of_many_meters_some_are_looked_at() -> None:
    world = Street()
    names = ["M%d" % number for number in range(600)]
    world.job(1, names)
    looked = []

    def standing(job, serial):  # type: ignore[no-untyped-def]
        looked.append(serial)
        return Standing("network-forming", 0, False)

    world.queue._foresight._standing = standing
    assert world.waiting() == [["network-forming", 600]] and len(looked) == 256


def test_what_was_hindered_in_the_middle_waits_for_that() -> None:
    world = Street()
    world.job(1, ["A"])
    world.ends(Result(HINDERED, "radio-budget", "", None, 3600), 5)
    assert world.waiting() == [["radio-budget", 1, NOW + 5 + 3600]]
    assert world.left() == 3600 and world.durations.of(READ) == 10_000, "it was no attempt"


def test_nobody_knows_when_a_model_is_sent() -> None:
    world = Street()
    world.job(1, ["A", "B"])
    world.ends(Result(HINDERED, "unknown-model", "no model x is here"), 0)
    assert world.waiting() == [["unknown-model", 1]] and world.left() == 0
    world.job(2, ["C"])
    _, second = world.queue.progress()
    assert second.end == world.clock.unix_time() + 20, "B and C; A is not waited for"


def test_nobody_knows_how_long_the_first_meter_verifies() -> None:
    world = Street()
    world.job(1, ["A", "B"])
    world.ends(VERIFYING)
    assert world.left() == 0 and world.waiting() == [["image-verifying", 1]]
    world.ends(VERIFYING)
    for _ in range(10):
        world.clock.advance(110_000)
        assert world.left() == 0
        world.ends(VERIFYING)
    for _ in range(2):
        world.clock.advance(30_000)
        world.ends(Result(OK, "applied"))
    world.job(2, ["A", "B", "C"])
    world.ends(VERIFYING)
    usual_s = world.durations.whole(READ, WAITED) // 1000
    assert usual_s > 1200 and world.left() >= usual_s
    world.clock.advance(600_000)
    world.ends(VERIFYING)
    assert usual_s - 650 < world.left() <= usual_s + 60


def test_what_hinders_all_meters() -> None:
    world = Street(0)
    world.job(1, ["A", "B"], window=(0, NOW + 1000))
    assert world.waiting() == [["clock-unset", 2]] and world.left() == 0
    world.clock.set_unix_time(NOW)
    assert world.waiting() == [] and world.left() == 20

    world.queue._foresight.flash_refuses = True
    assert world.waiting() == [["flash-full", 2]]
    world.must_take()
    world.queue._foresight.flash_refuses = False
    assert world.waiting() == []


def test_nothing_is_kept_of_jobs_that_have_ended() -> None:
    world = Street()
    world.job(1, ["A"])
    world.ends(VERIFYING)
    world.ledger.cancel((1).to_bytes(16, "big"))
    world.queue.expire()
    world.queue.expire()
    assert world.queue._foresight._shares == {} == world.queue._foresight._asked


def test_a_new_job_is_promised_what_the_radio_budget_has_room_for() -> None:
    world = Street()
    job = world.job(1, ["A", "B"], window=(0, NOW + 5000))
    assert world.queue.forecast(job) == ("", "expected to end in 40 s"), "it is behind itself"
    world.ledger.pause(job.id, True, NOW)
    assert world.queue.forecast(job) == ("", "expected to end in 20 s")
    for serial in ("A", "B"):
        world.standings[serial] = Standing("", 0, False, lambda meters: 3_600_000 * (meters - 1))
    assert world.queue.forecast(job) == ("", "expected to end in 60 min")
    for serial in ("A", "B"):
        world.standings[serial] = Standing("", 0, False, lambda meters: 7_200_000)
    warning, detail = world.queue.forecast(job)
    assert (warning, detail) == ("window-short", "the last of 2 meters may take 2 h")
