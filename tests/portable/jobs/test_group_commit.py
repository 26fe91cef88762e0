"""Many workers, one sync: nothing counts before it, and all is lost or kept together."""

from __future__ import annotations

import asyncio

from gateway.audit import Audit
from gateway.contract.job import Job, State
from gateway.contract.kinds import READ
from gateway.contract.result import OK, Result
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Execution, Queue
from hal.rt import cbor, log
from hal.sim.clock import ManualClock
from hal.sim.storage import ENOSPC, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.jobs.support import in_work
from tests.portable.support import random_bytes, run

NOW = 1_700_000_000
APPLIED = Result(OK, "applied")
METERS = ["M%d" % i for i in range(8)]
log.set_level("error")


class Limits:
    jobs = 4
    ledger_bytes = 65536
    free_bytes = 0


class World:
    def __init__(self, storage: MemoryStorage | None = None) -> None:
        self.storage = storage or MemoryStorage()
        self.clock = ManualClock(NOW)
        self.trail = Audit(self.storage, self.clock, 16384)
        self.ledger = Ledger(
            self.storage, self.clock, lambda n: random_bytes(3, n), Limits(), self.trail
        )
        self.queue = Queue(self.ledger, self.clock, lambda n: random_bytes(5, n))

    def accept(self) -> None:
        objects = [(8, b"\x00\x00\x01\x00\x00\xff", 2)]
        job = Job(bytes(16), READ, "ct-1", NOW, 5, 0, 0, 3, 30, METERS, None, objects)
        assert self.ledger.accept(job, job.encode()) == "accepted"

    async def begin(self, count: int) -> list[Execution]:
        tasks = [
            asyncio.create_task(self.queue.begin(lambda serial, job: True)) for _ in range(count)
        ]
        found = []
        for task in tasks:
            execution = await task
            if execution is not None:
                found.append(execution)
        return found

    async def finish(self, executions: list[Execution]) -> None:
        tasks = [asyncio.create_task(self.queue.finish(each, APPLIED)) for each in executions]
        for task in tasks:
            await task


def test_one_sync_for_all_of_a_turn() -> None:
    async def body() -> None:
        world = World()
        world.accept()
        before = world.storage.syncs
        executions = await world.begin(8)
        assert [each.serial for each in executions] == METERS
        assert world.storage.syncs == before + 1
        await world.finish(executions)
        assert world.storage.syncs == before + 2
        assert in_work(world.queue) == 0
        assert await world.begin(2) == [] and world.storage.syncs == before + 2
        again = World(world.storage.after_cut())
        assert again.ledger.jobs()[0].count(State.SUCCEEDED) == 8
        assert again.ledger.last_number == 10
        # One job and eight results, in the same syncs.
        assert world.trail.records == 9
        assert (again.trail.records, again.trail.head) == (9, world.trail.head)

    run(body())


def test_nothing_is_told_before_the_sync() -> None:
    async def body() -> None:
        world = World()
        world.accept()
        (execution,) = await world.begin(1)
        told = world.ledger.last_number
        task = asyncio.create_task(world.queue.finish(execution, APPLIED))
        await asyncio.sleep(0)
        assert not task.done()
        assert world.ledger.last_number == told
        assert world.trail.records == 1
        assert [r.number for r in world.ledger.reports(0, 99)] == [told]
        assert in_work(world.queue) == 1
        await task
        assert world.ledger.last_number == told + 1
        assert [r.number for r in world.ledger.reports(told, 99)] == [told + 1]

    run(body())


def test_a_write_of_somebody_else_takes_all_along() -> None:
    async def body() -> None:
        world = World()
        world.accept()
        executions = await world.begin(2)
        before = world.storage.syncs
        task = asyncio.create_task(world.queue.finish(executions[0], APPLIED))
        await asyncio.sleep(0)
        world.ledger.acknowledge(1)  # syncs by itself
        await task
        assert world.storage.syncs == before + 1
        task = asyncio.create_task(world.queue.finish(executions[1], APPLIED))
        await asyncio.sleep(0)
        world.storage.fail_next(ENOSPC)
        try:
            world.ledger.cancel(bytes(16))
            raise AssertionError("it was written")
        except OSError:
            pass
        try:
            await task
            raise AssertionError("it was written")
        except OSError:
            pass
        assert world.ledger.jobs()[0].count(State.SUCCEEDED) == 1
        assert world.trail.records == 2
        await world.queue.finish(executions[1], APPLIED)
        assert world.ledger.jobs()[0].count(State.SUCCEEDED) == 2

    run(body())


def test_a_sync_that_fails_is_told_to_all() -> None:
    async def body() -> None:
        world = World()
        world.accept()
        world.storage.fail_next(ENOSPC)
        tasks = [asyncio.create_task(world.queue.begin(lambda serial, job: True)) for _ in range(3)]
        failed = 0
        for task in tasks:
            try:
                await task
            except OSError:
                failed += 1
        assert failed == 3 and world.trail.records == 1 and in_work(world.queue) == 0
        assert bytes(world.ledger.jobs()[0].attempts) == bytes(8)
        executions = await world.begin(3)
        assert [each.serial for each in executions] == METERS[:3]

    run(body())


def test_power_cuts_at_every_write() -> None:
    """What a call has returned of is there after the cut; what was not begun was not done."""

    async def life(world: World, begun: list[str], done: list[str]) -> None:
        async def worker() -> None:
            while True:
                execution = await world.queue.begin(lambda serial, job: True)
                if execution is None:
                    return
                begun.append(execution.serial)
                await world.queue.finish(execution, APPLIED)
                done.append(execution.serial)

        tasks = [asyncio.create_task(worker()) for _ in range(3)]
        cut = False
        for task in tasks:
            try:
                await task
            except PowerCut:
                cut = True
            except OSError:
                pass  # it waited for the sync during which the power went
        if cut:
            raise PowerCut

    count = 0
    for survival in SURVIVALS:
        cut = 0
        while True:
            world = World()
            world.accept()
            world.storage.arm(cut, survival)
            begun: list[str] = []
            done: list[str] = []
            try:
                run(life(world, begun, done))
                break
            except PowerCut:
                pass
            cut += 1
            count += 1
            again = World(world.storage.after_cut())
            entry = again.ledger.jobs()[0]
            for serial in begun:
                assert entry.attempts[METERS.index(serial)] == 1, (cut, survival)
            again.ledger.compact()
            again.trail.sync()
            records = [cbor.decode(raw)[3:] for _, raw in again.trail._journal.records()]
            on_record = [details[1] for kind, details in records if kind == "done"]
            finished = [s for s in METERS if entry.states[METERS.index(s)] == State.SUCCEEDED]
            assert not [s for s in finished if on_record.count(s) != 1], (cut, survival)
            for serial in done:
                assert entry.states[METERS.index(serial)] == State.SUCCEEDED, (cut, survival)
    assert count > 40
