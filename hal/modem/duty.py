"""The radio budget: in any hour a transmitter is on air for at most a share of it (EN 300 220)."""

from __future__ import annotations

from hal.ports import DutyCycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SLOT_MS = 60000
_SLOTS = 60


class DutyBudget:
    """A RadioBudget. Counts airtime in slots of a minute, so any hour holds at most `permille` of
    it, rounded safely.

    permille: of the frequency band, see wmbus.MODES; 1000 is no limit. airtime_ms(size): what a
    frame with so many bytes of data takes."""

    def __init__(self, permille: int, airtime_ms: Callable[[int], int] = int) -> None:
        if not 1 <= permille <= 1000:
            raise ValueError("duty cycle is 1..1000 permille, not %d" % permille)
        self.total_ms = _SLOT_MS * _SLOTS * permille // 1000
        self.airtime_ms = airtime_ms
        self._slots: list[tuple[int, int]] = []  # slot number, airtime in it

    def left_ms(self, now_ms: int) -> int:
        """Airtime that may be spent at once."""
        # The hour that ends now may begin in the middle of the oldest slot: that one still counts.
        oldest = now_ms // _SLOT_MS - _SLOTS
        if self._slots and self._slots[0][0] < oldest:
            self._slots = [entry for entry in self._slots if entry[0] >= oldest]
        return self.total_ms - sum([used for _, used in self._slots])

    def wait_ms(self, airtime_ms: int, now_ms: int) -> int:
        """How long until there is room for so much, at most all there ever is; 0: now."""
        missing = min(airtime_ms, self.total_ms) - self.left_ms(now_ms)
        if missing <= 0:
            return 0
        for number, used in self._slots:
            missing -= used
            if missing <= 0:
                return (number + _SLOTS + 1) * _SLOT_MS - now_ms
        raise AssertionError("what was spent makes room again")

    def spend(self, airtime_ms: int, now_ms: int) -> None:
        """Take `airtime_ms` from the budget, or raise DutyCycle with the time to wait."""
        slot = now_ms // _SLOT_MS
        if airtime_ms > self.left_ms(now_ms):
            raise DutyCycle(self.wait_ms(airtime_ms, now_ms) or _SLOT_MS * _SLOTS)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + airtime_ms)
        else:
            self._slots.append((slot, airtime_ms))
