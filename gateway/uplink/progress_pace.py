"""When the HES is told how far the jobs are: at once what is new, then at most once a minute, and
only the jobs with which something has changed. A message that is lost is not sent again; the next
one tells more.
"""

from __future__ import annotations

from gateway.contract.messages import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.jobs.progress import Progress as Standing
    from gateway.jobs.queue import Queue
    from hal.ports import Clock

EVERY_MS = 60_000
LOOK_MS = 2_000  # how often it looks for jobs that are new


class ProgressPace:
    def __init__(self, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self.connected()

    def connected(self) -> None:
        """A new connection: all is told again."""
        self._told: dict[bytes, Standing] = {}
        self._told_ms = self._clock.ticks_ms() - EVERY_MS
        self._looked_ms = self._clock.ticks_ms() - LOOK_MS

    def message(self) -> Progress | None:
        """The next one; None: nothing to tell now."""
        now_ms = self._clock.ticks_ms()
        if now_ms - self._looked_ms < LOOK_MS:
            return None
        self._looked_ms = now_ms
        due = now_ms - self._told_ms >= EVERY_MS
        if not due and not [each for each in self._queue.open_jobs() if each not in self._told]:
            return None
        now, told = self._clock.unix_time(), self._told
        standings = self._queue.progress()
        news = []
        self._told = {}
        for standing in standings:
            before = told.get(standing.job_id)
            if before is None or (due and standing.differs(before, now)):
                news.append(standing)
                before = standing
            self._told[standing.job_id] = before
        if not news:
            return None
        self._told_ms = now_ms
        return Progress(now, [standing.to_array() for standing in news])
