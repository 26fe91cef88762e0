"""The Clock port in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from tools.simulation.loop import SimulatedLoop

T = TypeVar("T")


class SimulatedClock:
    """hal.ports.Clock on the running SimulatedLoop. `unix`: what the date is now; 0: nobody has
    set it."""

    def __init__(self, unix: int = 0) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, SimulatedLoop):
            raise RuntimeError("expected a SimulatedLoop, on which time is simulated: use run()")
        self._loop = loop
        self._date_at_zero = unix * 1000 - self.ticks_ms() if unix else None

    def ticks_ms(self) -> int:
        return self._loop.microseconds() // 1000

    def unix_time(self) -> int:
        return 0 if self._date_at_zero is None else (self._date_at_zero + self.ticks_ms()) // 1000

    def set_unix_time(self, seconds: int) -> None:
        self._date_at_zero = seconds * 1000 - self.ticks_ms()

    async def sleep_ms(self, duration: int) -> None:
        await asyncio.sleep(max(0, duration) / 1000)

    async def wait_for_ms(self, awaitable: Awaitable[T], duration: int) -> T:
        task = asyncio.current_task()
        assert task is not None
        timer = _Timer(task)
        handle = self._loop.call_later(duration / 1000, timer.expire)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if timer.expired and task.cancelling() - 1 <= timer.before:
                raise asyncio.TimeoutError from None
            raise
        finally:
            handle.cancel()
            if timer.expired:
                task.uncancel()


class _Timer:
    __slots__ = ("before", "expired", "task")

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.task = task
        self.before = task.cancelling()
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        self.task.cancel()
