"""How far a transfer to many meters is, and how long it will likely take yet, by what its blocks
and conversations have taken so far."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Clock


class Outlook:
    """`at_once`: conversations side by side. The campaign sets `phase`, `talks` (conversations left
    in this phase), `rounds` (of conversations with every meter, after this phase) and `blocks`
    (left to broadcast), and tells by waits() that it waits for meters."""

    def __init__(self, clock: Clock, at_once: int, meters: int) -> None:
        self.phase = "survey"
        self.talks = meters
        self.rounds = 2  # to check and to confirm
        self.blocks = 0
        self._clock = clock
        self._at_once = max(at_once, 1)
        self._began = clock.ticks_ms()
        self._waiting = False  # for meters that verify or start
        self._ready_ms = 0  # when (ticks) that should be over; 0: not known
        self._talked_ms = self._talks = self._sent_ms = self._sent = 0

    def talked(self, duration_ms: int) -> None:
        self._talked_ms += duration_ms
        self._talks += 1
        self.talks = max(self.talks - 1, 0)

    def sent(self, duration_ms: int) -> None:
        """A block to all."""
        self._sent_ms += duration_ms
        self._sent += 1
        self.blocks = max(self.blocks - 1, 0)

    def waits(self, since_ms: int, expected_s: int) -> None:
        """For a meter, since these ticks, for what may take it so long; 0: not known."""
        self._waiting = True
        self._ready_ms = since_ms + expected_s * 1000 if expected_s else 0

    def begin(self, talks: int) -> None:
        """A phase with so many conversations."""
        self.talks = talks
        self._waiting = False

    def now(self, meters: int) -> tuple[str, int, int]:
        """(phase, ms since it began, ms likely left; 0: cannot be said before the first blocks are
        on the medium, nor while it waits for meters that have all the time). meters: without a
        result."""
        now = self._clock.ticks_ms()
        took_ms = now - self._began
        if not self._sent or not self._talks or (self._waiting and self._ready_ms <= now):
            return self.phase, took_ms, 0
        talks = self.talks + self.rounds * meters
        left_ms = talks * self._talked_ms // (self._talks * self._at_once)
        left_ms += self.blocks * self._sent_ms // self._sent
        if self._waiting:
            left_ms += self._ready_ms - now
        return self.phase, took_ms, max(left_ms, 1)
