"""The operating system's clock."""

from __future__ import annotations

import asyncio
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    T = TypeVar("T")

# A board without a battery wakes up in 1970 or 2000: before this date nobody has set its clock.
NOT_BEFORE = 1735689600  # 2025-01-01


class SystemClock:
    """Ticks are CLOCK_MONOTONIC. The date is the system's until set_unix_time corrects it, from
    then on it goes by the ticks."""

    def __init__(self) -> None:
        self._set_to: int | None = None
        self._set_at = 0

    def ticks_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def unix_time(self) -> int:
        if self._set_to is not None:
            return self._set_to + (self.ticks_ms() - self._set_at) // 1000
        now = int(time.time())
        return now if now >= NOT_BEFORE else 0

    def set_unix_time(self, seconds: int) -> None:
        self._set_to = seconds
        self._set_at = self.ticks_ms()

    async def sleep_ms(self, duration: int) -> None:
        await asyncio.sleep(max(0, duration) / 1000)

    async def wait_for_ms(self, awaitable: Awaitable[T], duration: int) -> T:
        # asyncio.wait_for of Python 3.11 loses a cancellation that comes as the awaitable ends.
        async with asyncio.timeout(duration / 1000):
            return await awaitable
