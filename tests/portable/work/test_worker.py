"""A worker's look for work: slots kept and given back, whose turn it is, what a flash that refuses
costs; with a queue that the test plays."""

from __future__ import annotations

import asyncio

from gateway.jobs.ledger import LedgerError
from gateway.meters.inventory import Meter
from gateway.meters.network import Network
from gateway.work.results import STORAGE_PAUSE_MS, Results
from gateway.work.worker import FULL_MS, LOOK_MS, TURN_MS, Worker
from hal.sim.clock import ManualClock
from tests.portable.meters.test_network import PLC, PLC2, ScriptedModem
from tests.portable.support import run

A, B = Meter("A", [PLC]), Meter("B", [PLC2])


class Traits:
    ranged = False

    def __init__(self, broadcast):
        self.broadcast = broadcast


class Job:
    def __init__(self, broadcast=False):
        self.traits = Traits(broadcast)
        self.priority = 5


JOB = Job()


class Traffic:
    """What has been learned of it, nothing."""

    def __init__(self):
        self.noted = []

    def of(self, job):
        return 0, 0

    def note(self, job, sent):
        self.noted.append(sent)


class Execution:
    def __init__(self, serial, broadcast=False):
        self.serial = serial
        self.job = Job(broadcast)
        self.others = []


class Queue:
    """begin() does what the test says, once each; then there is nothing."""

    def __init__(self, clock):
        self.clock = clock
        self.traffic = Traffic()
        self.plays = []
        self.begun = []  # when each begin() was, in ms from now
        self.made_ms = clock.ticks_ms()
        self.due_ms = 1 << 30
        self.due_others = 0
        self.happened = asyncio.Event()
        self.finished = []
        self.refuse = []  # of finish()

    async def begin(self, may_begin, who_joins):
        self.begun.append(self.clock.ticks_ms() - self.made_ms)
        return self.plays.pop(0)(may_begin, who_joins) if self.plays else None

    def next_due_ms(self):
        return self.due_ms

    async def changed(self):
        await self.happened.wait()
        self.happened.clear()

    def due(self, execution):
        return self.due_others

    async def finish(self, execution, result, path, duration_ms):
        if self.refuse:
            raise self.refuse.pop(0)
        self.finished.append((execution, result, path, duration_ms))


class Inventory:
    def meter(self, serial):
        return {"A": A, "B": B}.get(serial)


class Reach:
    def __init__(self, clock, network):
        self.clock = clock
        self.network = network
        self.inventory = Inventory()


class One:
    """Stands for the attempt at one meter."""

    def __init__(self, world):
        self.world = world
        self.attempts = []

    async def attempt(self, execution, heartbeat):
        self.attempts.append((execution.serial, list(self.world.claims())))
        self.world.network.release(Inventory().meter(execution.serial))


class Many:
    def __init__(self, world, fleet):
        self.world = world
        self.its_fleet = fleet
        self.asked = []
        self.transfers = []

    def fleet(self, execution, heartbeat):
        self.asked.append(execution.serial)
        return self.its_fleet

    async def transfer(self, first, fleet, heartbeat):
        self.transfers.append((first.serial, fleet, list(self.world.claims())))


class Fleet:
    def reaches(self, meter):
        return meter.serial == "A"


class World:
    def __init__(self, slots=1, fleet=None):
        self.clock = ManualClock()
        self.network = Network(self.clock)
        self.network.add(ScriptedModem(), slots)
        self.queue = Queue(self.clock)
        self.beats = []
        self.worker = Worker(Reach(self.clock, self.network), self.queue, None, 1000)
        self.one = self.worker._one_meter = One(self)
        self.many = self.worker._many_meters = Many(self, fleet)

    def claims(self):
        return self.network.ports()[0].claims

    def play(self, steps, workers=1):
        async def whole():
            self.queue.happened = asyncio.Event()
            self.worker._looking = asyncio.Lock()
            tasks = [
                asyncio.create_task(self.worker.run(lambda: self.beats.append(0)))
                for _ in range(workers)
            ]
            await self.clock.settle()
            await steps()
            for task in tasks:
                task.cancel()
            await self.clock.settle()

        run(whole())


def test_a_slot_kept_for_a_meter_is_used_by_its_attempt():
    world = World()

    def begin(may_begin, who_joins):
        assert may_begin("A", JOB) and not may_begin("B", JOB), "there is one slot"
        assert may_begin("unknown", JOB), "it ends at once"
        return Execution("A")

    world.queue.plays = [begin]

    async def steps():
        assert world.one.attempts == [("A", ["A"])]

    world.play(steps)


def test_a_slot_kept_and_not_used_is_given_back_at_the_next_look():
    world = World(2)
    seen = []

    def nothing(may_begin, who_joins):
        seen.append(list(world.claims()))
        assert may_begin("A", JOB) and may_begin("B", JOB)

    world.queue.plays = [nothing, nothing, nothing]

    async def steps():
        assert world.claims() == ["A", "B"]
        await world.clock.run(2 * LOOK_MS)
        assert seen == [[], [], []]

    world.play(steps)


def test_how_often_it_looks():
    assert (FULL_MS, LOOK_MS, TURN_MS) == (250, 1000, 60000)
    world = World()

    async def steps():
        begun = world.queue.begun
        assert begun == [0]
        await world.clock.run(999)
        assert begun == [0]
        await world.clock.run(1)
        assert begun == [0, 1000]
        world.queue.happened.set()
        await world.clock.settle()
        assert begun == [0, 1000, 1000], "something has come up"
        world.queue.due_ms = 10
        world.queue.happened.set()
        await world.clock.settle()
        before = len(begun)
        await world.clock.run(10)
        assert len(begun) == before + 1, "one falls due before"

    world.play(steps)


def test_while_all_slots_are_taken_nothing_is_asked_of_the_queue():
    world = World()

    async def steps():
        link = await world.network.open(B, PLC2)
        await world.clock.run(1000)
        before = len(world.queue.begun)
        await world.clock.run(10 * FULL_MS)
        assert len(world.queue.begun) == before
        await link.close()
        await world.clock.run(FULL_MS)
        assert len(world.queue.begun) == before + 1

    world.play(steps)


def test_a_flash_that_refuses_is_waited_for():
    world = World()

    def refuses(may_begin, who_joins):
        raise OSError(5, "as the test ordered")

    world.queue.plays = [refuses, lambda may_begin, who_joins: Execution("A")]

    async def steps():
        await world.clock.run(STORAGE_PAUSE_MS - 1)
        assert world.one.attempts == []
        await world.clock.run(1)
        assert [serial for serial, _ in world.one.attempts] == ["A"]

    assert STORAGE_PAUSE_MS == 5000
    world.play(steps)


def test_one_worker_looks_and_the_others_show_that_they_live():
    world = World()
    world.queue.due_ms = 1 << 30
    at_work = []

    async def begin(may_begin, who_joins):
        at_work.append(0)
        await world.clock.sleep_ms(10 * TURN_MS)

    world.queue.begin = begin

    async def steps():
        assert len(at_work) == 1 and len(world.beats) == 3
        await world.clock.run(TURN_MS)
        assert len(at_work) == 1 and len(world.beats) == 5

    world.play(steps, workers=3)


def test_when_all_meters_of_a_job_are_spoken_to_at_once():
    fleet = Fleet()
    for broadcast, others, its_fleet, expected in (
        (True, 2, fleet, True),
        (True, 1, fleet, False),  # two meters are no campaign
        (False, 9, fleet, False),
        (True, 9, None, False),
    ):
        world = World(2, its_fleet)
        world.queue.due_others = others
        joins = []

        def begin(may_begin, who_joins, world=world, broadcast=broadcast, joins=joins):
            execution = Execution("A", broadcast)
            assert may_begin("A", JOB)
            which = who_joins(execution)
            if which is not None:
                joins.extend([serial for serial in ("A", "B", "unknown") if which(serial)])
            return execution

        world.queue.plays = [begin]

        async def steps(world=world, expected=expected, joins=joins):
            if expected:
                assert world.many.transfers == [("A", fleet, [])], "no slot is kept for one meter"
                assert joins == ["A"] and world.one.attempts == []
            else:
                assert world.many.transfers == [] and joins == []
                assert world.one.attempts == [("A", ["A"])]

        world.play(steps)


def test_the_fleet_of_one_job_is_not_the_next_ones():
    fleet = Fleet()
    world = World(2, fleet)
    world.queue.due_others = 9

    def first(may_begin, who_joins):
        execution = Execution("A", True)
        who_joins(execution)
        return execution

    def second(may_begin, who_joins):
        return Execution("A")

    world.queue.plays = [first, second]

    async def steps():
        assert len(world.many.transfers) == 1 and len(world.one.attempts) == 1

    world.play(steps)


# ---------------------------------------------------------------- results


def test_a_result_is_recorded_however_long_the_flash_refuses():
    async def play():
        clock = ManualClock()
        queue = Queue(clock)
        queue.refuse = [OSError(5, "one"), OSError(28, "two")]
        beats = []
        began = clock.ticks_ms()
        clock.advance(600)
        recording = asyncio.create_task(
            Results(queue, clock).record(
                "execution", "result", "plc", began, lambda: beats.append(0)
            )
        )
        await clock.run(STORAGE_PAUSE_MS)
        assert queue.finished == [] and not recording.done()
        await clock.run(STORAGE_PAUSE_MS)
        await recording
        assert queue.finished == [("execution", "result", "plc", 600)]
        assert len(beats) == 3
        queue.refuse = [LedgerError("no such execution")]
        await Results(queue, clock).record("execution", "result", "", 0, lambda: None)
        assert len(queue.finished) == 1, "the queue has it again"

    run(play())
