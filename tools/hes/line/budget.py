"""How often something may be done: so many times a second, and some more at once."""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """`most` is what is saved up at most; `now` in seconds, which may be put back."""

    def __init__(self, a_second: float, most: float, now: Callable[[], float]) -> None:
        self._a_second = a_second
        self._most = most
        self._now = now
        self._left = most
        self._since = now()

    def take(self) -> bool:
        """Whether it may be done once more; then that is counted."""
        now = self._now()
        earned = max(0.0, now - self._since) * self._a_second
        self._left, self._since = min(self._most, self._left + earned), now
        if self._left < 1:
            return False
        self._left -= 1
        return True
