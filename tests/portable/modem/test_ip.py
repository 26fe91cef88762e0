"""Meters over TCP: the wrapper byte for byte, and connections that come, go, fail and flood."""

from __future__ import annotations

import asyncio
import errno

from hal.modem import ip
from hal.modem.allowance import ANSWERS, FIRST_PAUSE_MS, UNASKED
from hal.modem.ip import Ip, split_address
from hal.modem.wrapper import Unwrapper, wrap
from hal.ports import (
    BadAddress,
    Busy,
    Left,
    Misbehaves,
    NoRoute,
    PortClosed,
    Rx,
    TooLong,
    TxDone,
    Unreachable,
)
from hal.sim.clock import ManualClock
from tests.portable.modem.modem_wire import Wire
from tests.portable.support import raises, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METER = "192.0.2.1:4059"
OTHER = "192.0.2.2:4059"


class Bench:
    """An Ip modem, a clock, and the wire to each meter it connected to."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.wires: list[tuple[str, int, Wire]] = []
        self.refuse = False
        self.error: OSError | None = None
        self.slow = False
        self.modem = Ip(self.connect, self.clock, **settings)
        self.events: list[object] = []
        self.task = asyncio.create_task(self.collect())

    async def connect(self, host: str, port: int) -> Wire:
        if self.error is not None:
            self.clock.advance(7)
            raise self.error
        if self.refuse:
            raise OSError("refused")
        if self.slow:
            await self.clock.sleep_ms(10**9)
        self.wires.append((host, port, Wire()))
        return self.wires[-1][2]

    async def collect(self) -> None:
        try:
            while True:
                event = await self.modem.event()
                self.events.append(event)
        except OSError:
            pass

    async def sent(self, address: str = METER, data: bytes = b"\xc0\x01") -> int:
        handle = await self.modem.send(address, data, 16, 1)
        await self.clock.settle()
        return handle

    def statuses(self) -> list[tuple[int, int]]:
        found = [(e.handle, e.status) for e in self.events if isinstance(e, TxDone)]
        self.events = []
        return found

    async def end(self) -> None:
        await self.modem.close()
        await self.task


def test_wrapper_byte_for_byte() -> None:
    assert wrap(16, 1, b"\xc0\x01\x81") == bytes.fromhex(
        "0001 0010 0001 0003 c00181".replace(" ", "")
    )
    raises(ValueError, wrap, 65536, 1, b"")
    raises(ValueError, wrap, -1, 1, b"")
    raises(ValueError, wrap, 1, 1, bytes(65536))


def test_unwrapper_takes_any_cut_of_the_stream() -> None:
    stream = wrap(1, 16, b"abc") + wrap(2, 17, b"") + wrap(3, 18, b"d" * 500)
    wanted = [(1, 16, b"abc"), (2, 17, b""), (3, 18, b"d" * 500)]
    for step in (1, 3, 8, 11, 600):
        unwrapper = Unwrapper(1000)
        found = []
        for start in range(0, len(stream), step):
            found += unwrapper.feed(stream[start : start + step])
        assert found == wanted


def test_unwrapper_refuses_other_streams() -> None:
    assert "0002" in str(raises(ValueError, Unwrapper(1000).feed, b"\x00\x02" + bytes(6)))
    raises(ValueError, Unwrapper(1000).feed, wrap(1, 1, bytes(1001)))
    raises(ValueError, Unwrapper(1000).feed, b"HTTP/1.1 400 Bad Request\r\n")


def test_addresses() -> None:
    assert split_address("meter.example:4059") == ("meter.example", 4059)
    assert split_address("[2001:db8::1]:4059") == ("2001:db8::1", 4059)
    for text in ("", "meter", ":4059", "meter:", "meter:0", "meter:65536", "meter:x"):
        raises(NoRoute, split_address, text)


def test_data_goes_both_ways_over_one_connection() -> None:
    async def play() -> None:
        bench = Bench()
        handle = await bench.sent()
        again = await bench.sent()
        ((host, port, wire),) = bench.wires
        assert (host, port) == ("192.0.2.1", 4059)
        assert wire.take() == 2 * wrap(16, 1, b"\xc0\x01")
        assert bench.statuses() == [(handle, 0), (again, 0)]
        wire.say(wrap(1, 16, b"\xc4\x01"))
        await bench.clock.settle()
        (event,) = bench.events
        assert isinstance(event, Rx) and event.data == b"\xc4\x01"
        assert (event.address, event.source_sap, event.destination_sap) == (METER, 1, 16)
        assert bench.modem.nodes() == [METER]
        await bench.end()
        assert wire.closed

    run(play())


def test_what_the_system_says_of_a_connection_that_does_not_come_about_is_told() -> None:
    async def play() -> None:
        for error, kind, text in (
            (OSError(errno.ECONNREFUSED, "refused"), PortClosed, METER + " refuses the connection"),
            (OSError(errno.ECONNRESET, "reset"), PortClosed, METER + " refuses the connection"),
            (OSError(errno.EHOSTUNREACH, "no route"), Unreachable, "no way to " + METER),
            (OSError(101, "ENETUNREACH"), Unreachable, "no way to " + METER),
            (OSError(-3, "again"), Unreachable, "no way to " + METER),
            (OSError(-2, "unknown"), BadAddress, METER + ": there is no such host"),
        ):
            bench = Bench()
            bench.error = error
            handle = await bench.sent()
            (done,) = [event for event in bench.events if isinstance(event, TxDone)]
            assert (done.handle, done.status) == (handle, 1)
            assert type(done.error) is kind and str(done.error).startswith(text), error
            assert kind is BadAddress or str(done.error).endswith(", after 7 ms")
            await bench.end()
        bench = Bench(connect_ms=3000)
        bench.slow = True
        await bench.sent()
        await bench.clock.run(3000)
        (done,) = [event for event in bench.events if isinstance(event, TxDone)]
        assert type(done.error) is Unreachable
        assert str(done.error) == METER + " takes no connection within 3000 ms"
        await bench.end()
        bench = Bench()  # one that has been there, and breaks: worth another try
        await bench.sent()
        bench.events = []
        bench.wires[0][2].hang_up()
        await bench.sent()
        assert all(event.error is None for event in bench.events if isinstance(event, TxDone))
        await bench.end()

    run(play())


def test_a_meter_that_takes_a_frame_and_hangs_up_has_answered() -> None:
    """Once that may be an old connection; a second time it is told as what it is."""

    async def play() -> None:
        bench = Bench()
        for times in (1, 2, 3):
            await bench.sent()
            bench.wires[-1][2].hang_up()
            await bench.clock.settle()
            done, left = bench.events
            assert isinstance(done, TxDone) and done.status == 0
            assert isinstance(left, Left) and left.address == METER
            if times == 1:
                assert isinstance(left.error, asyncio.TimeoutError)
            else:
                assert isinstance(left.error, PortClosed)
                text = METER + " closes the connection without an answer, %d times" % times
                assert str(left.error) == text
            bench.events = []
        await bench.sent()
        wire = bench.wires[-1][2]
        wire.say(wrap(1, 16, b"\xc4\x01"))
        await bench.clock.settle()
        wire.hang_up()  # it has answered: it may
        await bench.clock.settle()
        assert [type(event) for event in bench.events] == [TxDone, Rx]
        bench.events = []
        await bench.sent()
        bench.wires[-1][2].hang_up()
        await bench.clock.settle()
        assert isinstance(bench.events[-1].error, asyncio.TimeoutError), "the count begins anew"
        await bench.end()

    run(play())


def test_idle_connections_are_closed_and_opened_anew() -> None:
    async def play() -> None:
        bench = Bench(idle_ms=60000)
        await bench.sent()
        await bench.clock.run(59000)
        await bench.sent()
        await bench.clock.run(59000)
        assert not bench.wires[0][2].closed
        await bench.clock.run(2000)
        assert bench.wires[0][2].closed and bench.modem.nodes() == []
        await bench.sent()
        assert len(bench.wires) == 2
        await bench.end()

    run(play())


def test_nobody_reads_from_a_connection_that_was_closed() -> None:
    async def play() -> None:
        bench = Bench(idle_ms=60000)
        await bench.sent()
        bench.wires[0][2].deaf = True
        await bench.clock.run(61000)
        assert bench.wires[0][2].closed
        bench.events = []
        bench.wires[0][2].say(wrap(1, 16, b"too late"))
        await bench.clock.settle()
        assert bench.events == [] and bench.modem.statistics()["received"] == 0
        await bench.end()

    run(play())


def test_an_idle_connection_sleeps() -> None:
    async def play() -> None:
        bench = Bench(idle_ms=60000)
        waits = []
        wait_for_ms = bench.clock.wait_for_ms

        def counted(awaitable: Any, duration: int) -> Any:
            waits.append(duration)
            return wait_for_ms(awaitable, duration)

        bench.clock.wait_for_ms = counted  # type: ignore[method-assign,assignment]
        await bench.sent()
        await bench.clock.settle()
        # To connect, to write, and for more.
        assert len(waits) == 3 and waits[2] == 60000
        await bench.end()

    run(play())


def test_unreachable_meters_fail_their_own_frames() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.sent(OTHER)
        bench.statuses()
        bench.refuse = True
        handle = await bench.sent()
        assert bench.statuses() == [(handle, ip.STATUS_UNREACHABLE)]
        bench.refuse = False
        bench.slow = True
        handle = await bench.sent()
        await bench.clock.run(10001)
        assert bench.statuses() == [(handle, ip.STATUS_UNREACHABLE)]
        assert bench.modem.nodes() == [OTHER]
        await bench.end()

    run(play())


def test_a_meter_that_hangs_up_is_connected_anew() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.sent()
        bench.wires[0][2].hang_up()
        await bench.clock.settle()
        assert bench.modem.nodes() == []
        await bench.sent()
        assert len(bench.wires) == 2 and bench.wires[1][2].take()
        await bench.end()

    run(play())


def test_a_meter_that_speaks_something_else_is_closed() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.sent()
        bench.wires[0][2].say(b"SSH-2.0-OpenSSH\r\n")
        await bench.clock.settle()
        assert bench.wires[0][2].closed
        assert bench.modem.statistics()["malformed"] == 1
        await bench.end()

    run(play())


async def refused(kind: type[Exception], bench: Bench, address: str, data: bytes = b"x") -> bool:
    try:
        await bench.sent(address, data)
    except kind:
        return True
    return False


def test_number_of_connections_is_bounded() -> None:
    async def play() -> None:
        bench = Bench(limit=2, spare_ms=5000)
        await bench.sent("192.0.2.1:4059")
        await bench.clock.run(3000)
        await bench.sent("192.0.2.2:4059")
        assert await refused(Busy, bench, "192.0.2.3:4059")
        await bench.clock.run(2000)
        await bench.sent("192.0.2.3:4059")
        assert sorted(bench.modem.nodes()) == ["192.0.2.2:4059", "192.0.2.3:4059"]
        assert bench.wires[0][2].closed and len(bench.wires) == 3
        await bench.end()

    run(play())


def test_what_cannot_be_sent_is_refused() -> None:
    async def play() -> None:
        bench = Bench(mtu=100)
        assert await refused(TooLong, bench, METER, bytes(101))
        assert await refused(NoRoute, bench, "nonsense")
        bench.slow = True
        for _ in range(8):
            await bench.sent()
        assert await refused(Busy, bench, METER)
        await bench.end()
        assert await refused(OSError, bench, METER)

    run(play())


def test_a_flood_is_not_read_faster_than_it_is_fetched() -> None:
    """Of many meters: one alone has not so much to say."""

    async def play() -> None:
        bench = Bench()
        meters = ["192.0.2.%d:4059" % (number + 1) for number in range(20)]
        for meter in meters:
            await bench.sent(meter)
        bench.task.cancel()
        for _ in range(50):
            for _, _, wire in bench.wires:
                wire.say(wrap(1, 16, b"x"))
        for _ in range(30):
            await bench.clock.settle()
        assert len(bench.modem._events) <= 258 + len(meters)
        for _ in range(1000):
            await bench.modem.event()
        await bench.modem.close()

    run(play())


def test_who_floods_is_dropped_and_nobody_else() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.sent()
        await bench.sent(OTHER)
        bench.events = []
        flooding, other = bench.wires[0][2], bench.wires[1][2]
        for turn in range(3):
            for _ in range(1000):
                flooding.say(wrap(1, 16, b"x"))
            other.say(wrap(1, 16, b"answer"))
            await bench.clock.run(10)
            of_it = [event for event in bench.events if event.address == METER]
            assert len(of_it) == UNASKED + ANSWERS + 1
            left = of_it[-1]
            assert isinstance(left, Left) and isinstance(left.error, Misbehaves)
            assert METER in str(left.error) and flooding.closed
            assert [each.data for each in bench.events if each.address == OTHER] == [b"answer"]
            assert bench.modem.statistics()["floods"] == turn + 1
            # Each time it is left alone for twice as long.
            await bench.clock.run((FIRST_PAUSE_MS << turn) - 100)
            assert await refused(Misbehaves, bench, METER)
            await bench.sent(OTHER)
            await bench.clock.run(100)
            await bench.sent()
            bench.events = []
            flooding = [wire for host, _, wire in bench.wires if host == "192.0.2.1"][-1]
            other = [wire for host, _, wire in bench.wires if host == "192.0.2.2"][-1]
        await bench.end()

    run(play())


def test_noise_is_the_meters_fault() -> None:
    async def play() -> None:
        bench = Bench()
        await bench.sent()
        bench.events = []
        bench.wires[0][2].say(b"HTTP/1.1 400 Bad Request")
        await bench.clock.run(10)
        (left,) = bench.events
        assert isinstance(left, Left) and isinstance(left.error, Misbehaves)
        assert "expected version 0001" in str(left.error)
        await bench.end()

    run(play())
