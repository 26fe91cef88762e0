"""Whose turn it is within a job."""

from __future__ import annotations

from gateway.contract.result import KO, VALUE, WAIT, Result
from gateway.jobs.meter_order import RENEW_MS
from gateway.jobs.queue import Queue
from tests.portable.jobs.support import done
from tests.portable.jobs.test_queue import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.jobs.queue import Execution

COSTS = {"near": 100, "nearby": 110, "far": 300, "farther": 400, "dead": 90000}
SILENT = Result(KO, "no-answer")
READ_IT = Result(VALUE, "read", "", [b"\x00"])


class Street(World):
    def open(self) -> None:
        super().open()
        self.costs = dict(COSTS)
        self.queue = Queue(
            self.ledger, self.clock, lambda n: bytes(n), cost=lambda serial: self.costs[serial]
        )

    def order(self) -> list[str]:
        """Takes all that can be taken."""
        taken: list[Execution] = []
        while True:
            execution = self.take()
            if execution is None:
                return [each.serial for each in taken]
            taken.append(execution)


def test_near_meters_first_and_dead_ones_last() -> None:
    world = Street()
    world.job(1, ["dead", "far", "near", "farther", "nearby"])
    assert world.order() == ["near", "nearby", "far", "farther", "dead"]


def test_among_equals_the_order_of_the_job() -> None:
    world = Street()
    world.costs = {"C": 5, "A": 5, "B": 5}
    world.job(1, ["C", "A", "B"])
    assert world.order() == ["C", "A", "B"]


def test_a_canary_is_not_overtaken_by_what_is_cheaper() -> None:
    from gateway.contract.job import Canary

    world = Street()
    world.job(1, ["far", "farther", "near"], canary=Canary(2, 50))
    assert world.order() == ["far", "farther"]


def test_first_tries_before_second_ones() -> None:
    world = Street()
    world.job(1, ["near", "far", "farther"])
    first = world.must_take()
    done(world.queue, first, SILENT)
    world.clock.advance(24 * 3600 * 1000)
    assert first.serial == "near" and world.order() == ["far", "farther", "near"]


def test_a_meter_that_needed_time_goes_first() -> None:
    world = Street()
    world.job(1, ["near", "far", "farther"])
    done(world.queue, world.must_take(), READ_IT)
    waits = world.must_take()
    done(world.queue, waits, Result(WAIT, "image-verifying", "", wait_s=60))
    assert world.must_take().serial == "farther"
    world.job(2, ["nearby", "dead"])
    world.clock.advance(60 * 1000)
    assert waits.serial == "far" and world.order() == ["far", "nearby", "dead"]


def test_after_a_restart_what_was_interrupted_goes_first_and_what_had_failed_last() -> None:
    world = Street()
    world.job(1, ["near", "nearby", "far", "farther"])
    done(world.queue, world.must_take(), SILENT)
    assert world.must_take().serial == "nearby"
    world.restart()
    world.clock.advance(24 * 3600 * 1000)
    assert world.order() == ["nearby", "far", "farther", "near"]


def test_costs_are_looked_up_again_now_and_then() -> None:
    world = Street()
    world.job(1, ["near", "nearby", "far", "farther"])
    assert world.must_take().serial == "near"
    world.costs["nearby"] = 90000
    assert world.must_take().serial == "nearby"
    world.costs["far"] = 90000
    world.clock.advance(RENEW_MS)
    assert world.order() == ["farther", "far"]


def test_a_meter_that_cannot_be_had_now_holds_nobody_up() -> None:
    world = Street()
    world.job(1, ["near", "far", "farther"])
    taken = world.queue.take(lambda serial, job: serial != "near")
    assert taken is not None and taken.serial == "far"
    assert world.order() == ["near", "farther"]
