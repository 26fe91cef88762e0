"""The watchdog is fed while every vital task makes progress."""

from __future__ import annotations

import asyncio

from gateway.liveness import MOST_MS, Liveness
from hal.sim.clock import ManualClock
from tests.portable.support import run


class Dog:
    def __init__(self, timeout_ms):
        self.timeout_ms = timeout_ms
        self.fed = []

    def feed(self, status=""):
        self.fed.append(status)


def test_fed_while_all_go_on_and_not_while_one_is_stuck():
    clock, dog = ManualClock(), Dog(30000)
    liveness = Liveness(clock, dog, lambda: "fine")
    quick, slow = liveness.task("quick", 1000), liveness.task("slow", 60000)
    assert liveness.look() and dog.fed == ["fine"]
    clock.advance(1001)
    assert not liveness.look() and len(dog.fed) == 1
    quick()
    assert liveness.look() and len(dog.fed) == 2
    for _ in range(58):
        clock.advance(1000)
        quick()
        assert liveness.look()
    clock.advance(1000)
    quick()
    assert not liveness.look()
    slow()
    assert liveness.look()


def test_fed_often_enough():
    for timeout_ms, pause_ms in ((8000, 2000), (30000, 7500), (86400000, MOST_MS)):

        async def play(timeout_ms=timeout_ms, pause_ms=pause_ms):
            clock, dog = ManualClock(), Dog(timeout_ms)
            task = asyncio.create_task(Liveness(clock, dog, lambda: "").run())
            await clock.run(10 * pause_ms - 1)
            assert len(dog.fed) == 10
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass

        run(play())


def test_without_a_watchdog():
    clock = ManualClock()
    liveness = Liveness(clock, None, lambda: "")
    liveness.task("one", 10)
    assert liveness.look()
    clock.advance(11)
    assert not liveness.look()
