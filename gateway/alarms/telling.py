"""Alarms become reports: once each, durable before anybody is told that they are, and of one meter
so many an hour; of those beyond, only the number is told."""

from __future__ import annotations

from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.alarms.told import Told
    from gateway.contract.reports import MeterAlarm
    from gateway.jobs.ledger import Ledger
    from hal.ports import Clock

WHERE = "alarms"
AN_HOUR = 12  # reports of one meter
THROTTLED = "alarms-throttled"
HOUR_MS = 3_600_000
_METERS = 2048  # counted at once


class Telling:
    def __init__(self, ledger: Ledger, told: Told, clock: Clock) -> None:
        self._ledger = ledger
        self._told = told
        self._clock = clock
        # by serial: when its hour ends (ticks), how many were told in it, how many only counted
        self._hours: dict[str, list[int]] = {}

    def fresh(self, serial: str, source: str, bits: list[int]) -> list[int]:
        """Those of `bits` that were not told, or have been gone since."""
        return self._told.fresh(serial, source, bits)

    async def tell(self, alarm: MeterAlarm) -> bool:
        """True once its report is durable. False: there is no room for it, on the flash or in this
        meter's hour."""
        hour = self._allows(alarm.serial)
        if hour is None:
            return False
        hour[1] += 1
        kept = False
        try:
            with self._ledger.deferred():
                kept = self._ledger.alarm(alarm)
            await self._ledger.durable()
            if kept and alarm.bits:
                self._told.add(alarm.serial, alarm.source, alarm.bits)
        except OSError as error:
            log.error(WHERE, "storage: an alarm of %s is not told: %s" % (alarm.serial, error))
            kept = False
        if not kept:
            hour[1] -= 1
        else:
            log.warning(WHERE, "%s: %s, bits %s" % (alarm.serial, alarm.source, alarm.bits))
        return kept

    def stay(self, serial: str, source: str, bits: list[int]) -> None:
        """So much of it is set now."""
        try:
            self._told.stay(serial, source, bits)
        except OSError as error:
            log.error(WHERE, "storage: what %s was told of: %s" % (serial, error))

    def tell_counted(self) -> None:
        """Report of each meter whose hour is over how many alarms were only counted. OSError."""
        now = self._clock.ticks_ms()
        for serial in [each for each in self._hours if self._hours[each][0] <= now]:
            counted = self._hours[serial][2]
            if counted:
                text = "%s: %d alarms more than %d an hour; look at this meter"
                self._ledger.event(THROTTLED, text % (serial, counted, AN_HOUR))
            del self._hours[serial]

    def _allows(self, serial: str) -> list[int] | None:
        """Its hour; None where that is full."""
        hour = self._hours.get(serial)
        if hour is None or hour[0] <= self._clock.ticks_ms():
            if hour is not None:
                self.tell_counted()
            if len(self._hours) >= _METERS:
                return None
            hour = self._hours[serial] = [self._clock.ticks_ms() + HOUR_MS, 0, 0]
        elif hour[1] >= AN_HOUR:
            hour[2] += 1
            if hour[2] == 1:
                log.warning(WHERE, "%s raises more than %d alarms an hour" % (serial, AN_HOUR))
            return None
        return hour
