"""Tasks and jobs side by side: whose turn it is, who gives way and when, one conversation a meter;
with the real queue, runs, network and workers, and conversations that the test plays."""

from __future__ import annotations

import asyncio

from gateway.activities.readings import Collected
from gateway.audit import Audit
from gateway.contract.job import Job, PackageRef
from gateway.contract.kinds import CONFIGURE, READ
from gateway.contract.result import HINDERED, KO, OK, Result
from gateway.contract.task import ALL, DAYS, PROFILE, Every, Item, Task
from gateway.contract.zone import Zone
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Queue
from gateway.meters.inventory import METERS, Inventory
from gateway.meters.network import Network
from gateway.meters.reach import GivenUp
from gateway.tasks.book import Book
from gateway.tasks.runs import Runs
from gateway.work.giving_way import LOOK_MS, TURN_MS
from gateway.work.task_meter import TaskMeter
from gateway.work.worker import FULL_MS, Worker
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.meters.test_network import ScriptedModem
from tests.portable.support import run

log.set_level("error")

NOW = 1_800_000_000
DAY = 86400
NAME = (1, b"\x00\x00\x2a\x00\x00\xff", 2)
APDU_MS = 400  # from one request to the next
APDUS = 10  # of a visit
JOB_MS = 1000  # an attempt of a job


class Limits:
    jobs = 8
    ledger_bytes = 1 << 20
    free_bytes = 0


class Reach:
    def __init__(self, clock, network, inventory):
        self.clock = clock
        self.network = network
        self.inventory = inventory


class Attempts:
    """Visits of APDUS requests; `play[serial]`: what comes of it instead."""

    def __init__(self, world):
        self.world = world
        self.play = {}

    async def visit(self, serial, work, order, heartbeat, traffic, check):
        world = self.world
        meter = world.inventory.meter(serial)
        world.begins("task", serial)
        link = await world.network.open(meter, meter.paths[0])
        try:
            for _ in range(APDUS):
                heartbeat()
                check()
                await world.clock.sleep_ms(APDU_MS)
            if serial in self.play:
                return self.play[serial]
            traffic.sent = (APDUS, 700)
            return await work(None, serial, order, None), "plc"
        except GivenUp:
            world.log.append(("gave way", serial, world.ms()))
            raise
        finally:
            await link.close()
            world.ends("task", serial)


class Collector:
    def __init__(self, world):
        self.world = world
        self.gaps = {}
        self.forgotten = []

    def forget(self, serial):
        self.forgotten.append(serial)

    async def collect(self, client, serial, model, items, recorder, task, keep):
        assert recorder == ("recorder of", "nightly")
        self.world.collected.append((serial, task, keep, [item.name for item in items]))
        found = Collected()
        found.rows = 96
        found.gaps = self.gaps.get(serial, [])
        return found


class World:
    def __init__(self, meters=6, slots=2, workers=3, priority=3):
        self.clock = ManualClock(NOW)
        self.storage = MemoryStorage()
        self.serials = ["M%d" % number for number in range(meters)]
        line = '{"serial": "M%d", "paths": [["plc", "0080e100000%d"]]}\n'
        rows = [line % (number, number) for number in range(meters)]
        self.storage.replace(METERS, "".join(rows).encode())
        self.inventory = Inventory(self.storage)
        nodes = ["0080e100000%d" % number for number in range(meters)]
        self.network = Network(self.clock)
        self.network.add(ScriptedModem(nodes=nodes), slots)
        trail = Audit(self.storage, self.clock, 1 << 16)
        self.ledger = Ledger(self.storage, self.clock, bytes, Limits(), trail)
        self.queue = Queue(self.ledger, self.clock, bytes)
        self.book = Book(self.storage, list)
        items = [Item(PROFILE, "load-profile")]
        every = Every(DAYS, 1, 10, 0)
        self.book.set(Task("nightly", 0, every, priority, [ALL, []], items, 1000, 30, 0))
        self.runs = Runs(
            self.book,
            Zone("UTC0"),
            self.clock,
            self.inventory,
            lambda serial: 0,
            self.ledger.task_run,
            bytes,
        )
        self.book.begin(NOW - DAY)  # so that it is due
        self.collected = []
        self.log = []
        self.there = []  # who is spoken to now
        reach = Reach(self.clock, self.network, self.inventory)
        self.collector = Collector(self)
        self.flash_refuses = False
        self.worker = Worker(
            reach, self.queue, None, 60000, self.runs, lambda: self.collector, self.recorder
        )
        self.attempts = self.worker._one_meter._attempts = Attempts(self)
        self.worker._one_meter.attempt = self.attempt
        self.workers = workers
        self.began_ms = self.clock.ticks_ms()

    def recorder(self, task):
        if self.flash_refuses:
            raise OSError(28)
        return "recorder of", task.name

    def ms(self):
        return self.clock.ticks_ms() - self.began_ms

    def begins(self, what, serial):
        assert serial not in self.there, "two conversations with %s" % serial
        self.there.append(serial)
        self.log.append((what, serial, self.ms()))

    def ends(self, what, serial):
        self.there.remove(serial)

    async def attempt(self, execution, heartbeat):
        meter = self.inventory.meter(execution.serial)
        self.begins("job", execution.serial)
        link = await self.network.open(meter, meter.paths[0])
        await self.clock.sleep_ms(JOB_MS)
        await link.close()
        self.ends("job", execution.serial)
        await self.queue.finish(execution, Result(OK, "applied"), "plc", JOB_MS)

    def order(self, serials, priority=5, number=1, kind=READ):
        job_id = bytes(15) + bytes([number])
        what = (None, [NAME]) if kind == READ else (PackageRef("p", 1, bytes(32)), [])
        job = Job(job_id, kind, "c", NOW, priority, 0, 0, 3, 10, serials, *what)
        assert self.ledger.accept(job, job.encode()) == "accepted"

    def play(self, scene):
        async def whole():
            self.worker._looking = asyncio.Lock()
            tasks = [
                asyncio.create_task(self.worker.run(lambda: None)) for _ in range(self.workers)
            ]
            await self.clock.settle()
            await scene(self)
            for task in tasks:
                task.cancel()
            await self.clock.settle()

        run(whole())

    def told(self):
        return [
            (report.body.name, report.body.meters, report.body.complete, report.body.gaps)
            for report in self.ledger.reports(0, 99)
            if hasattr(report.body, "gaps")
        ]

    def began(self, what):
        return [(serial, ms) for kind, serial, ms in self.log if kind == what]


VISIT_MS = APDUS * APDU_MS


def test_a_task_goes_through_all_its_meters_several_at_a_time():
    async def scene(world):
        await world.clock.run(VISIT_MS - 1)
        assert len(world.there) == 2
        await world.clock.run(3 * VISIT_MS)
        assert sorted([serial for serial, _ in world.began("task")]) == world.serials
        assert world.collected[0] == ("M0", "nightly", 30, ["load-profile"])
        assert world.told() == [("nightly", 6, 6, [])]
        world.clock.advance(DAY * 1000)
        await world.clock.run(4 * VISIT_MS)
        assert world.told() == [("nightly", 6, 6, [])] * 2

    World().play(scene)


def test_what_comes_of_a_visit():
    async def scene(world):
        world.attempts.play = {
            "M0": (Result(KO, "no-answer"), ""),
            "M1": (Result(HINDERED, "radio-budget", "", None, 100), ""),
        }
        world.collector.gaps = {"M2": ["read-refused"], "M3": ["access-denied", "meter-busy"]}
        await world.clock.run(8 * VISIT_MS)
        assert len(world.began("task")) == 6 and world.told() == []  # M1 has not had its try
        world.attempts.play = {}
        world.collector.gaps = {"M2": ["read-refused"]}
        await world.clock.run(120_000)
        serials = [serial for serial, _ in world.began("task")[6:]]
        assert sorted(serials) == ["M0", "M1", "M3"]
        # once everybody has had a try it is told how far it is, or that it is over
        assert world.told()[-1] == ("nightly", 6, 5, [["read-refused", 1]])

    World().play(scene)


def test_one_conversation_gives_way_for_a_job_when_there_is_no_slot():
    async def scene(world):
        await world.clock.run(1000)
        world.order(["M5"])
        await world.clock.run(APDU_MS + FULL_MS + LOOK_MS)
        assert [serial for serial, _ in world.began("job")] == ["M5"]
        assert len([entry for entry in world.log if entry[0] == "gave way"]) == 1
        await world.clock.run(6 * VISIT_MS)
        assert world.told() == [("nightly", 6, 6, [])]  # who gave way had its turn again
        assert len(world.began("task")) == 7

    World().play(scene)


def test_all_that_wait_have_their_slots_within_seconds():
    async def scene(world):
        await world.clock.run(1000)
        world.order(world.serials[4:6], 9)
        world.order(world.serials[6:], 5, 2)
        await world.clock.run(4 * TURN_MS + JOB_MS)
        assert len(world.began("job")) == 4
        assert max([ms for _, ms in world.began("job")]) <= 5000

    World(meters=8, slots=4, workers=5).play(scene)


def test_the_meter_of_a_task_is_given_to_a_job_at_the_next_request():
    async def scene(world):
        await world.clock.run(1000)
        (serial,) = world.there
        world.order([serial])
        await world.clock.run(APDU_MS + LOOK_MS)
        assert world.log[1][:2] == ("gave way", serial)
        assert world.log[2][:2] == ("job", serial)
        await world.clock.run(8 * VISIT_MS)
        assert world.told() == [("nightly", 6, 6, [])]

    World(slots=1, workers=2).play(scene)


def test_a_less_urgent_job_waits_for_the_task():
    async def scene(world):
        world.order(world.serials, 2)
        await world.clock.run(1000)
        assert world.began("job") == []
        await world.clock.run(3 * VISIT_MS + 6 * JOB_MS)
        last_task = max([ms for _, ms in world.began("task")])
        # but a worker that finds the rest in work goes on with the job
        assert [entry for entry in world.log if entry[0] == "gave way"] == []
        assert len(world.began("job")) == 6 and len(world.began("task")) == 6
        assert min([ms for _, ms in world.began("job")]) >= last_task

    World().play(scene)


def test_an_equally_urgent_job_goes_first():
    async def scene(world):
        world.order(world.serials, 3)
        await world.clock.run(2500)
        assert len(world.began("job")) >= 4

    World().play(scene)


def test_with_one_worker_a_task_gives_way_too():
    async def scene(world):
        await world.clock.run(1000)
        world.order(["M5"])
        await world.clock.run(APDU_MS + LOOK_MS)
        assert [serial for serial, _ in world.began("job")] == ["M5"]

    World(slots=2, workers=1).play(scene)


def test_nobody_gives_way_for_a_job_that_cannot_begin():
    async def scene(world):
        world.network.add(ScriptedModem("rf", ("2c2d576866323002",)), 4)
        world.network.ports()[1].alive = lambda: False
        meters = world.storage.read(METERS)
        alone = b'{"serial": "R", "paths": [["rf", "2c2d576866323002"]]}\n'
        world.storage.replace(METERS, meters + alone)
        assert world.inventory.known("R")
        await world.clock.run(1000)
        world.order(["R"])
        await world.clock.run(2 * VISIT_MS)
        assert world.began("job") == []
        assert [entry for entry in world.log if entry[0] == "gave way"] == []

    World().play(scene)


def test_a_meter_in_the_breaks_of_a_transfer_is_lent_for_what_is_more_urgent():
    world = World()
    world.order(["M0"], 3)
    execution = world.queue.take(lambda serial, job: True)
    assert not world.queue.lend("M0", 9)
    world.queue.park(execution)
    assert not world.queue.lend("M0", 3) and world.queue.lend("M0", 4)
    assert not world.queue.lend("M0", 9)
    assert not world.queue.unpark(execution)
    world.queue.give_back("M0")
    assert world.queue.unpark(execution)


def test_what_a_job_may_have_changed_is_read_anew():
    async def scene(world):
        world.order(["M1", "M2"], 5, 1, CONFIGURE)
        world.queue.release(bytes(15) + b"\x01")
        world.order(["M3"], 5, 2)
        await world.clock.run(3 * JOB_MS + APDU_MS + 2 * TURN_MS)
        assert len(world.began("job")) == 3
        assert sorted(world.collector.forgotten) == ["M1", "M2"]  # a job that reads changes nothing

    World().play(scene)


def test_a_flash_that_takes_no_readings_is_a_hindrance():
    async def scene(world):
        await world.clock.run(20_000)
        assert world.collected == [] and world.began("task") == []
        world.flash_refuses = False
        await world.clock.run(10_000 + 4 * VISIT_MS)
        assert world.told() == [("nightly", 6, 6, [])]

    world = World()
    world.flash_refuses = True
    world.play(scene)


def test_a_fault_of_ours_loses_no_meter():
    async def scene(world):
        def broken():
            raise MemoryError

        tasks = TaskMeter(
            world.queue,
            world.runs,
            world.worker._giving_way,
            lambda: world.attempts,
            broken,
            world.recorder,
        )
        world.queue.lend("M0", 3)
        errand = world.runs.take(lambda serial, task: True)
        try:
            await tasks.visit(errand, lambda: None)
            raise AssertionError()
        except MemoryError:
            pass
        assert not world.runs.in_work("M0") and not world.queue.is_lent("M0")

    World(workers=0).play(scene)
