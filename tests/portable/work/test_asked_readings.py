"""A job that asks for rows: those on the flash go up once more, the meter is asked for the others,
and nothing that is newer is passed over."""

from __future__ import annotations

from gateway.activities import asked
from gateway.activities.readings import Collector
from gateway.contract import block
from gateway.contract.job import Job, Span
from gateway.contract.kinds import READINGS
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.reading_record import Rows
from gateway.contract.refused import Refused
from gateway.contract.task import PROFILE, Item
from gateway.work.asked_readings import AskedReadings
from hal.sim.storage import MemoryStorage
from tests.portable.activities.profile_meter import NAME, NOON, Meter
from tests.portable.readings.support import World
from tests.portable.support import raises, run

MIDNIGHT = NOON - 43200


class Inventory:
    def __init__(self, known=True):
        self.known = known

    def meter(self, serial):
        return self if self.known else None


class Reach:
    """What is needed of one to find a meter's model."""

    model = OWN_MODEL

    def __init__(self):
        self.inventory = Inventory()

    def access(self, meter):
        return self


class Execution:
    def __init__(self, start, end, name="", attempt=1, objects=None):
        self.serial = "M1"
        self.attempt = attempt
        if objects is None:
            objects = [] if name else [(7, NAME, 2)]
        self.job = Job(
            bytes(16),
            READINGS,
            "here",
            1,
            5,
            0,
            0,
            1,
            0,
            ["M1"],
            objects=objects,
            span=Span(name, start, end),
        )


class Scene:
    def __init__(self):
        self.world = World(MemoryStorage())
        self.clock = self.world.clock
        self.clock.set_unix_time(NOON)
        self.meter = Meter(self.clock)
        self.collector = Collector(self.clock)
        self.asking = AskedReadings(Reach(), lambda: self.collector, self.world.recorder)

    def read(self):
        """As a task does."""
        item = Item(PROFILE, objects=[(7, NAME, 2)])
        recorder = self.world.recorder()
        run(self.collector.collect(self.meter, "M1", OWN_MODEL, [item], recorder, "night", 1))

    def ask(self, start, end, name="", **more):
        order = run(self.asking.order(Execution(start, end, name, **more)))
        if order.is_here():
            return order.done()
        return run(asked.run(self.meter, "M1", order, OWN_MODEL))


def times(scene, after):
    """Of the rows behind that number of the stream."""
    found = []
    for _, record in scene.world.sent(after):
        if isinstance(record, Rows):
            found += [row[0] for row in block.decode(record.block)]
    return found


def test_of_the_flash_what_is_there_and_of_the_meter_the_rest():
    scene = Scene()
    scene.meter.capture_each(MIDNIGHT, NOON)
    scene.read()
    before = scene.world.store.next - 1
    scene.meter.asked = []
    result = scene.ask(MIDNIGHT + 3600, MIDNIGHT + 7200)
    assert (result.outcome, result.reason) == ("OK", "read")
    assert result.detail == "5 rows: 5 from the flash, 0 from the meter"
    assert scene.meter.asked == []
    assert times(scene, before) == list(range(MIDNIGHT + 3600, MIDNIGHT + 7201, 900))
    before = scene.world.store.next - 1
    assert scene.ask(MIDNIGHT, MIDNIGHT + 900, attempt=2).detail[:6] == "2 rows"
    assert scene.world.store.next - 1 == before  # they went with the first attempt


def test_what_is_older_than_all_that_is_here():
    scene = Scene()
    scene.meter.capture_each(NOON - 3 * 86400, NOON)
    scene.read()
    start = NOON - 2 * 86400
    result = scene.ask(start, NOON)
    assert result.detail == "193 rows: 97 from the flash, 96 from the meter"
    scene.read()
    assert scene.world.recorder().last("M1", NAME)[0] == NOON
    assert scene.ask(start, NOON).detail == "193 rows: 193 from the flash, 0 from the meter"


def test_what_is_newer_is_read_without_a_hole():
    scene = Scene()
    scene.meter.capture_each(MIDNIGHT, NOON)
    scene.read()
    scene.clock.set_unix_time(NOON + 7200)
    scene.meter.capture_each(NOON + 900, NOON + 7200)
    result = scene.ask(NOON + 3600, NOON + 3600)
    assert result.detail == "8 rows: 0 from the flash, 8 from the meter"
    assert scene.ask(NOON + 900, NOON + 7200).detail[:6] == "8 rows"


def test_a_meter_that_was_never_read():
    scene = Scene()
    scene.meter.capture_each(MIDNIGHT, NOON)
    assert scene.ask(MIDNIGHT, MIDNIGHT + 1800, name="load-profile").detail[:6] == "3 rows"


def test_a_name_that_the_model_has_not():
    scene = Scene()
    refused = raises(Refused, scene.ask, MIDNIGHT, NOON, "no-such")
    assert refused.reason == "model-unfit"


def test_what_the_meter_refuses():
    scene = Scene()
    result = scene.ask(MIDNIGHT, NOON, objects=[(7, b"\x01\x00\x63\x09\x00\xff", 2)])
    assert (result.outcome, result.reason) == ("KO", "object-mismatch")


def test_what_is_missing():
    assert asked.missing([], 900, 0, 9000) == [(0, 9000)]
    assert asked.missing([900, 1800, 4500], 900, 900, 5000) == [(1801, 4499)]
    assert asked.missing([900, 1800], 900, 0, 2700) == [(0, 899), (1801, 2700)]
    assert asked.missing([50, 60], 0, 10, 100) == [(10, 49), (61, 100)]
    assert asked.missing(list(range(0, 90000, 1800)), 900, 0, 90000) == [(1, 90000)]
