"""Many meters that lose their power at once are one outage, and so is the return: one report with
the meters, instead of one for each.

The first few of a minute are told like any alarm, at once; from then on they are collected until
the minute is over. What is collected is in RAM for that long, and stays there while the report has
no room.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_OUTAGE
from gateway.contract.reports import Outage
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.jobs.ledger import Ledger
    from hal.ports import Clock

WHERE = "alarms"
SINGLY = 2  # meters of one minute that are told each for itself
MINUTE_MS = 60000
MOST = 2000  # meters

_LAST_GASP = b"\x00\x00\x61\x62\x02\xff"  # alarm register 3, whose bit 0 is the last gasp
_EVENT_CODE = (0, 96, 11)  # value groups A, C, D of the last code of an event log
_LOST, _BACK = (1, 99), (2,)  # codes: power failure, last gasp; power return


def power_of(said: Any, value: Any) -> bool | None:
    """Of an EventNotification and its value: True where it tells that the power is back, False that
    it is gone, None of anything else."""
    if type(value) is not int:
        return None
    obis = said.obis
    if obis == _LAST_GASP:
        return False if value & 1 else None
    if (obis[0], obis[2], obis[3]) == _EVENT_CODE:
        return True if value in _BACK else False if value in _LOST else None
    return None


class Outages:
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._open: dict[bool, _Collected] = {}  # by whether the power is back

    def collects(self, serial: str, over: bool) -> bool:
        """False: this one is to be told for itself."""
        ticks, now = self._clock.ticks_ms(), self._clock.unix_time()
        self.look()
        found = self._open.get(over)
        if found is None:
            found = self._open[over] = _Collected(ticks, now)
        found.ended = now
        if serial not in found.serials and len(found.serials) < MOST:
            found.serials.append(serial)
        return len(found.serials) > SINGLY

    def look(self) -> None:
        """Report what is collected, once its minute is over."""
        ticks = self._clock.ticks_ms()
        for over in list(self._open):
            found = self._open[over]
            if ticks - found.since_ms >= MINUTE_MS and self._told(over, found):
                del self._open[over]

    def _told(self, over: bool, found: _Collected) -> bool:
        many = len(found.serials)
        if many <= SINGLY:
            return True
        try:
            with self._ledger.batch():
                while found.told < many:
                    some = found.serials[found.told : found.told + MAX_OUTAGE]
                    part = Outage(over, found.began, found.ended, many, found.told + 1, some)
                    if not self._ledger.outage(part):
                        return False
                    found.told += len(some)
        except OSError as error:
            found.told = 0
            log.error(WHERE, "storage: an outage is not told: %s" % error)
            return False
        what = "have their power back" if over else "have lost their power"
        log.warning(WHERE, "%d meters %s" % (many, what))
        return True


class _Collected:
    def __init__(self, since_ms: int, began: int) -> None:
        self.since_ms = since_ms
        self.began = began
        self.ended = began
        self.serials: list[str] = []
        self.told = 0
