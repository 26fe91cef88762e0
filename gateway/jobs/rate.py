"""How often something may happen: a few times at once, and only so often in the long run.

For what anybody on the line can provoke and what costs a write to the flash.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Clock

MINUTE_MS = 60_000
MAX_NAMES = 16  # further names share one allowance


class Rate:
    """At most `burst` at once and `per_minute` in the long run under each name; twice as many under
    all names together."""

    def __init__(self, clock: Clock, burst: int, per_minute: int) -> None:
        self._clock = clock
        self._burst = burst
        self._per_minute = per_minute
        self._all = _Bucket(clock, 2 * burst, 2 * per_minute)
        self._by_name: dict[str, _Bucket] = {}

    def allows(self, name: str) -> bool:
        """Whether it may happen now; if so, it counts as having happened."""
        if name not in self._by_name and len(self._by_name) >= MAX_NAMES:
            name = ""
        bucket = self._by_name.get(name)
        if bucket is None:
            bucket = self._by_name[name] = _Bucket(self._clock, self._burst, self._per_minute)
        if not bucket.has_one() or not self._all.has_one():
            return False
        bucket.take()
        self._all.take()
        return True


class _Bucket:
    """Refills by `per_minute` up to `size`; counts in parts of MINUTE_MS."""

    def __init__(self, clock: Clock, size: int, per_minute: int) -> None:
        self._clock = clock
        self._size = size * MINUTE_MS
        self._per_minute = per_minute
        self._level = self._size
        self._at = clock.ticks_ms()

    def has_one(self) -> bool:
        """Enough for one more."""
        now = self._clock.ticks_ms()
        self._level = min(self._size, self._level + (now - self._at) * self._per_minute)
        self._at = now
        return self._level >= MINUTE_MS

    def take(self) -> None:
        self._level -= MINUTE_MS
