"""What tests of the queue need."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.result import Result
    from gateway.jobs.queue import Execution, Queue


def done(
    queue: Queue, execution: Execution, result: Result, path: str = "", duration_ms: int = 0
) -> None:
    """Queue.finish() where there is no loop to share a sync in."""
    with queue._ledger.batch():
        queue._record(execution, result, path, duration_ms)
    queue._over(execution, result, duration_ms)


def in_work(queue: Queue) -> int:
    """How many executions are with workers."""
    return len(list(queue._in_work.executions()))
