"""Feeds the watchdog while everything that matters makes progress.

Each vital task marks its progress; one that has not for longer than its limit is stuck, the
watchdog is fed no more, and the machine restarts. The ledger knows how far everything had got.
"""

from __future__ import annotations

from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import Clock, Watchdog

WHERE = "liveness"
MOST_MS = 10000  # between two looks


class Heartbeat:
    """Of one task: call it at each step. It stops nothing, whatever happens."""

    def __init__(self, name: str, limit_ms: int, clock: Clock) -> None:
        self.name = name
        self.limit_ms = limit_ms
        self._clock = clock
        self._last_ms = clock.ticks_ms()

    def __call__(self) -> None:
        self._last_ms = self._clock.ticks_ms()

    def stuck_ms(self) -> int:
        """How far beyond its limit it is; 0: not at all."""
        return max(self._clock.ticks_ms() - self._last_ms - self.limit_ms, 0)


class Liveness:
    """`watchdog` None: tasks that are stuck are only logged. `status()` is a line for people."""

    def __init__(self, clock: Clock, watchdog: Watchdog | None, status: Callable[[], str]) -> None:
        self._clock = clock
        self._watchdog = watchdog
        self._status = status
        self._tasks: list[Heartbeat] = []
        self._told: list[str] = []

    def task(self, name: str, limit_ms: int) -> Heartbeat:
        """A task that has to show progress within `limit_ms`, from now on."""
        heartbeat = Heartbeat(name, limit_ms, self._clock)
        self._tasks.append(heartbeat)
        return heartbeat

    async def run(self) -> None:
        """Until cancelled."""
        pause_ms = MOST_MS
        if self._watchdog is not None:
            pause_ms = max(min(self._watchdog.timeout_ms // 4, MOST_MS), 1)
        while True:
            self.look()
            await self._clock.sleep_ms(pause_ms)

    def look(self) -> bool:
        """Feed, if all is well."""
        stuck = [task.name for task in self._tasks if task.stuck_ms()]
        if stuck != self._told:
            self._told = stuck
            if stuck:
                log.error(WHERE, "stuck: %s; the watchdog is not fed" % ", ".join(stuck))
            else:
                log.warning(WHERE, "all tasks make progress again")
        if stuck:
            return False
        if self._watchdog is not None:
            self._watchdog.feed(self._status())
        return True
