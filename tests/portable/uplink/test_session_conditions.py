"""The line to the HES to the millisecond: pauses between connections, how long each message may
take, when there is something to say, and when all is given up."""

from __future__ import annotations

import asyncio

from gateway.contract.messages import Ack
from hal.ports import Message
from hal.rt import log
from tests.portable.support import run
from tests.portable.uplink.support import World

log.set_level("error")


class Octet:
    """The crypto of a world, except that chance is always the same octet."""

    def __init__(self, octet: int) -> None:
        self._octet = octet

    def random(self, size: int) -> bytes:
        return bytes([self._octet]) * size


class Recorded(World):
    """`told`: (ms since the start, name, what publish() was given as its timeout, octets)."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int, str, int, int]] = []
        self.connecting: list[int] = []
        publish, connect = self.line.publish, self.line.connect
        began = self.clock.ticks_ms()

        async def recorded(message: Message, timeout_ms: int) -> None:
            name = message.topic.split("/")[3]
            at = self.clock.ticks_ms() - began
            self.told.append((at, name, timeout_ms, len(message.payload)))
            await publish(message, timeout_ms)

        async def connected(
            will: Message | None, topics: list[str], timeout_ms: int, bounds: tuple[int, int]
        ) -> None:
            self.connecting.append(timeout_ms)
            await connect(will, topics, timeout_ms, bounds)

        self.line.publish = recorded  # type: ignore[method-assign]
        self.line.connect = connected  # type: ignore[method-assign]

    def times(self, name: str) -> list[int]:
        return [at for at, what, _, _ in self.told if what == name]


def test_pauses_double_up_to_a_minute_each_between_a_half_and_the_whole() -> None:
    async def scenario() -> None:
        for octet, share in ((0, 128), (1, 128), (2, 129), (255, 255)):
            world = World()
            world.session._crypto = Octet(octet)  # type: ignore[assignment]
            world.line.up = False
            await world.start()
            await world.clock.run(400_000)
            times = world.line.attempts
            pauses = [times[i + 1] - times[i] for i in range(8)]
            seconds = (1, 2, 4, 8, 16, 32, 60, 60)
            assert pauses == [second * 1000 * share // 256 for second in seconds], octet
            await world.stop()

    run(scenario())


def test_after_a_connection_of_two_minutes_pauses_begin_anew() -> None:
    async def scenario() -> None:
        for lasts_ms, pause in ((120_000, 2000), (120_001, 500)):
            world = World()
            world.session._crypto = Octet(0)  # type: ignore[assignment]
            world.hes.lose = ["hello"]
            world.line.up = False
            began = world.clock.ticks_ms()
            await world.start()  # at 0 and 500 ms in vain
            world.line.up = True
            await world.clock.run(began + 1500 + lasts_ms - world.clock.ticks_ms())
            assert len(world.line.attempts) == 3 and world.session.online
            world.line.cut()
            await world.clock.run(3000)
            assert world.line.attempts[3] - world.line.attempts[2] == lasts_ms + pause, lasts_ms
            await world.stop()

    run(scenario())


def test_how_long_connecting_and_each_message_may_take() -> None:
    async def scenario() -> None:
        world = Recorded()
        await world.start()
        world.ledger.event("an-event")
        await world.clock.run(1000)
        assert world.connecting == [60_000]
        assert sorted({name for _, name, _, _ in world.told}) == ["hello", "report", "state"]
        for _, name, timeout_ms, octets in world.told:
            assert timeout_ms == 60_000 + 5 * octets and octets > 0, name
        await world.stop()

    run(scenario())


def test_a_birth_and_a_hello_every_five_minutes() -> None:
    async def scenario() -> None:
        world = Recorded()
        await world.start()
        await world.clock.run(899_000)
        expected = [0, 300_000, 600_000, 900_000]
        assert world.times("hello") == expected and world.times("state") == expected
        # and at once on a new connection
        world.line.cut()
        await world.clock.run(2000)
        again = world.line.attempts[1] - world.line.attempts[0]
        assert 900_500 <= again <= 901_000
        assert world.times("hello") == world.times("state") == expected + [again]
        await world.stop()

    run(scenario())


def test_a_new_report_is_seen_within_a_quarter_of_a_second() -> None:
    async def scenario() -> None:
        world = Recorded()
        await world.start()
        for wait_ms in (1, 249, 100):
            await world.clock.run(wait_ms)
            world.ledger.event("event-%d" % wait_ms)
        await world.clock.run(1000)
        # The start took 1000 ms, and a poll is every 250; what was sent wakes it at once.
        assert world.times("report") == [1250, 1500]
        await world.stop()

    run(scenario())


def test_who_goes_says_so_if_anybody_can_hear_it() -> None:
    async def scenario() -> None:
        for up, breaks, expected in ((True, False, 1), (False, False, 0), (True, True, 0)):
            world = Recorded()
            world.line.up = up
            await world.start()
            if breaks:
                world.line.stuck = True
            task = world._task
            assert task is not None
            task.cancel()
            await world.clock.settle()
            before = world.hes.count("state")
            going = asyncio.create_task(world.session.farewell())
            await world.clock.run(61_000)
            assert going.done() and not world.session.online
            await going
            assert world.hes.count("state") - before == expected, (up, breaks)
            if expected:
                assert world.hes.state is not None and not world.hes.state.online
            assert world.line._inbox is None
            await world.stop()

    run(scenario())


def test_a_line_is_given_up_when_nothing_at_all_is_heard_while_it_confirms_nothing() -> None:
    async def scenario() -> None:
        for name, heard_at_ms, connections in (
            ("silent from the first", [], 2),
            ("heard half way", [30_000], 1),
            ("heard at the end", [60_000], 1),
        ):
            world = World()
            confirm = world.line.publish

            async def unconfirmed(message: Message, timeout_ms: int, world: World = world) -> None:
                await world.clock.sleep_ms(timeout_ms)
                raise asyncio.TimeoutError()

            world.line.publish = unconfirmed  # type: ignore[method-assign]
            began = world.clock.ticks_ms()
            await world.start()
            for at in heard_at_ms:
                await world.clock.run(began + at - world.clock.ticks_ms())
                world.hes.tell("ack", Ack(world.ledger.epoch, 0).encode())
            await world.clock.run(began + 65_000 - world.clock.ticks_ms())
            assert len(world.line.attempts) == connections, name
            world.line.publish = confirm  # type: ignore[method-assign]
            await world.stop()

    run(scenario())
