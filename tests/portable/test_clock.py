"""What hal.ports.Clock promises."""

from __future__ import annotations

import asyncio

from tests.contract.here import SystemClock
from tests.portable.support import run


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
