"""How long to wait for a meter that says "not now" (temporary-failure, object-unavailable)."""

from __future__ import annotations

FIRST_MS = 1_000
LONGEST_MS = 30_000
MOST_MS = 120_000  # erasing its flash for an image takes a meter up to a minute or two


class Pauses:
    """Each twice as long as the one before, until the meter has been busy for MOST_MS in a row."""

    def __init__(self) -> None:
        self._next_ms = FIRST_MS
        self.waited_ms = 0

    def next_ms(self) -> int:
        """The pause before it is asked again; 0: that is enough."""
        if self.waited_ms >= MOST_MS:
            return 0
        pause_ms = min(self._next_ms, LONGEST_MS)
        self._next_ms = 2 * pause_ms
        self.waited_ms += pause_ms
        return pause_ms

    def begin_anew(self) -> None:
        """It did something."""
        self._next_ms = FIRST_MS
        self.waited_ms = 0
