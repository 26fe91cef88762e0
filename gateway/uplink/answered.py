"""Which changes have just been refused: the same one, however often it comes, is answered once in a
while. So nobody who plays old orders again fills the outbox, and a HES that has lost the answer
gets one all the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Clock

AGAIN_MS = 600_000
_MOST = 64  # remembered, the newest
# refusals that hold however often the same message comes
_LASTING = ("duplicate", "replayed", "outdated", "unknown-job", "expired", "wrong-concentrator")
_CHANGES = ("cancel", "pause", "trust", "keys", "model")


class Answered:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: list[tuple[bytes, str, int]] = []  # (digest, reason, ticks), oldest first

    def is_known(self, topic: str, digest: bytes, reason: str) -> bool:
        """Whether it had this answer a moment ago."""
        since = self._clock.ticks_ms() - AGAIN_MS
        known = [each[:2] for each in self._refused if each[2] > since]
        return topic in _CHANGES and reason in _LASTING and (digest, reason) in known

    def note(self, digest: bytes, reason: str) -> None:
        """It has its answer now."""
        self._refused = self._refused[1 - _MOST :] + [(digest, reason, self._clock.ticks_ms())]
