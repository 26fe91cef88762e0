"""What hal.ports.Clock promises."""

from __future__ import annotations

import asyncio

from tests.contract.here import SystemClock
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def test_ticks_never_go_back() -> None:
    clock = SystemClock()
    last = clock.ticks_ms()
    assert isinstance(last, int)
    for _ in range(1000):
        now = clock.ticks_ms()
        assert now >= last
        last = now


def test_sleep_takes_its_time() -> None:
    async def body() -> None:
        clock = SystemClock()
        start = clock.ticks_ms()
        await clock.sleep_ms(0)
        await clock.sleep_ms(-5)
        await clock.sleep_ms(30)
        assert clock.ticks_ms() - start >= 29

    run(body())


def test_date() -> None:
    clock = SystemClock()
    now = clock.unix_time()
    assert isinstance(now, int)
    assert now == 0 or now > 1735689600
    ticks = clock.ticks_ms()
    clock.set_unix_time(2_000_000_000)
    assert 2_000_000_000 <= clock.unix_time() <= 2_000_000_060
    clock.set_unix_time(1_900_000_000)
    assert 1_900_000_000 <= clock.unix_time() <= 1_900_000_060
    assert 0 <= clock.ticks_ms() - ticks < 60_000


def test_wait_for() -> None:
    async def body() -> None:
        clock = SystemClock()
        events: list[str] = []

        async def slow() -> str:
            try:
                await clock.sleep_ms(60_000)
            except asyncio.CancelledError:
                events.append("cancelled")
                raise
            return "too late"

        async def quick() -> str:
            await clock.sleep_ms(1)
            return "in time"

        async def broken() -> None:
            raise OSError(5, "on purpose")

        assert await clock.wait_for_ms(quick(), 60_000) == "in time"
        try:
            await clock.wait_for_ms(slow(), 20)
            raise AssertionError("no timeout")
        except asyncio.TimeoutError:
            pass
        await clock.sleep_ms(1)
        assert events == ["cancelled"]
        try:
            await clock.wait_for_ms(broken(), 60_000)
            raise AssertionError("no error")
        except OSError as error:
            assert error.errno == 5

    run(body())


def ends_when_cancelled(act: Callable[[asyncio.Event, asyncio.Task[None]], None]) -> None:
    """A task waits for an event, 5 ms at a time and again and again; it must end by `act`, which
    comes when the time is over and nobody has noticed yet.
    """

    async def body() -> None:
        clock, event = SystemClock(), asyncio.Event()
        ended: list[bool] = []

        async def waiter() -> None:
            while True:
                event.clear()
                try:
                    await clock.wait_for_ms(event.wait(), 5)
                except asyncio.TimeoutError:
                    pass
                except asyncio.CancelledError:
                    ended.append(True)
                    raise

        task = asyncio.create_task(waiter())
        await clock.sleep_ms(1)
        act(event, task)
        await clock.sleep_ms(50)
        task.cancel()
        assert ended == [True]

    run(body())


def busy(duration: int) -> None:
    clock = SystemClock()
    until = clock.ticks_ms() + duration
    while clock.ticks_ms() < until:
        pass


def test_a_cancellation_with_the_answer() -> None:
    def act(event: asyncio.Event, task: asyncio.Task[None]) -> None:
        event.set()
        task.cancel()

    ends_when_cancelled(act)


def test_a_cancellation_as_the_time_is_over() -> None:
    def act(event: asyncio.Event, task: asyncio.Task[None]) -> None:
        busy(20)
        task.cancel()

    ends_when_cancelled(act)


def test_a_cancellation_after_the_time_is_over() -> None:
    def act(event: asyncio.Event, task: asyncio.Task[None]) -> None:
        async def cancel() -> None:
            await SystemClock().sleep_ms(8)
            task.cancel()

        canceller = asyncio.create_task(cancel())

        async def hold_up() -> None:
            await SystemClock().sleep_ms(2)
            busy(20)  # now both are due, the time first
            await canceller

        keep.append(asyncio.create_task(hold_up()))

    keep: list[asyncio.Task[None]] = []
    ends_when_cancelled(act)
