"""An asyncio event loop in simulated time: it stands still while anybody has something to do
and jumps to the next timer when nobody has.

There is nothing outside: no sockets, no threads, no signals. So the same program takes the same
course each time, and what waits for something that no timer and no task will ever bring is an
error, not a hang.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

MOST_AT_ONCE = 10_000_000  # callbacks of one moment
_FEW_CANCELLED = 1000  # timers; so many are not worth a clean-up


class NothingLeft(RuntimeError):
    """Everybody waits and no timer is set: nothing would ever happen again."""


class TimeStandsStill(RuntimeError):
    """Somebody always has something to do, so that simulated time cannot go on."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Use as any event loop, best by run(). `turns` counts the callbacks run so far."""

    _ready: deque[Any]  # handles; the base class's

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.turns = 0
        self._moment = _microseconds(start)  # whole ones, so that sums do not drift
        self._timers: list[tuple[int, int, events.TimerHandle]] = []
        self._timer_number = 0
        self._timers_cancelled = 0
        self._at_once = 0  # callbacks since the time last moved
        self._fault: BaseException | None = None

    def time(self) -> float:
        return self._moment / 1e6

    def microseconds(self) -> int:
        """time(), exactly."""
        return self._moment

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> events.TimerHandle:
        timer = events.TimerHandle(when, callback, args, self, context)
        self._set(_microseconds(when), timer)
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> events.TimerHandle:
        moment = self._moment + _microseconds(delay)
        timer = events.TimerHandle(moment / 1e6, callback, args, self, context)
        self._set(moment, timer)
        return timer

    def skip(self, seconds: float) -> None:
        """So much time passes while nobody may do anything, as when a machine is suspended: timers
        that ran out meanwhile come late. For long spells in which little happens."""
        self._moment += _microseconds(seconds)
        self._at_once = 0

    def _set(self, moment: int, timer: events.TimerHandle) -> None:
        # The number keeps timers of one moment in the order they were set.
        self._timer_number += 1
        heapq.heappush(self._timers, (moment, self._timer_number, timer))

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> events.Handle:
        """There is one thread only; asyncio's own machinery asks for this."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise NotImplementedError("a thread knows nothing of simulated time: call it directly")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An exception in a callback, or in a task that nobody awaits, ends the simulation."""
        error = context.get("exception")
        if self._fault is None and error is not None:
            self._fault = error
        if error is None:
            super().call_exception_handler(context)

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        self._timers_cancelled += 1

    def _run_once(self) -> None:
        """What BaseEventLoop calls for ever: one round of what is ready."""
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        ready = self._ready
        timers = self._timers
        if not ready:
            self._jump()
        elif timers and timers[0][0] <= self._moment:
            self._ripen()
        rounds = len(ready)
        self.turns += rounds
        self._at_once += rounds
        if self._at_once > MOST_AT_ONCE:
            raise TimeStandsStill(
                "%d callbacks at %.3f s: somebody waits in a loop without a timer; %s"
                % (self._at_once, self.time(), self._tasks_text())
            )
        for _ in range(rounds):
            handle = ready.popleft()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"exception": error, "handle": handle})
            del handle  # keeps nobody alive

    def _jump(self) -> None:
        """To the next timer that is still wanted."""
        timers = self._timers
        if self._timers_cancelled > _FEW_CANCELLED and 2 * self._timers_cancelled > len(timers):
            self._sweep()
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._timers_cancelled -= 1
        if not timers:
            raise NothingLeft("nothing will ever happen again; %s" % self._tasks_text())
        if timers[0][0] > self._moment:
            self._moment = timers[0][0]
            self._at_once = 0
        self._ripen()

    def _ripen(self) -> None:
        """Timers of this moment become ready."""
        timers = self._timers
        moment = self._moment
        while timers and timers[0][0] <= moment:
            timer = heapq.heappop(timers)[2]
            if timer._cancelled:
                self._timers_cancelled -= 1
            else:
                self._ready.append(timer)

    def _sweep(self) -> None:
        self._timers[:] = [entry for entry in self._timers if not entry[2]._cancelled]
        heapq.heapify(self._timers)
        self._timers_cancelled = 0

    def _tasks_text(self) -> str:
        waiting = sorted(_where(task) for task in asyncio.all_tasks(self))
        return "%d tasks: %s" % (len(waiting), ", ".join(waiting[:20]))

    def _write_to_self(self) -> None:
        """Nobody sleeps in a system call that would have to be woken."""


class InPlace(Executor):
    """Stands in for a thread, which knows nothing of simulated time: does the work at once."""

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def run(coroutine: Coroutine[Any, Any, T], start: float = 0.0) -> T:
    """The result of the coroutine, run in simulated time. NothingLeft, TimeStandsStill."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(start)) as runner:
        return runner.run(coroutine)


def _microseconds(seconds: float) -> int:
    return int(seconds * 1e6 + 0.5)


def _where(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    name = getattr(coroutine, "__qualname__", task.get_name())
    inner = coroutine
    while getattr(inner, "cr_await", None) is not None and hasattr(inner.cr_await, "cr_code"):
        inner = inner.cr_await
    line = getattr(getattr(inner, "cr_frame", None), "f_lineno", 0)
    return "%s (in %s, line %d)" % (name, getattr(inner, "__qualname__", "?"), line)
