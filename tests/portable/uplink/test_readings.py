"""The stream of readings: behind everything else, in order, once, and no more a day than it may."""

from __future__ import annotations

import asyncio

from gateway.contract.limits import READINGS_SIZE
from gateway.contract.messages import Ack, Memory, Readings, Resend
from gateway.contract.reading_record import numbered
from gateway.contract.reports import Event, MeterAlarm
from gateway.readings.recorder import Recorder
from gateway.readings.store import Store
from gateway.uplink.readings import MAX_PATIENCE_MS, PATIENCE_MS, QUICK_MS, WINDOW, ReadingsStream
from hal.ports import Message
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.uplink.support import NOW, Line, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log.set_level("error")

OBJECT = b"\x01\x00\x01\x08\x00\xff"


class Limits:
    readings_bytes = 1 << 20
    free_bytes = 0


def made(records: int, size: int = 1500, storage: Any = None, kb_day: int = 0) -> ReadingsStream:
    """A stream of so many records of Values with `size` octets."""
    clock = ManualClock(NOW)
    store = Store(storage or MemoryStorage(), clock, bytes_of_one, Limits, lambda name, text: None)
    record(store, records, size)
    return ReadingsStream(store, clock, kb_day)


def bytes_of_one(count: int) -> bytes:
    return b"\x01" * count


def record(store: Store, records: int, size: int = 1500) -> None:
    async def all_of_them() -> None:
        for i in range(records):
            recorder = Recorder(store)
            recorder.values("M%d" % i, "now", NOW, [(1, OBJECT, 2, bytes(size), None, None)])
            await recorder.commit()

    asyncio.run(all_of_them())


def batch(stream: ReadingsStream, now: int) -> tuple[int, int]:
    """First and last number of the next message, (0, 0) for none."""
    message = stream.batch(now)
    if message is None:
        return 0, 0
    stream.published(now)
    assert Readings.decode(message.encode()) == message
    return message.first, numbered(message.first, message.records)[-1][0]


def test_one_message_is_on_its_way_and_more_where_answers_are_quick() -> None:
    stream = made(40)
    epoch = stream.store.epoch
    assert batch(stream, 0) == (1, 2) and batch(stream, 0) == (0, 0)
    now, last = 0, 2
    for window in (2, 3, WINDOW, WINDOW):
        now += QUICK_MS
        stream.acknowledged(Ack(epoch, last), now)
        sent = []
        while True:
            first, end = batch(stream, now)
            if not first:
                break
            sent.append(end)
        last = sent[-1]
        assert len(sent) == window
    stream.acknowledged(Ack(epoch, last), now + QUICK_MS + 1)
    assert batch(stream, now)[0] and not batch(stream, now)[0], "a slow one"


def test_silence_has_it_sent_again_with_patience_that_doubles() -> None:
    stream = made(4)
    now, patience = 0, PATIENCE_MS
    for _ in range(6):
        assert batch(stream, now) == (1, 2)
        assert batch(stream, now + patience - 1) == (0, 0)
        now += patience
        patience = min(2 * patience, MAX_PATIENCE_MS)
    stream.connected()
    assert batch(stream, now) == (1, 2)


def test_an_answer_counts_for_what_was_sent_over_this_connection() -> None:
    stream = made(6)
    epoch = stream.store.epoch
    for ack in (Ack(epoch, 3), Ack(epoch ^ 1, 1), Ack(epoch, 7)):
        stream.acknowledged(ack, 0)
        assert stream.store.acknowledged == 0
    assert batch(stream, 0) == (1, 2)
    stream.acknowledged(Ack(epoch, 6), 1)
    assert stream.store.acknowledged == 2
    stream.connected()
    stream.acknowledged(Ack(epoch, 4), 1)
    assert stream.store.acknowledged == 2


def test_resend_goes_back_to_what_is_not_acknowledged_and_no_further() -> None:
    stream = made(6)
    epoch = stream.store.epoch
    assert batch(stream, 0) == (1, 2)
    stream.acknowledged(Ack(epoch, 1), 1)
    stream.resend(Resend(epoch, 1))
    assert batch(stream, 1) == (2, 3)
    stream.resend(Resend(epoch, 6))
    stream.resend(Resend(epoch ^ 1, 2))
    assert batch(stream, 1) == (0, 0), "neither is one"
    stream.acknowledged(Ack(epoch, 3), 1)
    assert batch(stream, 1) == (4, 5)


def test_no_more_goes_up_in_a_day_than_may() -> None:
    stream = made(10, 3000, kb_day=7)
    epoch, sent = stream.store.epoch, []
    while True:
        first, last = batch(stream, 0)
        if not first:
            break
        sent.append(last)
        stream.acknowledged(Ack(epoch, last), 1)
    assert sent == [1, 2, 3], "9 kB: the third began below the limit"
    stream._clock.advance(86_400_000)  # type: ignore[attr-defined]
    assert batch(stream, 2) == (4, 4)


def test_a_message_is_no_larger_than_one_that_an_alarm_can_wait_for() -> None:
    stream = made(12, 700)
    message = stream.batch(0)
    assert message is not None and len(message.encode()) <= READINGS_SIZE
    stream = made(1, 7000)
    message = stream.batch(0)
    assert message is not None and len(message.records) == 1


class Street(World):
    """A World with readings."""

    def boot(self) -> None:
        World.boot(self)
        self.store = Store(
            self.storage, self.kept, self.crypto.random, Limits, lambda name, text: None
        )
        self.session.stream(ReadingsStream(self.store, self.kept))


async def street(protected: bool, records: int, size: int = 2500) -> Street:
    world = Street(protected=protected)
    for i in range(records):
        recorder = Recorder(world.store)
        recorder.values("M%d" % i, "now", NOW, [(1, OBJECT, 2, bytes(size), None, None)])
        await recorder.commit()
    return world


def test_a_hes_gets_all_of_them_once_and_after_a_restart_no_more() -> None:
    asyncio.run(_all_of_them(False))
    asyncio.run(_all_of_them(True))


async def _all_of_them(protected: bool) -> None:
    world = await street(protected, 9)
    await world.start()
    await world.clock.run(30_000)
    hellos = [content for name, content in world.hes.heard if name == "hello"]
    assert hellos[0].readings == [world.store.epoch, 1, 10]
    assert [reading.serial for _, reading in world.hes.readings] == ["M%d" % i for i in range(9)]
    assert world.store.acknowledged == 9
    await world.stop()
    world.boot()
    count = world.hes.count("readings")
    await world.start()
    await world.clock.run(30_000)
    assert world.hes.count("readings") == count
    await world.stop()


def test_a_line_that_loses_and_doubles_and_breaks() -> None:
    asyncio.run(_broken_line())


async def _broken_line() -> None:
    world = await street(False, 12)
    world.line.twice = True
    await world.start()
    for lost in (["readings"], ["readings-ack"], [], ["readings-ack"], []):
        world.hes.lose = lost
        await world.clock.run(3_000)
        world.line.cut()
        recorder = Recorder(world.store)
        recorder.values("X", "now", NOW, [(1, OBJECT, 2, bytes(3000), None, None)])
        await recorder.commit()
        await world.clock.run(20_000)
    assert [number for number, _ in world.hes.readings] == list(range(1, 18))
    assert world.store.acknowledged == 17
    await world.stop()


def test_a_report_waits_for_one_message_of_readings_at_most() -> None:
    asyncio.run(_slow_line())


class Slow(Line):
    """2 kbit/s, and as long again until the HES's answer is here."""

    async def publish(self, message: Message, timeout_ms: int) -> None:
        await self._clock.sleep_ms(len(message.payload) * 4)
        await Line.publish(self, message, timeout_ms)


async def _slow_line() -> None:
    world = await street(False, 60)
    world.line = Slow(world.hes, world.clock)
    world.session._uplink = world.line
    await world.start()
    await world.clock.run(60_000)
    assert 2 <= len(world.hes.readings) < 30
    waits = []
    for i in range(5):
        await world.clock.run(7_000)
        world.ledger.event("alarm-%d" % i)
        began = world.clock.ticks_ms()
        while not [one for one in world.hes.bodies(Event) if one.name == "alarm-%d" % i]:
            await world.clock.run(100)
        waits.append(world.clock.ticks_ms() - began)
    for i in range(5):
        await world.clock.run(7_000)
        assert world.ledger.alarm(MeterAlarm("M%d" % i, "alarm-descriptor-1", [i], 0, "", b""))
        began = world.clock.ticks_ms()
        while not [one for one in world.hes.bodies(MeterAlarm) if one.serial == "M%d" % i]:
            await world.clock.run(100)
        waits.append(world.clock.ticks_ms() - began)
    # One message takes 16 s at most, the report itself less than one.
    assert max(waits) < 18_000, waits
    assert max(waits) > 3_000, "the line was busy"
    await world.stop()


def test_without_readings_their_answers_are_dropped() -> None:
    world = World()
    for name in ("readings-ack", "readings-resend"):
        world.give(name, Ack(1, 1).encode())
    assert world.refusals() == []
    world.give("readings-ack", b"x")
    assert world.refusals() == ["malformed"]


def test_a_folder_that_was_put_back_sends_in_another_epoch() -> None:
    world = Street()
    record(world.store, 2)
    world.boot()
    epoch, reports = world.store.epoch, world.ledger.epoch
    world.give("memory", Memory(9, 1 << 30, 0, bytes(32)).encode())
    assert world.ledger.epoch != reports and world.store.epoch not in (0, epoch)
    assert world.store.next == 3
    epoch = world.store.epoch
    world.boot()
    assert world.store.epoch == epoch
