"""Seven days without a broker, in simulated time: the gateway works on, restarts, and when the line
is back the HES gets everything once and in order. Memory stays where it was.
"""

from __future__ import annotations

from gateway.contract.reports import Dropped, Event, JobReport, MeterReport
from gateway.contract.result import KO, VALUE, Result
from gateway.jobs.routine import ROUTINE_SIZE
from gateway.uplink.session import LAST_PAUSE_MS
from hal.rt import log
from tests.contract.here import FolderStorage
from tests.portable.jobs.support import done
from tests.portable.memory import MICROPYTHON, Measured
from tests.portable.places import with_folder
from tests.portable.support import run
from tests.portable.uplink.support import HOUR, NOW, World, read_job, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.jobs.queue import Execution

log.set_level("error")

DAYS = 7
JOBS = 3
METERS = 54  # of each job: an execution an hour, and a few hours to spare
SERIALS = ["AMI%010d" % number for number in range(METERS)]
EVENTS_A_DAY = ROUTINE_SIZE // 5  # more in a week than are kept
FIRMEST = 12  # attempts a job allows
# What may be in RAM beyond the first two days', which fill what is kept for good: of an execution
# with its report unacknowledged, and in all. One that has ended keeps but a few octets; its
# report is on the flash.
EXECUTION_OCTETS = 24
SPARE_OCTETS = 32768


def work(world: World, attempts: dict[tuple[bytes, str], int], most: int) -> int:
    """Carry out up to `most` executions, each at its second attempt; how many have ended."""
    ended = 0
    while ended < most:
        execution: Execution | None = world.queue.take(lambda serial, job: True)
        if execution is None:
            break
        key = (execution.job.id, execution.serial)
        attempts[key] += 1
        if attempts[key] == 1:
            done(world.queue, execution, Result(KO, "no-answer"), "plc", 5)
        else:
            done(world.queue, execution, Result(VALUE, "read", "", [b"\x00"]), "plc", 5)
            ended += 1
    return ended


def test_a_week_without_a_broker() -> None:
    a_week(False)


if not MICROPYTHON:  # where a signature for each of 13,000 attempts to connect takes minutes

    def test_a_week_without_a_broker_and_then_a_protected_line() -> None:
        a_week(True)


def a_week(protected: bool) -> None:
    async def scenario(folder: str, memory: Measured) -> None:
        world = World(storage=FolderStorage(folder), known=SERIALS, protected=protected)
        await world.start()
        for number in range(JOBS):
            changes = {"not_after": NOW + 9 * 24 * HOUR, "max_attempts": FIRMEST}
            job = read_job(number, serials=SERIALS, **changes)
            world.hes.order("job", signed(job.encode()))
        await world.clock.run(10_000)
        assert [body.reason for body in world.hes.bodies(JobReport)] == ["accepted"] * JOBS
        told = len(world.hes.reports)
        world.line.up = False
        world.line.cut()

        attempts: dict[tuple[bytes, str], int] = {}
        for entry in world.ledger.jobs():
            for serial in SERIALS:
                attempts[entry.job.id, serial] = 0
        ended, used = 0, []
        for day in range(DAYS):
            for _ in range(24):
                ended += work(world, attempts, 1)
                await world.clock.run(HOUR * 1000)
                world.line.attempts = []
            for _ in range(EVENTS_A_DAY):  # the last ones only counted
                world.ledger.event("door-open", "day %d" % day)
            await world.stop()  # the night's power cut
            world.boot()
            await world.start()
            used.append(memory.used())
        assert ended == JOBS * METERS
        assert not world.session.online and len(world.hes.reports) == told
        grown = max(used[2:]) - max(used[:2])
        assert grown < ended * EXECUTION_OCTETS + SPARE_OCTETS, used

        world.line.up = True
        await world.clock.run(10 * LAST_PAUSE_MS)
        check(world, attempts)
        await world.stop()

    def in_folder(folder: str) -> None:
        with Measured() as memory:
            run(scenario(folder, memory))

    with_folder(in_folder)


def check(world: World, attempts: dict[tuple[bytes, str], int]) -> None:
    """Each report once and in order, each execution once, the drop of events told."""
    reports = world.hes.reports
    assert [report.number for report in reports] == list(range(1, len(reports) + 1))
    times = [report.time for report in reports]
    assert times == sorted(times)
    assert world.ledger.acknowledged == world.ledger.last_number
    bodies = world.hes.bodies(MeterReport)
    assert sorted([(body.job_id, body.serial) for body in bodies]) == sorted(attempts)
    assert len(attempts) == JOBS * METERS
    for body in bodies:
        assert (body.outcome, body.reason, body.attempts) == (VALUE, "read", 2)
    ends = [body for body in world.hes.bodies(JobReport) if body.reason == "ended"]
    assert [body.state for body in ends] == ["succeeded"] * JOBS
    events = [body.name for body in world.hes.bodies(Event)]
    assert ROUTINE_SIZE - 2 <= events.count("door-open") <= ROUTINE_SIZE
    assert "refusals-dropped" in events
    assert world.hes.bodies(Dropped) == [] and world.hes.reasons() == []
    assert world.ledger.jobs() == []
