"""What tests of the queue need."""

from __future__ import annotations

from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.result import Result
    from gateway.jobs.queue import Execution, Queue


def done(
    queue: Queue, execution: Execution, result: Result, path: str = "", duration_ms: int = 0
) -> None:
    """Queue.finish() of one worker alone, outside of any loop."""
    run(queue.finish(execution, result, path, duration_ms))
