"""A clock that stands still until a test moves it: a simulated week passes in moments."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, TypeVar

    T = TypeVar("T")

_SETTLE_TURNS = 50


if hasattr(asyncio, "get_running_loop"):

    def _others_rest() -> bool:
        """Whether no other task of the loop has a turn to take."""
        return not asyncio.get_running_loop()._ready  # type: ignore[attr-defined]

else:  # MicroPython

    def _others_rest() -> bool:
        return asyncio.core._task_queue.peek() is None  # type: ignore[attr-defined]


class ManualClock:
    """The Clock port in jumped time. `unix` 0: the date is unset, as on a board without a battery.

    `advance()` jumps and is for code without sleepers; `run()` stops at every sleeper's time on the
    way, so that each wakes at its own moment.
    """

    def __init__(self, unix: int = 0, ticks: int = 1000) -> None:
        self._ticks = ticks
        self._date_at_zero = unix * 1000 - ticks if unix else None
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    def ticks_ms(self) -> int:
        return self._ticks

    def unix_time(self) -> int:
        return 0 if self._date_at_zero is None else (self._date_at_zero + self._ticks) // 1000

    def set_unix_time(self, seconds: int) -> None:
        self._date_at_zero = seconds * 1000 - self._ticks

    def advance(self, duration: int) -> None:
        """Jump `duration` ms ahead; sleepers whose time has come wake at the loop's next turn."""
        self._ticks += duration
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._ticks]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._ticks]
        for _, wake in due:
            wake.set()

    async def run(self, duration: int) -> None:
        """Let `duration` ms pass while the other tasks work: time stands still as long as they have
        anything to do.
        """
        end = self._ticks + duration
        while True:
            await self.settle()
            next_wake = min([at for at, _ in self._sleepers], default=end)
            if next_wake >= end:
                break
            self.advance(max(next_wake - self._ticks, 0))
        self.advance(end - self._ticks)
        await self.settle()

    async def settle(self) -> None:
        """Give the other tasks turns until they rest, or turns enough to come to rest."""
        resting = 0
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
            resting = resting + 1 if _others_rest() else 0
            if resting == 2:  # what came in from outside has had its turn too
                return

    async def sleep_ms(self, duration: int) -> None:
        if duration <= 0:
            await asyncio.sleep(0)
            return
        await self._sleep(asyncio.Event(), duration)

    async def wait_for_ms(self, awaitable: Awaitable[T], duration: int) -> T:
        outcome = _Outcome()
        wake = asyncio.Event()
        task = asyncio.create_task(outcome.of(awaitable, wake))
        try:
            await self._sleep(wake, duration)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not outcome.done:
            task.cancel()
            await outcome.ended.wait()
            raise asyncio.TimeoutError()
        if outcome.error is not None:
            raise outcome.error
        return outcome.value  # type: ignore[no-any-return]

    async def _sleep(self, wake: asyncio.Event, duration: int) -> None:
        """Until `duration` has passed or somebody sets `wake`."""
        sleeper = (self._ticks + duration, wake)
        self._sleepers.append(sleeper)
        try:
            await wake.wait()
        finally:
            self._sleepers = [other for other in self._sleepers if other[1] is not wake]


class _Outcome:
    """How an awaitable ended. asyncio.wait and Future are absent on MicroPython."""

    def __init__(self) -> None:
        self.done = False
        self.ended = asyncio.Event()
        self.value: Any = None
        self.error: BaseException | None = None

    async def of(self, awaitable: Awaitable[Any], wake: asyncio.Event) -> None:
        try:
            self.value = await awaitable
        except asyncio.CancelledError as cancelled:
            # MicroPython reports a cancellation that leaves a task nobody awaits as an error: it
            # ends here.
            self.error = cancelled
        except Exception as error:
            self.error = error
        finally:
            self.done = True
            self.ended.set()
            wake.set()
