"""The real-time clock of the board's chip, where it has one that can be set: by its date mbedTLS
judges certificates. On the unix port there is none; there the operating system's date counts.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Some ports count from 2000 (seconds from 1970 to there).
EPOCH = 0 if time.gmtime(0)[0] == 1970 else 946684800
_TOLERANCE_S = 60

lent = False  # its date is one to judge certificates by, and no date of ours


def date() -> int:
    """Seconds since 1970 UTC, whatever they are worth."""
    return int(time.time()) + EPOCH


def put(seconds: int) -> bool:
    """False: there is none."""
    import machine

    make: Any = getattr(machine, "RTC", None)
    if make is None:
        return False
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds - EPOCH)[:7]
    make().datetime((year, month, day, weekday, hour, minute, second, 0))
    return True


class Lent:
    """The clock within `bounds`, for a handshake: `begin()`, and `end()` whatever happened."""

    def __init__(self, bounds: tuple[int, int]) -> None:
        self._bounds = bounds
        self._before = self._since = 0
        self._lent = False

    def begin(self, seconds: int) -> None:
        """At this date, unless its own is within the bounds already."""
        global lent
        own = date()
        good = self._bounds[0] - _TOLERANCE_S <= own <= self._bounds[1] + _TOLERANCE_S
        if good and own >= seconds - _TOLERANCE_S:
            return
        self._before, self._since = own, time.ticks_ms()  # type: ignore[attr-defined]
        self._lent = lent = put(seconds)

    def end(self) -> None:
        global lent
        if self._lent:
            passed = time.ticks_diff(  # type: ignore[attr-defined]
                time.ticks_ms(),  # type: ignore[attr-defined]
                self._since,
            )
            put(self._before + passed // 1000)
            self._lent = lent = False
