"""Is a modem up? Says so when it matters: down for a minute, or back for good.

A modem that comes and goes counts as down until it has stayed; and each time it was told, the next
change has to last twice as long, up to an hour, until it has been up for a day. So a loose plug
makes a handful of reports, not thousands.
"""

from __future__ import annotations

QUIET_MS = 60000  # a change is told when it has lasted so long
MOST_QUIET_MS = 3600000
DAY_MS = 86400000


class Health:
    """Sans-IO: look() at it every few seconds."""

    def __init__(self, now_ms: int) -> None:
        self.told_up = True
        self._up = True
        self._since_ms = now_ms  # since when it has been what it is
        self._bad_ms: int | None = None  # since when it has not been up for good
        self._quiet_ms = QUIET_MS

    def look(self, up: bool, now_ms: int) -> bool:
        """True when told_up has just changed, and is to be told."""
        if up != self._up:
            self._up, self._since_ms = up, now_ms
            if not up and self._bad_ms is None:
                self._bad_ms = now_ms
        steady_ms = now_ms - self._since_ms
        if self._up and steady_ms >= self._quiet_ms:
            self._bad_ms = None
            if not self.told_up:
                self.told_up = True
                self._quiet_ms = min(2 * self._quiet_ms, MOST_QUIET_MS)
                return True
            if steady_ms >= DAY_MS:
                self._quiet_ms = QUIET_MS
            return False
        bad_ms = 0 if self._bad_ms is None else now_ms - self._bad_ms
        if not self._up and self.told_up and bad_ms >= self._quiet_ms:
            self.told_up = False
            return True
        return False
