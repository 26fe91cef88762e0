"""The largest of every message is within what a broker takes (AWS IoT: 128 KiB, 8 levels)."""

from __future__ import annotations

from gateway.contract import messages
from gateway.contract.key_change import KeyChange
from gateway.contract.limits import (
    MAX_CHUNK,
    MAX_JOBS_IN_HELLO,
    MAX_KEYED,
    MAX_MESSAGE,
    MAX_METERS,
    MAX_VALUE,
)
from gateway.contract.messages import Chunk, Hello
from gateway.contract.reports import MeterReport
from gateway.contract.result import VALUE, Result
from hal.rt import log
from tests.portable.support import run
from tests.portable.uplink.support import HERE, HOUR, NOW, World, read_job, signed

log.set_level("error")

LONGEST_NAME = "x" * 64
SERIAL = "%032d"


def test_the_largest_value_arrives_in_one_message() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.hes.order("job", signed(read_job().encode()))
        await world.clock.run(1000)
        for size in (MAX_VALUE, MAX_VALUE + 1):
            execution = world.queue.take(lambda serial, job: True)
            assert execution is not None
            await world.queue.finish(execution, Result(VALUE, "read", "", [bytes(size)]), "plc", 5)
        await world.clock.run(1000)
        first, second = world.hes.bodies(MeterReport)
        assert len(first.value[0]) == MAX_VALUE
        assert (second.value, second.reason) == (None, "value-too-large")
        await world.stop()

    run(scenario())


def test_the_largest_orders_fit() -> None:
    job = read_job(serials=[SERIAL % number for number in range(MAX_METERS)])
    assert len(signed(job.encode())) <= MAX_MESSAGE
    keys = [(SERIAL % number, bytes(48)) for number in range(MAX_KEYED)]
    change = KeyChange(HERE, NOW, NOW + HOUR, 1, keys)
    assert len(signed(change.encode())) <= MAX_MESSAGE
    largest = Chunk(bytes(32), 0, 1 << 26, bytes(MAX_CHUNK))
    assert len(largest.encode()) <= MAX_MESSAGE


def test_the_longest_hello_fits() -> None:
    open_jobs = [bytes(16)] * MAX_JOBS_IN_HELLO
    assert len(Hello(1, NOW, open_jobs).encode()) <= MAX_MESSAGE


def test_the_longest_topic_fits() -> None:
    for name in messages.UP_TOPICS + messages.DOWN_TOPICS:
        topic = messages.topic(LONGEST_NAME, name)
        assert len(topic.split("/")) <= 8 and len(topic) <= 256
