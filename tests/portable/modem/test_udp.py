"""Meters over UDP: one APDU to a datagram, places looked up once, broadcast, noise and floods."""

from __future__ import annotations

import asyncio
import errno

from hal.modem.allowance import ANSWERS, FIRST_PAUSE_MS, UNASKED
from hal.modem.udp import MAX_APDU, Udp
from hal.modem.wrapper import wrap
from hal.ports import (
    BROADCAST,
    Busy,
    Left,
    Misbehaves,
    ModemReset,
    NoRoute,
    PortError,
    Rx,
    TooLong,
    TxDone,
)
from hal.sim.clock import ManualClock
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METER = "[fd00::1]:4059"
OTHER = "[fd00::2]:4059"
GROUP = "[ff03::1]:4059"


class Air:
    """A Datagrams whose other end is the test."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, object]] = []
        self.looked_up: list[str] = []
        self.refuse = 0
        self.closed = False
        self.faults = 0  # so many receptions fail first
        self._incoming: list[tuple[bytes, object]] = []
        self._more = asyncio.Event()

    async def place(self, host: str, port: int) -> object:
        self.looked_up.append(host)
        if host == "nobody":
            raise OSError("no such host")
        return (host, port)

    def text(self, place: Any) -> str:
        return "[%s]:%d" % place

    async def send(self, data: bytes, place: object) -> None:
        if self.refuse:
            raise OSError(self.refuse, "refused")
        self.sent.append((data, place))

    async def receive(self) -> tuple[bytes, object]:
        while not self._incoming:
            self._more.clear()
            await self._more.wait()
        if self.faults:
            self.faults -= 1
            raise OSError(errno.ECONNREFUSED, "of an earlier datagram")
        return self._incoming.pop(0)

    async def close(self) -> None:
        self.closed = True

    def say(self, data: bytes, host: str = "fd00::1") -> None:
        self._incoming.append((data, (host, 4059)))
        self._more.set()


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.airs: list[Air] = []
        self.modem = Udp(self.open, self.clock, "plc", **settings)
        self.events: list[object] = []
        self.task = asyncio.create_task(self.collect())

    @property
    def air(self) -> Air:
        return self.airs[-1]

    async def open(self) -> Air:
        self.airs.append(Air())
        return self.air

    async def collect(self) -> None:
        try:
            while True:
                event = await self.modem.event()
                self.events.append(event)
        except OSError:
            pass

    async def taken(self) -> list[object]:
        await self.clock.settle()
        events, self.events = self.events, []
        return events

    async def refused(self, kind: type[Exception], address: str, data: bytes = b"x") -> bool:
        try:
            await self.modem.send(address, data, 1, 1)
        except kind:
            return True
        return False

    async def end(self) -> None:
        await self.modem.close()
        await self.task
        assert self.air.closed


def test_an_apdu_is_a_datagram_both_ways() -> None:
    async def play() -> None:
        bench = Bench()
        handle = await bench.modem.send(METER, b"\xc0\x01", 16, 1)
        again = await bench.modem.send(METER, b"\xc0\x02", 16, 1)
        done = await bench.taken()
        assert [(e.handle, e.status) for e in done if isinstance(e, TxDone)] == [
            (handle, 0),
            (again, 0),
        ]
        place = ("fd00::1", 4059)
        assert bench.air.sent == [
            (wrap(16, 1, b"\xc0\x01"), place),
            (wrap(16, 1, b"\xc0\x02"), place),
        ]
        assert bench.air.looked_up == ["fd00::1"]
        assert bench.modem.nodes() == []
        bench.air.say(wrap(1, 16, b"\xc4\x01"))
        (event,) = await bench.taken()
        assert isinstance(event, Rx) and event.data == b"\xc4\x01"
        assert (event.address, event.source_sap, event.destination_sap) == (METER, 1, 16)
        assert bench.modem.nodes() == [METER]
        await bench.end()

    run(play())


def test_the_largest_datagram_fills_the_mtu_of_ipv6() -> None:
    async def play() -> None:
        bench = Bench()
        assert bench.modem.capabilities.unicast_mtu == MAX_APDU == 1224
        await bench.modem.send(METER, bytes(MAX_APDU), 1, 1)
        assert 40 + 8 + len(bench.air.sent[0][0]) == 1280
        assert await bench.refused(TooLong, METER, bytes(MAX_APDU + 1))
        await bench.end()

    run(play())


def test_what_cannot_be_sent_is_refused_by_its_reason() -> None:
    async def play() -> None:
        bench = Bench()
        assert await bench.refused(NoRoute, "0080e1000001")
        assert await bench.refused(NoRoute, "nobody:4059")
        assert await bench.refused(NoRoute, BROADCAST)
        for number, kind in ((errno.EAGAIN, Busy), (errno.EHOSTUNREACH, NoRoute)):
            bench.air.refuse = number
            assert await bench.refused(kind, METER)
        bench.air.refuse = 0
        await bench.modem.send(METER, b"x", 1, 1)
        assert bench.modem.statistics()["failed"] == 2
        await bench.end()
        assert await bench.refused(OSError, METER)

    run(play())


def test_broadcast_goes_to_the_group() -> None:
    async def play() -> None:
        bench = Bench(group=GROUP)
        assert bench.modem.capabilities.broadcast_mtu == MAX_APDU
        handle = await bench.modem.send(BROADCAST, b"\xc1", 1, 1)
        assert bench.air.sent == [(wrap(1, 1, b"\xc1"), ("ff03::1", 4059))]
        (done,) = await bench.taken()
        assert isinstance(done, TxDone) and (done.handle, done.status) == (handle, 0)
        await bench.end()

    run(play())


def test_noise_and_strangers_are_counted() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.modem.send(METER, b"x", 1, 1)
        await bench.taken()
        for seed in range(100):
            bench.air.say(random_bytes(seed, seed % 40))
        bench.air.say(wrap(1, 1, b"whole") + b"and more")
        bench.air.say(wrap(1, 16, b"hello"), "fd00::99")
        (event,) = await bench.taken()
        assert isinstance(event, Rx) and event.address == "[fd00::99]:4059"
        counts = bench.modem.statistics()
        assert counts["malformed"] == 101 and counts["stranger"] == 1 and counts["received"] == 1
        assert bench.modem.nodes() == []
        await bench.end()

    run(play())


def test_a_flood_is_not_read_faster_than_it_is_fetched() -> None:
    """Of many meters: one alone has not so much to say."""

    async def play() -> None:
        bench = Bench()
        meters = ["fd00::%x" % (number + 16) for number in range(20)]
        for meter in meters:
            await bench.modem.send("[%s]:4059" % meter, b"x", 1, 1)
        await bench.taken()
        bench.task.cancel()
        for _ in range(50):
            for meter in meters:
                bench.air.say(wrap(1, 16, b"x"), meter)
        for _ in range(30):
            await bench.clock.settle()
        assert len(bench.modem._events) <= 258
        for _ in range(1000):
            await bench.modem.event()
        await bench.modem.close()

    run(play())


def test_who_floods_is_dropped_and_nobody_else() -> None:
    async def play() -> None:
        bench = Bench()
        for meter in (METER, OTHER):
            await bench.modem.send(meter, b"x", 1, 1)
        await bench.taken()
        for _ in range(1000):
            bench.air.say(wrap(1, 16, b"x"))
            bench.air.say(b"noise", "fd00::77")  # and who is no meter
        bench.air.say(wrap(1, 16, b"answer"), "fd00::2")
        events: list[Any] = []
        for _ in range(40):
            events += await bench.taken()
        of_it = [event for event in events if getattr(event, "address", "") == METER]
        assert len(of_it) == UNASKED + ANSWERS + 1
        left = of_it[-1]
        assert isinstance(left, Left) and isinstance(left.error, Misbehaves)
        assert METER in str(left.error)
        assert [event.data for event in events if event.address == OTHER] == [b"answer"]
        assert bench.modem.statistics()["floods"] == 2  # the strangers are one
        assert await bench.refused(Misbehaves, METER)
        await bench.modem.send(OTHER, b"x", 1, 1)
        await bench.clock.run(FIRST_PAUSE_MS)
        await bench.modem.send(METER, b"x", 1, 1)
        await bench.end()

    run(play())


def test_what_the_network_says_of_earlier_datagrams_is_lived_with() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.modem.send(METER, b"x", 1, 1)
        await bench.taken()
        bench.air.faults = 2
        bench.air.say(wrap(1, 16, b"y"))
        await bench.clock.run(10000)
        (event,) = await bench.taken()
        assert isinstance(event, Rx) and event.data == b"y"
        await bench.end()

    run(play())


def test_kick_and_reset_look_places_up_again() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.modem.send(METER, b"x", 1, 1)
        await bench.modem.send(OTHER, b"x", 1, 1)
        await bench.modem.kick(METER)
        await bench.modem.send(METER, b"x", 1, 1)
        await bench.modem.send(OTHER, b"x", 1, 1)
        assert bench.air.looked_up == ["fd00::1", "fd00::2", "fd00::1"]
        try:
            await bench.modem.kick("nonsense")
            raise AssertionError("it is known")
        except NoRoute:
            pass
        await bench.taken()
        await bench.modem.reset()
        (event,) = await bench.taken()
        assert isinstance(event, ModemReset)
        assert bench.airs[0].closed and len(bench.airs) == 2
        await bench.modem.send(METER, b"x", 1, 1)
        bench.air.say(wrap(1, 1, b"y"))
        assert len(await bench.taken()) == 2
        for call in (bench.modem.get("0024"), bench.modem.set("0024", b"")):
            try:
                await call
                raise AssertionError("there is a parameter")
            except PortError:
                pass
        await bench.end()

    run(play())
