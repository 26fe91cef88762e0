"""Serial lines as they come and go, on this runtime.

Environment: REPLUG_LINE, the path of a line that the test beside this unplugs and plugs in again
when the file REPLUG_NEXT is removed; what is written comes back. REPLUG_PTY, a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os

from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from hal.ports import ModemReset, PortError
from hal.rt import log
from tests.contract.here import SystemClock, open_port
from tests.portable.support import run

CLOCK = SystemClock()


def environment(name: str) -> str:
    value = os.getenv(name)
    assert value, name + " is not in the environment"
    return value


def test_a_line_that_is_unplugged_is_opened_again() -> None:
    async def body() -> None:
        """A modem on it, whose host must not notice more than that it was reset."""
        log.set_level("error")
        url = "serial:%s?baud=57600" % environment("REPLUG_LINE")
        modem = Attached(Prime(), lambda: open_port(url, CLOCK), CLOCK)
        resets = []

        async def collect() -> None:
            while True:
                event = await modem.event()
                if isinstance(event, ModemReset):
                    resets.append(event)

        collecting = asyncio.create_task(collect())
        for round in (1, 2, 3):
            for _ in range(400):
                if modem.statistics()["opened"] == round:
                    break
                await CLOCK.sleep_ms(50)
            else:
                raise AssertionError("the line was opened %r" % modem.statistics())
            if round < 3:
                os.remove(environment("REPLUG_NEXT"))
        collecting.cancel()
        await modem.close()
        assert len(resets) >= 2

    run(body())


def test_reading_ends_when_the_line_is_gone() -> None:
    async def body() -> None:
        line = await open_port("serial:" + environment("REPLUG_LINE"), CLOCK)
        await line.write(b"there and back")
        heard = b""
        while len(heard) < 14:
            heard += await CLOCK.wait_for_ms(line.read(), 10_000)
        assert heard == b"there and back"
        os.remove(environment("REPLUG_NEXT"))
        assert await CLOCK.wait_for_ms(line.read(), 10_000) == b""
        await line.close()

    run(body())


def test_formats() -> None:
    async def body() -> None:
        for form in ("8N1", "8N2"):
            url = "serial:%s?baud=9600&format=%s" % (environment("REPLUG_PTY"), form)
            line = await open_port(url, CLOCK)
            await line.close()

    run(body())


def test_what_a_line_cannot_do_is_said() -> None:
    async def body() -> None:
        pty = environment("REPLUG_PTY")
        for url, kind, text in (
            ("serial:%s?rs485=1" % pty, OSError, "cannot switch an RS-485 driver"),
            ("serial:%s?format=8E1" % pty, OSError, "does not take 8E1 at 115200 baud"),
            ("serial:%s?format=7N1" % pty, OSError, "does not take 7N1"),
            ("uart:plc", PortError, "this board has no UART 'plc'; it has none"),
            ("serial:/dev/no-such-line", OSError, "no-such-line"),
        ):
            try:
                await open_port(url, CLOCK)
                raise AssertionError(url)
            except kind as error:
                assert text in str(error), (url, error)

    run(body())
