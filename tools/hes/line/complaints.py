"""What was dropped unread, counted and told of now and then: a flood of it is one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

EVERY = 600.0  # seconds between two times that the same is told of the same concentrator
MOST = 1000  # concentrators and reasons that are counted apart


@dataclass
class _Count:
    why: str
    dropped: bool
    messages: int = 0
    told: float | None = None


class Complaints:
    """`now` in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[tuple[str, str], _Count] = {}

    def add(self, concentrator: str, event: str, why: str, dropped: bool = True) -> None:
        """A message of this concentrator was `dropped`, or shows what is wrong. `event` is a word,
        `why` is for people.
        """
        key = concentrator, event
        if key not in self._counts and len(self._counts) >= MOST:
            key = "", event
        self._counts.setdefault(key, _Count(why, dropped)).messages += 1

    def due(self) -> list[tuple[str, str, str]]:
        """[(concentrator, event, text)] to be told of now."""
        found = []
        for (concentrator, event), count in list(self._counts.items()):
            if count.told is not None and 0 <= self._now() - count.told < EVERY:
                continue
            if not count.messages:
                del self._counts[concentrator, event]
                continue
            many = "a message was" if count.messages == 1 else "%d messages were" % count.messages
            text = "%s dropped: %s" % (many, count.why) if count.dropped else count.why
            found.append((concentrator, event, text))
            count.messages, count.told = 0, self._now()
        return found
