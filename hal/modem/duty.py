"""The radio budget: in any hour a transmitter is on air for at most a share of it (EN 300 220)."""

from __future__ import annotations

from hal.ports import DutyCycle

_SLOT_MS = 60000
_SLOTS = 60


class DutyBudget:
    """Counts airtime in slots of a minute, so any hour holds at most `permille` of it, rounded
    safely.

    permille: of the frequency band, see wmbus.MODES; 1000 is no limit."""

    def __init__(self, permille: int) -> None:
        if not 1 <= permille <= 1000:
            raise ValueError("duty cycle is 1..1000 permille, not %d" % permille)
        self._budget_ms = _SLOT_MS * _SLOTS * permille // 1000
        self._slots: list[tuple[int, int]] = []  # slot number, airtime in it

    def left_ms(self, now_ms: int) -> int:
        """Airtime that may be spent at once."""
        # The hour that ends now may begin in the middle of the oldest slot: that one still counts.
        oldest = now_ms // _SLOT_MS - _SLOTS
        self._slots = [entry for entry in self._slots if entry[0] >= oldest]
        return self._budget_ms - sum([used for _, used in self._slots])

    def spend(self, airtime_ms: int, now_ms: int) -> None:
        """Take `airtime_ms` from the budget, or raise DutyCycle with the time to wait."""
        slot = now_ms // _SLOT_MS
        spent = self._budget_ms - self.left_ms(now_ms) + airtime_ms
        if spent > self._budget_ms:
            for number, used in self._slots:
                spent -= used
                if spent <= self._budget_ms:
                    raise DutyCycle((number + _SLOTS + 1) * _SLOT_MS - now_ms)
            raise DutyCycle(_SLOT_MS * _SLOTS)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + airtime_ms)
        else:
            self._slots.append((slot, airtime_ms))
