"""What comes from the HES, one condition at a time: the topic, the size, the date."""

from __future__ import annotations

from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.messages import DOWN_TOPICS, Ask, Cancel, Pause, SignedTime
from hal.ports import Message
from hal.rt import log
from tests.portable.support import run
from tests.portable.uplink.support import HERE, NOW, World, read_job, signed
from tests.portable.uplink.test_trust import METER, change, keys_for

log.set_level("error")


def test_somebody_takes_what_comes_down_each_topic_that_is_subscribed_to() -> None:
    for name in DOWN_TOPICS:
        world = World()
        world.give(name, b"\xff")
        # An order that cannot be judged without a date is refused once there is one: here there is.
        assert world.refusals() == [no_message(name)], name


def no_message(name: str) -> str:
    return "bad-model" if name == "model" else "malformed"


def test_what_is_too_large_by_one_octet_is_refused_whatever_its_topic() -> None:
    for name in DOWN_TOPICS:
        world = World()
        world.give(name, bytes(MAX_MESSAGE))
        assert world.refusals() == [no_message(name)], name
        world.give(name, bytes(MAX_MESSAGE + 1))
        assert world.refusals() == [no_message(name), "oversized"], name
        # the line has not even taken it in
        world.session.take(Message("oversized/ami/v1/%s/%s" % (HERE, name), b""))
        assert world.refusals() == [no_message(name), "oversized", "oversized"], name


def test_what_waits_for_the_date_and_what_does_not() -> None:
    def world_with(unix: int) -> World:
        world = World(unix=unix)
        world.storage.replace("meters.jsonl", METER.encode())
        world.boot()
        return world

    def taken(world: World, topic: str) -> bool:
        if topic == "job":
            return len(world.ledger.jobs()) == 1
        trust = world.session.trust
        return (trust.number if topic == "trust" else trust.keys_number) == 1

    for topic, message in (
        ("job", signed(read_job().encode())),
        ("trust", signed(change())),
        ("keys", signed(keys_for())),
    ):
        world = world_with(0)
        for raw in (message, b"\xff"):  # nor is it refused
            world.give(topic, raw)
            assert not taken(world, topic) and world.ledger.last_number == 0, topic
        world.clock.set_unix_time(NOW)
        world.give(topic, message)
        assert taken(world, topic), topic
        # with a date from the first
        world = world_with(NOW)
        world.give(topic, message)
        assert taken(world, topic), topic


def test_before_there_is_a_date_only_the_time_is_taken_and_what_stops_a_job() -> None:
    world = World()
    world.give("job", signed(read_job().encode()))
    world.clock.set_unix_time(0)
    world.boot()
    before = world.ledger.last_number
    for name in ("job", "ack", "resend", "chunk", "ask", "model"):
        world.give(name, b"\xff")  # nor is it refused: it is not looked at
    assert world.ledger.last_number == before
    world.give("pause", signed(Pause(read_job().id, HERE, NOW, True).encode()))
    assert world.ledger.jobs()[0].paused
    world.give("cancel", signed(Cancel(read_job().id, HERE, NOW).encode()))
    assert world.ledger.jobs()[0].stopped() == "canceled" and world.refusals() == []


def test_a_change_is_told_by_a_hello_at_once() -> None:
    async def scenario() -> None:
        for topic, message, more in (
            ("trust", signed(change()), 1),
            ("keys", signed(keys_for()), 1),
            ("trust", b"\xff", 0),
            ("keys", b"\xff", 0),
            ("job", signed(read_job().encode()), 0),
            ("ask", Ask("").encode(), 0),
        ):
            world = World()
            world.storage.replace("meters.jsonl", METER.encode())
            world.boot()
            await world.start()
            assert world.hes.count("hello") == 1
            world.give(topic, message)
            await world.clock.run(2000)
            assert world.hes.count("hello") == 1 + more, topic
            await world.stop()

    run(scenario())


def test_a_page_of_meters_is_given_once_for_each_ask() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        states = world.hes.count("state")
        world.give("ask", Ask("").encode())
        await world.clock.run(3000)
        # the first page comes with the modems, which are in the state
        assert (world.hes.count("meters"), world.hes.count("state")) == (1, states + 1)
        world.give("ask", Ask("AMI1").encode())
        await world.clock.run(3000)
        assert (world.hes.count("meters"), world.hes.count("state")) == (2, states + 1)
        await world.stop()

    run(scenario())


def test_a_clock_that_is_set_is_told_by_a_hello_at_once_and_one_that_is_corrected_is_not() -> None:
    async def scenario() -> None:
        for unix, told, more in (
            (0, NOW, 1),
            (0, 0, 0),  # refused: no answer to a hello
            (NOW, NOW + 86400, 0),
            (NOW, NOW + 10, 0),
            (1, NOW, 0),
        ):
            world = World(unix=unix)
            world.hes.lose = ["time"]
            await world.start()
            (hello,) = [content for name, content in world.hes.heard if name == "hello"]
            answer = SignedTime(HERE, hello.nonce if told else bytes(16), told or NOW)
            world.give("time", signed(answer.encode()))
            await world.clock.run(2000)
            assert world.hes.count("hello") == 1 + more, (unix, told)
            await world.stop()

    run(scenario())
