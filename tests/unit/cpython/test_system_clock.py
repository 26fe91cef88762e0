"""The clock of CPython against a clock of the system that the test sets."""

from __future__ import annotations

import asyncio
import time

import pytest

from hal.cpython.clock import NOT_BEFORE, SystemClock


class System:
    """What the operating system says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        self.monotonic_ns = 5_000_000_000
        self.slept: list[float] = []
        self.limits: list[float] = []
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.monotonic_ns)


def test_ticks_are_whole_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch)
    clock = SystemClock()
    for nanoseconds, ticks in ((0, 0), (999_999, 0), (1_000_000, 1), (10**15, 10**9)):
        system.monotonic_ns = nanoseconds
        assert clock.ticks_ms() == ticks


def test_a_date_before_2025_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch)
    clock = SystemClock()
    assert NOT_BEFORE == 1735689600
    for now, date in ((1735689599.9, 0), (1735689600.0, 1735689600), (0.0, 0), (2e9, 2 * 10**9)):
        system.now = now
        assert clock.unix_time() == date


def test_a_date_that_was_set_goes_by_the_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch)
    clock = SystemClock()
    clock.set_unix_time(1_750_000_000)
    system.now = 0.0
    for passed_ms, seconds in ((0, 0), (999, 0), (1000, 1), (60_000, 60)):
        system.monotonic_ns = (5_000 + passed_ms) * 1_000_000
        assert clock.unix_time() == 1_750_000_000 + seconds
    clock.set_unix_time(0)  # whoever sets it means it
    assert clock.unix_time() == 0


def test_seconds_and_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    limits: list[float | None] = []
    limited = asyncio.timeout

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def timeout(seconds: float | None) -> asyncio.Timeout:
        limits.append(seconds)
        return limited(None)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio, "timeout", timeout)

    async def answer() -> str:
        return "answer"

    async def play() -> None:
        clock = SystemClock()
        for duration in (1500, 1, 0, -5):
            await clock.sleep_ms(duration)
        for duration in (250, 60_000):
            assert await clock.wait_for_ms(answer(), duration) == "answer"

    asyncio.run(play())
    assert slept == [1.5, 0.001, 0, 0]
    assert limits == [0.25, 60]
