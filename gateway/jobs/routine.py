"""Reports of refusals, events and runs of tasks: at a bounded pace and in bounded number, the rest
only counted and the count reported. Alarms have room of their own."""

from __future__ import annotations

from gateway.jobs import records
from gateway.jobs.rate import Rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.contract.reports import MeterAlarm, Outage, TaskRun
    from gateway.jobs.store import Store
    from hal.ports import Clock

ROUTINE_SIZE = 256  # how many wait for the HES at most
ALARMS_SIZE = 1024  # likewise, of alarms and outages
REFUSALS_AT_ONCE = 64  # of one topic, written to the flash; then
REFUSALS_A_MINUTE = 6  # of one topic; of all topics together twice as many
DROPPED = "refusals-dropped"  # the event that tells of those beyond
_ENOSPC = 28


class Routine:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._rate = Rate(clock, REFUSALS_AT_ONCE, REFUSALS_A_MINUTE)
        self._unreported: dict[str, int] = {}  # only counted, by topic

    def refused(
        self, topic: str, digest: bytes, job_id: bytes | None, reason: str, detail: str
    ) -> bool:
        """False if it is only counted."""
        if not self._rate.allows(topic):
            self._only_count(topic)
            return False
        return self._write([records.REFUSED, 0, 0, topic, digest, job_id, reason, detail])

    def event(self, name: str, detail: str) -> None:
        self._write([records.EVENT, 0, 0, name, detail])

    def task_run(self, run: TaskRun) -> None:
        fields = run.to_array()[1:]
        self._write([records.TASK_RUN, 0, 0] + fields)

    def alarm(self, alarm: MeterAlarm) -> bool:
        return self._write_alarm([records.ALARM, 0, 0] + alarm.to_array()[1:])

    def outage(self, outage: Outage) -> bool:
        return self._write_alarm([records.OUTAGE, 0, 0] + outage.to_array()[1:])

    def tell_dropped(self) -> None:
        """Report how many refusals and events were only counted, if it is time to."""
        counts = self._unreported
        if (
            counts
            and len(self._store.contents.routine) < ROUTINE_SIZE
            and self._rate.allows(DROPPED)
        ):
            self._unreported = {}
            by_topic = ", ".join(["%s %d" % (topic, counts[topic]) for topic in sorted(counts)])
            self.event(
                DROPPED,
                "%d refusals or events were only counted: %s" % (sum(counts.values()), by_topic),
            )

    def _write(self, record: list[Any]) -> bool:
        room = ROUTINE_SIZE - len(self._store.contents.routine)
        if room < 1:
            self._only_count(record[3])
            return False
        if room == 1 and record[3] != DROPPED:
            # The count is in RAM only: the last place tells that there is one.
            self._only_count(record[3])
            self.event(DROPPED, "no room: from here on refusals and events are only counted")
            return False
        record[1], record[2] = self._store.contents.last_number + 1, self._clock.unix_time()
        try:
            self._store.write(record)
        except OSError as error:
            if error.errno != _ENOSPC:
                raise
            self._only_count(record[3])
            return False
        return True

    def _write_alarm(self, record: list[Any]) -> bool:
        contents = self._store.contents
        if len(contents.alarms) >= ALARMS_SIZE:
            return False
        record[1], record[2] = contents.last_number + 1, self._clock.unix_time()
        try:
            self._store.write(record)
        except OSError as error:
            if error.errno != _ENOSPC:
                raise
            return False
        return True

    def _only_count(self, topic: str) -> None:
        self._unreported[topic] = self._unreported.get(topic, 0) + 1
