"""Simulated time: it stands still while there is work, jumps when there is none, never hangs."""

from __future__ import annotations

import asyncio
import time

import pytest

from tools.simulation import NothingLeft, SimulatedClock, TimeStandsStill, loop, run


def test_a_year_passes_at_once_and_everybody_wakes_at_their_own_time() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await asyncio.sleep(nap)
            woken.append((name, asyncio.get_running_loop().time()))

    async def play() -> None:
        await asyncio.gather(sleeper("a", 1, 31536000), sleeper("b", 0.25, 0.5, 0.25, 1))

    run(play())
    assert woken == [
        ("b", 0.25),
        ("b", 0.75),
        ("a", 1),
        ("b", 1),
        ("b", 2),
        ("a", 31536001),
    ]


def test_what_is_skipped_makes_timers_late() -> None:
    woken: list[float] = []

    async def sleeper(nap: float) -> None:
        await asyncio.sleep(nap)
        woken.append(asyncio.get_running_loop().time())

    async def play() -> None:
        skipping = asyncio.get_running_loop()
        assert isinstance(skipping, loop.SimulatedLoop)
        skipping.call_later(1, skipping.skip, 100)
        await asyncio.gather(sleeper(50), sleeper(2), sleeper(200))

    run(play())
    assert woken == [101, 101, 200]


def test_time_stands_still_while_anybody_works() -> None:
    async def worker() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == 5

    async def play() -> None:
        task = asyncio.create_task(worker())
        await asyncio.sleep(3600)
        await task

    run(play(), start=5)


def test_timers_of_one_moment_ring_in_the_order_they_were_set() -> None:
    async def play() -> list[int]:
        rung: list[int] = []
        here = asyncio.get_running_loop()
        for number in range(100):
            here.call_at(7.0, rung.append, number)
        await asyncio.sleep(7)
        return rung

    assert run(play()) == list(range(100))


def test_a_million_events_take_seconds() -> None:
    async def worker(naps: int) -> None:
        for _ in range(naps):
            await asyncio.sleep(0.001)

    async def play() -> int:
        await asyncio.gather(*[worker(2000) for _ in range(500)])
        here = asyncio.get_running_loop()
        assert isinstance(here, loop.SimulatedLoop)
        assert here.time() == 2
        return here.turns

    assert run(play()) >= 1_000_000


def test_waiting_for_what_never_comes_is_an_error_that_names_who_waits() -> None:
    async def patient() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeft, match=r"2 tasks: .*patient \(in Event.wait"):
        run(_two(patient()))


async def _two(other: object) -> None:
    task = asyncio.create_task(other)  # type: ignore[arg-type]
    await asyncio.sleep(1)
    await task


def test_a_loop_without_a_timer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MOST_AT_ONCE", 10_000)

    async def spin() -> None:
        while asyncio.get_running_loop().time() < 1:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(TimeStandsStill, match="spin"):
        run(spin())


def test_cancelled_timers_are_forgotten() -> None:
    async def play() -> None:
        here = asyncio.get_running_loop()
        assert isinstance(here, loop.SimulatedLoop)
        clock = SimulatedClock()
        for _ in range(20_000):
            await clock.wait_for_ms(asyncio.sleep(0.001), 3_600_000)
        assert len(here._timers) < 5000

    run(play())


def test_the_clock_is_exact_and_its_date_can_be_set() -> None:
    async def play() -> None:
        clock = SimulatedClock(1_800_000_000)
        first = clock.ticks_ms()
        for turn in range(1, 5000):
            await clock.sleep_ms(turn % 13)
            first += turn % 13
            assert clock.ticks_ms() == first
        assert clock.unix_time() == 1_800_000_000 + first // 1000
        clock.set_unix_time(5)
        await clock.sleep_ms(2000)
        assert clock.unix_time() == 7
        assert SimulatedClock().unix_time() == 0

    began = time.monotonic()
    run(play())
    assert time.monotonic() - began < 30  # and not the 30 s that it simulates


def test_waiting_has_a_limit() -> None:
    async def nap(duration: float) -> str:
        await asyncio.sleep(duration)
        return "slept"

    async def play() -> None:
        clock = SimulatedClock()
        assert await clock.wait_for_ms(nap(1), 2000) == "slept"
        with pytest.raises(asyncio.TimeoutError):
            await clock.wait_for_ms(nap(3), 2000)
        assert clock.ticks_ms() == 3000
        await asyncio.sleep(10)  # no timer is left that would cancel us

    run(play())


def test_a_cancellation_from_outside_is_not_taken_for_the_limit() -> None:
    async def play() -> str:
        clock = SimulatedClock()

        async def waits() -> None:
            await clock.wait_for_ms(asyncio.Event().wait(), 1000)

        for moment in (500, 1000):  # before the limit, and together with it
            task = asyncio.create_task(waits())
            asyncio.get_running_loop().call_later(moment / 1000, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
        return "done"

    assert run(play()) == "done"


def test_no_threads() -> None:
    async def play() -> None:
        with pytest.raises(NotImplementedError):
            await asyncio.to_thread(time.sleep, 1)

    run(play())


def test_a_fault_that_nobody_awaits_ends_the_simulation() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise ValueError("of mine")

    async def play(callback: bool) -> None:
        here = asyncio.get_running_loop()
        if callback:
            here.call_later(1, [].pop)
        else:
            task = here.create_task(fails())
            task.add_done_callback(lambda ended: ended.result())
        await asyncio.sleep(60)

    with pytest.raises(ValueError, match="of mine"):
        run(play(False))
    with pytest.raises(IndexError):
        run(play(True))
