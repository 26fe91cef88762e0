"""What of ours keeps us from a meter for now. It is no attempt of the meter: who is hindered waits,
and is told apart from who does not answer."""

from __future__ import annotations

from gateway.meters.counters import NotStored
from hal.ports import Busy, DutyCycle, ModemGone, ModemRestarted, StorageFailed, TooLong


class Hindrance:
    """`reason`: of contract.result.REASONS. `text`: for people. `wait_ms`: when it is likely to be
    over; 0: nobody knows."""

    __slots__ = ("reason", "text", "wait_ms")

    def __init__(self, reason: str, text: str, wait_ms: int = 0) -> None:
        self.reason = reason
        self.text = text
        self.wait_ms = wait_ms

    def __repr__(self) -> str:
        return "Hindrance(%s, %r, %d)" % (self.reason, self.text, self.wait_ms)


def budget_spent(wait_ms: int) -> Hindrance:
    text = "radio budget spent, room again in %d s" % ((wait_ms + 999) // 1000)
    return Hindrance("radio-budget", text, max(wait_ms, 1))


def of(error: Exception) -> Hindrance | None:
    """What an error of a path is, if it is ours and not the meter's."""
    if isinstance(error, DutyCycle):
        return budget_spent(error.wait_ms)
    if isinstance(error, (Busy, ModemRestarted)):
        return Hindrance("modem-busy", str(error))
    if isinstance(error, TooLong):
        return Hindrance("too-long", str(error))
    if isinstance(error, (NotStored, StorageFailed)):
        return Hindrance("flash-full", str(error))
    if isinstance(error, ModemGone):
        return Hindrance("modem-gone", str(error))
    return None


def soonest(found: list[Hindrance]) -> Hindrance:
    """The one that is over first; those of which that is not known come after the others."""
    best = found[0]
    for one in found:
        if one.wait_ms and (not best.wait_ms or one.wait_ms < best.wait_ms):
            best = one
    return best
