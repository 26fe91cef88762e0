"""The watchdog of a microcontroller: it restarts the board, and cannot be stopped."""

from __future__ import annotations

import machine


class BoardWatchdog:
    """See hal.ports.Watchdog. It runs from the making on."""

    def __init__(self, timeout_ms: int) -> None:
        """ValueError when the chip cannot wait for so long."""
        self.timeout_ms = timeout_ms
        timer = machine.WDT  # pyright: ignore[reportAttributeAccessIssue] - not the unix port's
        self._timer = timer(timeout=timeout_ms)

    def feed(self, status: str = "") -> None:
        """See hal.ports.Watchdog."""
        self._timer.feed()
