"""hal.sim.clock: time passes only when told to, and everybody wakes at the right moment."""

from __future__ import annotations

import asyncio

from hal.sim.clock import ManualClock
from tests.portable.support import run


def test_the_date_may_be_unset_and_set() -> None:
    clock = ManualClock()
    assert clock.unix_time() == 0
    clock.advance(5000)
    assert clock.unix_time() == 0
    ticks = clock.ticks_ms()
    clock.set_unix_time(1700000000)
    clock.advance(1999)
    assert (clock.unix_time(), clock.ticks_ms()) == (1700000001, ticks + 1999)


def test_sleepers_wake_in_order_each_at_its_time() -> None:
    async def body() -> None:
        clock = ManualClock(ticks=0)
        woken: list[tuple[str, int]] = []

        async def sleeper(name: str, *durations: int) -> None:
            for duration in durations:
                await clock.sleep_ms(duration)
                woken.append((name, clock.ticks_ms()))

        tasks = [
            asyncio.create_task(sleeper("a", 700, 700)),
            asyncio.create_task(sleeper("b", 500, 400, 1000)),
            asyncio.create_task(sleeper("c", 0)),
        ]
        await clock.run(1000)
        assert woken == [("c", 0), ("b", 500), ("a", 700), ("b", 900)]
        assert clock.ticks_ms() == 1000
        await clock.run(7 * 86400 * 1000)
        assert woken[4:] == [("a", 1400), ("b", 1900)]
        for task in tasks:
            await task

    run(body())


def test_waiting_with_a_limit() -> None:
    async def body() -> None:
        clock = ManualClock(ticks=0)
        seen: list[object] = []
        closed: list[bool] = []

        async def work(duration: int, fail: bool = False) -> str:
            try:
                await clock.sleep_ms(duration)
            finally:
                closed.append(True)
            if fail:
                raise ValueError("as ordered")
            return "done"

        async def wait(duration: int, limit: int, fail: bool = False) -> None:
            try:
                seen.append(await clock.wait_for_ms(work(duration, fail), limit))
            except asyncio.TimeoutError:
                seen.append("late at %d" % clock.ticks_ms())
            except ValueError:
                seen.append("failed at %d" % clock.ticks_ms())

        tasks = [
            asyncio.create_task(wait(100, 200)),
            asyncio.create_task(wait(500, 300)),
            asyncio.create_task(wait(400, 900, True)),
        ]
        await clock.run(2000)
        for task in tasks:
            await task
        assert seen == ["done", "late at 300", "failed at 400"]
        assert closed == [True, True, True]

    run(body())


def test_what_is_due_has_been_done_when_time_has_passed() -> None:
    async def body() -> None:
        clock = ManualClock()
        done: list[str] = []

        async def slow_to_end() -> None:
            try:
                await clock.sleep_ms(5000)
            finally:
                for _ in range(3):
                    await asyncio.sleep(0)
                done.append("ended")

        async def late() -> None:
            try:
                await clock.wait_for_ms(slow_to_end(), 1000)
            except asyncio.TimeoutError:
                done.append("late")

        task = asyncio.create_task(late())
        await clock.run(1000)
        assert done == ["ended", "late"]
        await task

    run(body())


def test_a_cancelled_wait_cancels_what_it_waits_for() -> None:
    async def body() -> None:
        clock = ManualClock()
        ended: list[str] = []

        async def work() -> None:
            try:
                await clock.sleep_ms(1000)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        task = asyncio.create_task(clock.wait_for_ms(work(), 5000))
        await clock.settle()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            ended.append("waiter too")
        await clock.settle()
        assert sorted(ended) == ["cancelled", "waiter too"]

    run(body())


def test_who_does_not_wait_any_more_is_forgotten() -> None:
    """Else a simulated week grows slower with each wait that ended before its time."""

    async def play() -> None:
        clock = ManualClock()

        async def at_once() -> int:
            return 1

        assert await clock.wait_for_ms(at_once(), 5000) == 1
        assert clock._sleepers == []
        task = asyncio.create_task(clock.sleep_ms(5000))
        await clock.settle()
        assert len(clock._sleepers) == 1
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        assert clock._sleepers == []

    run(play())


def test_who_was_woken_is_not_waited_for_any_more() -> None:
    async def play() -> None:
        clock = ManualClock()
        woken = []

        async def sleeper(duration: int) -> None:
            await clock.sleep_ms(duration)
            woken.append(duration)

        tasks = [asyncio.create_task(sleeper(duration)) for duration in (5, 5, 6)]
        await clock.settle()
        clock.advance(5)
        assert len(clock._sleepers) == 1, "two of three are awake at their time"
        await clock.settle()
        assert woken == [5, 5]
        clock.advance(1)
        assert clock._sleepers == []
        await clock.settle()
        assert woken == [5, 5, 6]
        for task in tasks:
            await task

    run(play())
