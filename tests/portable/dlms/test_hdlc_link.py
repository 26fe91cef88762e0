"""HdlcLink over a port whose other end is a meter's station, in simulated time."""

from __future__ import annotations

import asyncio

from gateway.dlms.errors import LinkLost, LinkSilent
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.frames import client_address, encode, server_address
from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.numbered import LLC_COMMAND, LLC_RESPONSE, Parameters
from gateway.dlms.hdlc.server import HdlcServer
from gateway.dlms.hdlc.settings import Settings
from hal.sim.clock import ManualClock
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

ADDRESS = server_address(1, 17)


class MeterPort:
    """A BytePort to a meter that answers every APDU with the same bytes backwards."""

    def __init__(self, clock: ManualClock, parameters: Parameters | None = None) -> None:
        self.station = HdlcServer((1,), 17, parameters or Parameters(2030, 2030, 7, 7))
        self.handled: list[bytes] = []
        self.written: list[bytes] = []
        self.deaf = False  # what is written is lost
        self.mute = False  # so is what is answered
        self.stuck = False  # nothing can be written
        self.gone = False
        self.closed = False
        self._clock = clock
        self._waiting = b""
        self._ready = asyncio.Event()

    async def read(self) -> bytes:
        while not self._waiting:
            if self.gone:
                return b""
            self._ready.clear()
            await self._ready.wait()
        data, self._waiting = self._waiting[:50], self._waiting[50:]
        return data

    async def write(self, data: bytes | memoryview) -> None:
        while self.stuck:
            await self._clock.sleep_ms(1000)
        if self.gone:
            raise OSError("gone")
        self.written.append(bytes(data))
        if self.deaf:
            return
        now = self._clock.ticks_ms()
        self.station.feed(bytes(data), now)
        for request in self.station.requests():
            self.handled.append(request.apdu)
            self.station.answer(request, [bytes(reversed(request.apdu))], now)
        output = self.station.output()
        if not self.mute:
            self.say(output)

    def say(self, data: bytes) -> None:
        self._waiting += data
        self._ready.set()

    def hang_up(self) -> None:
        self.gone = True
        self._ready.set()

    async def close(self) -> None:
        self.closed = True


def with_link(
    body: Callable[[HdlcLink, MeterPort, ManualClock], Awaitable[Any]],
    settings: Settings | None = None,
) -> None:
    """Run the body while time passes; it must end within an hour of that time."""

    async def both() -> None:
        clock = ManualClock()
        port = MeterPort(clock)
        link = HdlcLink(port, clock, 1, 1, 17, settings=settings)
        ended = asyncio.Event()
        errors: list[BaseException] = []

        async def guarded() -> None:
            try:
                await body(link, port, clock)
            except BaseException as error:
                errors.append(error)
            ended.set()

        task = asyncio.create_task(guarded())
        for _ in range(36000):
            await clock.settle()
            if ended.is_set():
                break
            await clock.run(100)
        assert ended.is_set(), "it hangs"
        await task
        if errors:
            raise errors[0]

    run(both())


async def fails(kind: type[BaseException], awaitable: Awaitable[Any]) -> BaseException:
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError("expected %s" % kind.__name__)


def test_exchange() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        assert link.max_apdu == 65535
        await link.connect()
        assert port.station.clients() == [1]
        for size in (0, 1, 125, 126, 5000, 65535):
            apdu = random_bytes(size + 1, size)
            await link.send(memoryview(apdu))
            assert await link.receive(5000) == bytes(reversed(apdu))
        await fails(ValueError, link.send(bytes(65536)))
        await link.close()
        assert not port.station.connected and port.closed

    with_link(body, Settings(2030, 7))


def test_send_connects_by_itself() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.send(b"abc")
        assert await link.receive(5000) == b"cba"
        await link.disconnect()
        assert not port.station.connected and not port.closed
        await link.send(b"abc")
        assert await link.receive(5000) == b"cba"
        await link.close()

    with_link(body)


def test_nothing_comes() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        start = clock.ticks_ms()
        await fails(asyncio.TimeoutError, link.receive(700))
        assert 700 <= clock.ticks_ms() - start < 900
        await link.connect()
        await fails(asyncio.TimeoutError, link.receive(2000))  # the meter is asked meanwhile
        assert 4 <= len(port.written) <= 8
        await link.send(b"abc")
        assert await link.receive(5000) == b"cba"

    with_link(body)


def test_the_meter_falls_silent() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.connect()
        port.deaf = True
        await link.send(b"abc")
        error = await fails(LinkSilent, link.receive(60_000))
        assert "3 times" in str(error)
        await fails(LinkSilent, link.send(b"abc"))
        port.deaf = False
        await link.send(b"def")
        assert await link.receive(5000) == b"fed"
        assert port.handled == [b"def"]
        port.deaf = True
        await link.close()  # DISC without an answer
        assert port.closed

    with_link(body)


def test_the_meter_forgets_the_connection() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.connect()
        port.station.tick(clock.ticks_ms() + 120_000)
        await link.send(b"abc")
        await fails(LinkLost, link.receive(5000))
        await link.send(b"abc")
        assert await link.receive(5000) == b"cba"

    with_link(body)


def test_the_line_goes() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.connect()
        receiving = asyncio.create_task(fails(OSError, link.receive(5000)))
        await clock.settle()
        port.hang_up()
        await receiving
        await fails(OSError, link.send(b"abc"))
        await fails(OSError, link.receive(5000))
        await link.close()
        assert port.closed

    with_link(body)


def test_a_line_that_takes_nothing() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.connect()
        port.stuck = True
        await fails(OSError, link.send(b"abc"))
        port.stuck = False
        await link.send(b"abc")
        assert await link.receive(5000) == b"cba"

    with_link(body)


def test_cancelled_calls_leave_the_link_usable() -> None:
    async def cancel(call: Awaitable[Any], clock: ManualClock) -> None:
        task = asyncio.create_task(call)
        await clock.sleep_ms(50)
        assert not task.done()
        task.cancel()
        try:
            await task
            raise AssertionError("it was not cancelled")
        except asyncio.CancelledError:
            pass

    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        port.mute = True
        await cancel(link.connect(), clock)
        port.mute = False
        await link.connect()
        await cancel(link.receive(5000), clock)
        long = random_bytes(1, 1000)  # several turns
        port.mute = True
        await cancel(link.send(long), clock)
        port.mute = False
        await link.send(b"abc")
        assert await link.receive(5000) == bytes(reversed(long))
        assert await link.receive(5000) == b"cba"
        port.mute = True
        await link.send(b"def")
        await cancel(link.receive(5000), clock)
        port.mute = False
        assert await link.receive(5000) == b"fed"
        assert port.handled == [long, b"abc", b"def"]

    with_link(body)


def test_what_needs_no_connection() -> None:
    async def body(link: HdlcLink, port: MeterPort, clock: ManualClock) -> None:
        await link.send_unconfirmed(b"to all", 0x7F, 0x7F)
        assert port.handled == [b"to all"]
        information = LLC_RESPONSE + b"news"
        port.say(encode(client_address(1), ADDRESS, frames.UI, information))
        assert await link.receive(5000) == b"news"
        port.say(encode(client_address(1), ADDRESS, frames.UI, LLC_COMMAND + b"no answer"))
        await fails(asyncio.TimeoutError, link.receive(5000))

    with_link(body)
