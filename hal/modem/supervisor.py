"""Is the modem alive? Asks three times for a sign of life, then has it reset, then gives it up."""

from __future__ import annotations

NOTHING, PROBE, RESET, DEAD = range(4)
_PROBES = 3
_RESET_ANSWERS = 4  # a reset modem has this many times the usual time to answer


class Supervisor:
    """silence_ms: how long nothing may be heard; answer_ms: how long an answer may take."""

    def __init__(self, silence_ms: int, answer_ms: int) -> None:
        self._silence_ms = silence_ms
        self._answer_ms = answer_ms
        self._asked = 0
        self._due = 0
        self.dead = False

    def heard(self, now_ms: int) -> None:
        """A right frame came from the modem, or the line was just opened."""
        self._asked = 0
        self._due = now_ms + self._silence_ms
        self.dead = False

    def step(self, now_ms: int) -> int:
        """What is to be done now: NOTHING, PROBE, RESET, or DEAD (once)."""
        if self.dead or now_ms < self._due:
            return NOTHING
        self._asked += 1
        self._due = now_ms + self._answer_ms
        if self._asked <= _PROBES:
            return PROBE
        if self._asked == _PROBES + 1:
            self._due = now_ms + _RESET_ANSWERS * self._answer_ms
            return RESET
        self.dead = True
        return DEAD

    def due_ms(self) -> int:
        """When step() has something to do; far away once dead."""
        return self._due + 86400000 if self.dead else self._due
