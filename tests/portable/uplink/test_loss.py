"""A line, or a broker, that loses messages it has taken, repeats and swaps them, and breaks: what
heals it is the uplink protocol's own acknowledgements and requests. In simulated time.
"""

from __future__ import annotations

import hashlib

from gateway.contract.messages import Cancel
from gateway.contract.reports import Dropped, JobReport, MeterReport
from gateway.contract.result import OK, Result
from hal.rt import log
from tests.portable.support import random_bytes, run
from tests.portable.uplink.support import (
    HERE,
    HOUR,
    KNOWN,
    NOW,
    World,
    configure_job,
    package,
    read_job,
    signed,
)

log.set_level("error")

MINUTE = 60_000


class Sometimes:
    """For Hes.lose: holds any name, for so many of 256 looks at it."""

    def __init__(self, seed: int, of_256: int) -> None:
        self._chances = random_bytes(seed, 4096)
        self._of_256 = of_256
        self._next = 0
        self.lost = 0

    def __contains__(self, name: object) -> bool:
        self._next = (self._next + 1) % len(self._chances)
        lose = self._chances[self._next] < self._of_256
        self.lost += lose
        return lose


async def suffer(seed: int, of_256: int, most_hours: int, protected: bool = False) -> int:
    """Configure, read and cancel over a line that loses `of_256` of its messages; how many it lost.
    All must be well within `most_hours`.
    """
    world = World(protected=protected)
    losing = Sometimes(seed, of_256)
    world.hes.lose = losing  # type: ignore[assignment]
    world.line.twice, world.line.backwards = bool(seed & 1), bool(seed & 2)
    await world.start()
    raw = signed(package(9000).to_payload())
    world.hes.packages[hashlib.sha256(raw).digest()] = raw
    end = NOW + 48 * HOUR
    world.hes.order("job", signed(configure_job(raw, 1, not_after=end).encode()))
    world.hes.order("job", signed(read_job(2, not_after=end).encode()))
    later = read_job(3, serials=KNOWN[2:], not_before=NOW + 24 * HOUR, not_after=end)
    world.hes.order("job", signed(later.encode()))
    canceled = False
    for step in range(12 * most_hours):
        await world.clock.run(5 * MINUTE)
        while True:
            execution = world.queue.take(lambda serial, job: True)
            if execution is None:
                break
            await world.queue.finish(execution, Result(OK, "applied"), "plc", 5)
        if step % 8 == seed:
            world.line.cut()
        known = [body.job_id for body in world.hes.bodies(JobReport)]
        if not canceled and later.id in known:
            canceled = True
            world.hes.order("cancel", signed(Cancel(later.id, HERE, NOW).encode()))
        ended = [body for body in world.hes.bodies(JobReport) if body.reason != "accepted"]
        if len([b for b in ended if b.state in ("succeeded", "canceled")]) == 3:
            break
    await world.clock.run(6 * MINUTE)
    check(world, seed)
    await world.stop()
    return losing.lost


def check(world: World, seed: int) -> None:
    """Every report once and in order, every meter with its result, nothing twice."""
    reports = world.hes.reports
    assert [r.number for r in reports] == list(range(1, len(reports) + 1)), seed
    results = []
    for body in world.hes.bodies(MeterReport):
        results.append((body.job_id[-1], body.serial, body.state))
    assert sorted(results) == [
        (1, KNOWN[0], "succeeded"),
        (1, KNOWN[1], "succeeded"),
        (2, KNOWN[0], "succeeded"),
        (2, KNOWN[1], "succeeded"),
        (3, KNOWN[2], "canceled"),
    ], (seed, results)
    assert world.hes.bodies(Dropped) == []
    # An order may come twice, and is told so; nothing else was wrong with any.
    for reason in world.hes.reasons():
        assert reason in ("duplicate", "unknown-job"), (seed, reason)


def test_a_tenth_lost() -> None:
    lost = 0
    for seed in range(4):
        lost += run(suffer(seed, 26, 6))
    assert lost > 10


def test_a_tenth_lost_of_a_protected_line() -> None:
    for seed in (0, 3):
        assert run(suffer(seed, 26, 6, True)) > 2


def test_half_lost() -> None:
    lost = 0
    for seed in range(4):
        lost += run(suffer(seed, 128, 24))
    assert lost > 100


def test_half_lost_of_a_protected_line() -> None:
    assert run(suffer(3, 128, 24, True)) > 25
