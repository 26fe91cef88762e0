"""What a job that asks for rows is to do at one meter: what is on the flash goes up before anything
is asked of the meter."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.meters.counters import CounterError
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.activities.asked import Asked
    from gateway.activities.readings import Collector
    from gateway.jobs.queue import Execution
    from gateway.meters.reach import Reach
    from gateway.readings.recorder import Recorder

_PROFILE = 7


class AskedReadings:
    """`collector()` knows the meters' profiles; `recorder()` gives one for each visit. OSError."""

    def __init__(
        self,
        reach: Reach,
        collector: Callable[[], Collector],
        recorder: Callable[[], Recorder],
    ) -> None:
        self._reach = reach
        self._collector = collector
        self._recorder = recorder

    async def order(self, execution: Execution) -> Asked:
        """What the meter is to be asked for; what is here has then been recorded for the HES once
        more, with the first attempt. Refused `model-unfit`, OSError of the flash.
        """
        from gateway.activities.asked import Asked, missing

        span = execution.job.span
        assert span is not None
        obis = self._obis(execution)
        recorder = self._recorder()
        asked = Asked(self._collector(), recorder, obis)
        last = recorder.last(execution.serial, obis)[0]
        times, period = await recorder.again(
            execution.serial, obis, span.start, span.end, execution.attempt == 1
        )
        asked.stored = len(times)
        asked.fresh = 0 < last < span.end
        end = min(span.end, last) if last else span.end
        if span.start <= end:
            asked.missing = missing(sorted(times), period, span.start, end)
        return asked

    def _obis(self, execution: Execution) -> bytes:
        """Of the profile; where the meter's keys or its model are not here, which the attempt will
        tell, of none."""
        job = execution.job
        assert job.span is not None
        if not job.span.name:
            return job.objects[0][1]
        meter = self._reach.inventory.meter(execution.serial)
        if meter is None:
            return bytes(6)
        from gateway.activities.by_word import called, unknown

        try:
            model = self._reach.access(meter).model
        except (ModelError, InventoryError, CounterError):
            return bytes(6)
        for class_id, obis in called(model, job.span.name):
            if class_id == _PROFILE:
                return obis
        raise Refused("model-unfit", unknown(model, job.span.name))
