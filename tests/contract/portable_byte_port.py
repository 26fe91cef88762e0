"""What hal.ports.BytePort promises, over TCP and over a pty.

Environment: BYTE_PORT, the URL of a line whose other end sends everything back, closes it on
"bye", and on "quiet" reads nothing for a while; FREE_PORT, where nobody listens.
"""

from __future__ import annotations

import asyncio
import os

from hal.ports import PortError
from tests.contract.here import SystemClock, open_port
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import BytePort

SOON = 60_000  # ms; nothing here takes as long
CLOCK = SystemClock()


def url() -> str:
    value = os.getenv("BYTE_PORT")
    assert value, "BYTE_PORT is not in the environment"
    return value


async def take(port: BytePort, size: int) -> bytes:
    """Read until `size` bytes have come."""
    pieces = []
    while size > 0:
        piece = await CLOCK.wait_for_ms(port.read(), SOON)
        assert 0 < len(piece) <= 4096, len(piece)
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def test_echo() -> None:
    async def body() -> None:
        port = await open_port(url(), CLOCK)
        for data in (b"a", b"\x00\x03\x04\x11\x13\x1a\r\n\xff", bytes(range(256))):
            await port.write(data)
            assert await take(port, len(data)) == data
        await port.write(memoryview(b"xyz")[1:])
        assert await take(port, 2) == b"yz"
        await port.close()

    run(body())


def test_a_lot_both_ways_at_once() -> None:
    async def body() -> None:
        port = await open_port(url(), CLOCK)
        data = random_bytes(1, 100_000)

        async def send() -> None:
            for start in range(0, len(data), 5000):
                await port.write(data[start : start + 5000])

        sending = asyncio.create_task(send())
        assert await take(port, len(data)) == data
        await sending
        await port.close()

    run(body())


def test_reading_does_not_stop_the_loop_and_can_be_cancelled() -> None:
    async def body() -> None:
        port = await open_port(url(), CLOCK)
        for i in range(3):
            reading = asyncio.create_task(port.read())
            start = CLOCK.ticks_ms()
            await CLOCK.sleep_ms(30)
            assert CLOCK.ticks_ms() - start < 5000
            assert not reading.done()
            reading.cancel()
            try:
                await reading
                raise AssertionError("read something")
            except asyncio.CancelledError:
                pass
            data = b"%d" % i
            await port.write(data)
            assert await take(port, 1) == data
        await port.close()

    run(body())


def test_other_end_closes() -> None:
    async def body() -> None:
        port = await open_port(url(), CLOCK)
        reading = asyncio.create_task(port.read())
        await CLOCK.sleep_ms(20)
        await port.write(b"bye")
        assert await CLOCK.wait_for_ms(reading, SOON) == b""
        assert await CLOCK.wait_for_ms(port.read(), SOON) == b""
        try:
            for _ in range(50):
                await port.write(bytes(1000))
                await CLOCK.sleep_ms(1)
            raise AssertionError("wrote to nobody")
        except OSError:
            pass
        await port.close()

    run(body())


def test_closing_ends_a_read() -> None:
    async def body() -> None:
        port = await open_port(url(), CLOCK)
        reading = asyncio.create_task(port.read())
        await CLOCK.sleep_ms(20)
        await port.close()
        await port.close()
        assert await CLOCK.wait_for_ms(reading, SOON) == b""
        assert await CLOCK.wait_for_ms(port.read(), SOON) == b""
        try:
            await port.write(b"x")
            raise AssertionError("wrote to a closed port")
        except OSError:
            pass
        again = await open_port(url(), CLOCK)
        await again.write(b"x")
        assert await take(again, 1) == b"x"
        await again.close()

    run(body())


def test_writing_waits_for_the_line() -> None:
    async def body() -> None:
        port = await open_port(url(), CLOCK)
        await port.write(b"quiet")
        await CLOCK.sleep_ms(50)
        try:
            for _ in range(3000):  # 30 MB: more than any buffer on the way
                await CLOCK.wait_for_ms(port.write(bytes(10_000)), 200)
            raise AssertionError("the line took everything without a reader")
        except asyncio.TimeoutError:
            pass
        await port.close()

    run(body())


def test_what_is_not_there() -> None:
    async def body() -> None:
        for absent in (
            "serial:/dev/no-such-tty?baud=9600",
            "tcp://127.0.0.1:%s" % os.getenv("FREE_PORT"),
        ):
            try:
                await open_port(absent, CLOCK)
                raise AssertionError("opened " + absent)
            except OSError as error:
                assert error.errno, error
        for wrong in ("tcp://nowhere", "serial:/dev/null?baud=x"):
            try:
                await open_port(wrong, CLOCK)
                raise AssertionError("opened " + wrong)
            except PortError:
                pass

    run(body())
