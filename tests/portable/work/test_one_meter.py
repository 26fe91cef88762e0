"""One attempt: what is kept of it, also where its package is not there or is refused."""

from __future__ import annotations

from gateway.contract.refused import Refused
from gateway.contract.result import Result
from gateway.work.one_meter import OneMeter
from gateway.work.results import Results
from hal.sim.clock import ManualClock
from tests.portable.support import run
from tests.portable.work.test_worker import Execution, Queue, Reach


class Attempts:
    def __init__(self, clock):
        self.clock = clock
        self.made = []

    async def run(self, serial, kind, order, heartbeat, traffic):
        self.made.append((serial, kind, order))
        traffic.sent = (3, 400)
        self.clock.advance(1500)
        return Result("OK", "applied"), "plc"


def attempted(order):
    """(what was kept, the attempts made) of one attempt; `order`: what comes of looking for it."""
    clock = ManualClock()
    queue = Queue(clock)
    one = OneMeter(Reach(clock, None), queue, None, Results(queue, clock), 1000)
    one._attempts = Attempts(clock)
    execution = Execution("A")
    execution.attempt, execution.job.kind = 1, 7

    def wanted(execution):
        if isinstance(order, Exception):
            raise order
        return order

    one._order = wanted
    run(one.attempt(execution, lambda: None))
    ((kept, result, path, duration_ms),) = queue.finished
    assert kept is execution
    assert queue.traffic.noted == [(3, 400)] * len(one._attempts.made)
    return (result.outcome, result.reason, result.detail, path, duration_ms), one._attempts.made


def test_each_way_an_attempt_ends():
    made = [("A", 7, "the order")]
    for order, expected, attempts in (
        ("the order", ("OK", "applied", "", "plc", 1500), made),
        (
            Refused("bad-package", "the detail"),
            ("KO", "bad-package", "the detail", "", 0),
            [],
        ),
        (
            OSError(5, "as the test ordered"),
            (
                "HINDERED",
                "flash-full",
                "the package cannot be read: %s" % OSError(5, "as the test ordered"),
                "",
                0,
            ),
            [],
        ),
    ):
        assert attempted(order) == (expected, attempts)
