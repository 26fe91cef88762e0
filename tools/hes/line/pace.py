"""How often a concentrator is sent the same again: its line is narrow, and what it says twice must
not cost us, or it, more than once.
"""

from __future__ import annotations

from collections.abc import Callable

RESEND_EVERY = (5, 960)  # seconds before a gap is asked for again: the first time, at most
GREETINGS = 16  # hellos in a row that are answered with all that is missing there; then
GREETING_EVERY = 10  # seconds for one more


class Resends:
    """When to ask for what is missing: with growing pauses, from the beginning where it moves."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._asked: dict[str, tuple[int, float, float]] = {}  # after which number, when, pause

    def due(self, concentrator: str, safe: int) -> bool:
        """Whether to ask now for what comes after the number `safe`; then it counts as asked."""
        now = self._now()
        number, asked, pause = self._asked.get(concentrator, (-1, 0.0, 0.0))
        if number != safe:
            pause = 0.0
        elif 0 <= now - asked < pause:
            return False
        pause = min(max(2 * pause, RESEND_EVERY[0]), RESEND_EVERY[1])
        self._asked[concentrator] = (safe, now, pause)
        return True

    def clear(self) -> None:
        self._asked.clear()


class Greetings:
    """Whether a hello is answered with all that is missing there."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}  # how many, when

    def due(self, concentrator: str) -> bool:
        now = self._now()
        left, at = self._left.get(concentrator, (float(GREETINGS), now))
        left = min(left + max(now - at, 0) / GREETING_EVERY, GREETINGS)
        self._left[concentrator] = (left - 1 if left >= 1 else left, now)
        return left >= 1

    def clear(self) -> None:
        self._left.clear()
