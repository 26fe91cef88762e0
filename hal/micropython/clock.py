"""The board's clock: time.ticks_ms made endless, and a date."""

from __future__ import annotations

import asyncio
import time

from hal.micropython import rtc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, TypeVar

    T = TypeVar("T")

# A board without a battery wakes up in 1970 or 2000: before this date nobody has set its clock.
NOT_BEFORE = 1735689600  # 2025-01-01
# Ticks wrap at 2**30 ms on a 32-bit board, and a difference is right up to half of it (6.2 days).
_LONGEST_MS = 1 << 28


class SystemClock:
    """See hal.ports.Clock. Ticks must be asked for at least once in six days. The date is the
    board's until set_unix_time corrects it, from then on it goes by the ticks."""

    def __init__(self) -> None:
        self._last = time.ticks_ms()
        self._total = 0
        self._set_to: int | None = None
        self._set_at = 0

    def ticks_ms(self) -> int:
        now = time.ticks_ms()
        self._total += time.ticks_diff(now, self._last)
        self._last = now
        return self._total

    def unix_time(self) -> int:
        if self._set_to is not None:
            return self._set_to + (self.ticks_ms() - self._set_at) // 1000
        now = 0 if rtc.lent else rtc.date()
        return now if now >= NOT_BEFORE else 0

    def set_unix_time(self, seconds: int) -> None:
        """Of the chip too: its date outlives a reset."""
        self._set_to = seconds
        self._set_at = self.ticks_ms()
        rtc.put(seconds)

    async def sleep_ms(self, duration: int) -> None:
        while duration > _LONGEST_MS:
            await asyncio.sleep_ms(_LONGEST_MS)
            duration -= _LONGEST_MS
        await asyncio.sleep_ms(max(0, duration))

    async def wait_for_ms(self, awaitable: Awaitable[T], duration: int) -> T:
        """At most three days, which the ticks of a 32-bit board allow."""
        return await wait_for_ms(awaitable, min(duration, _LONGEST_MS))


async def wait_for_ms(awaitable: Awaitable[T], duration: int) -> T:
    """As asyncio.wait_for_ms, which loses a cancellation that comes as the awaitable ends."""
    waiting: Any = asyncio.current_task()
    out_of_time = asyncio.CancelledError()

    async def give_up() -> None:
        await asyncio.sleep_ms(duration)
        resumed = waiting
        while isinstance(resumed.data, asyncio.Task):
            resumed = resumed.data
        if resumed.data is not asyncio.CancelledError:  # else somebody cancels it already
            waiting.cancel()
            resumed.data = out_of_time  # a later cancellation puts its own here

    timer = asyncio.create_task(give_up())
    try:
        return await awaitable
    except asyncio.CancelledError as error:
        if error is out_of_time:
            raise asyncio.TimeoutError
        raise
    finally:
        timer.cancel()
