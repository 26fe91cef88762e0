"""What came of an execution goes into the ledger, whatever the flash says to it."""

from __future__ import annotations

from gateway.jobs.ledger import LedgerError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.result import Result
    from gateway.jobs.queue import Execution, Queue
    from gateway.meters.reach import Heartbeat
    from hal.ports import Clock

WHERE = "work"
STORAGE_PAUSE_MS = 5000  # after the flash refused a record


class Results:
    def __init__(self, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock

    async def record(
        self, execution: Execution, result: Result, path: str, began: int, heartbeat: Heartbeat
    ) -> None:
        """Returns when it is durable, however long the flash refuses: what happened on a meter is
        not forgotten. `began`: ticks at the beginning of the attempt."""
        duration_ms = self._clock.ticks_ms() - began
        while True:
            heartbeat()
            try:
                await self._queue.finish(execution, result, path, duration_ms)
                return
            except OSError as error:
                log.error(WHERE, "storage: cannot record a result: %s" % error)
                await self._clock.sleep_ms(STORAGE_PAUSE_MS)
            except LedgerError as error:
                # Recovery from the refused record has put the execution back into the queue: the
                # next attempt finds the meter as this one left it.
                log.error(WHERE, "ledger: %s" % error)
                return
