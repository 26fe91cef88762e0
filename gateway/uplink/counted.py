"""What may come in masses has one line in the log at a time, with its number so far."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.ports import Clock

EVERY_MS = 60_000


class Counted:
    """`tell` is log.warning or the like."""

    def __init__(self, clock: Clock, tell: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._next_ms = clock.ticks_ms()
        self.count = 0

    def note(self, where: str, what: str) -> None:
        self.count += 1
        now_ms = self._clock.ticks_ms()
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + EVERY_MS
            self._tell(where, "%s; %d such in all" % (what, self.count))
