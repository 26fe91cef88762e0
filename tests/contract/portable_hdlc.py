"""A meter over HDLC on real lines, on both runtimes.

Environment: HDLC_TCP, "tcp://host:port" of a meter with HDLC; HDLC_PTY, "serial:/dev/..." of one
with protocol mode E. Both have the logical device 1 and the physical one 17, and let the public
client read their name, HDLC_SERIAL."""

from __future__ import annotations

import asyncio
import os

from gateway.dlms.client.client import Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.hdlc.link import HdlcLink
from gateway.dlms.hdlc.mode_e import open_mode_e
from gateway.dlms.hdlc.settings import Settings
from hal.ports import PortError
from tests.contract.here import SystemClock, SystemCrypto, open_port
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import BytePort

PUBLIC = 16
NAME = obis.parse("0.0.42.0.0.255")
ASSOCIATION = obis.parse("0.0.40.0.0.255")
CLOCK = SystemClock()


def environment(name: str) -> str:
    value = os.getenv(name)
    assert value, name + " is not in the environment"
    return value


def link_over(port: BytePort, settings: Settings, address_size: int = 0) -> HdlcLink:
    return HdlcLink(port, CLOCK, PUBLIC, 1, 17, address_size, settings)


async def read(link: HdlcLink) -> None:
    client = Client(link, CLOCK, SystemCrypto(), Association(PUBLIC), lambda: 0)
    await client.associate()
    name = axdr.decode(await client.get(1, NAME, 2))
    assert name == (axdr.OCTET_STRING, environment("HDLC_SERIAL").encode())
    assert len(await client.get(15, ASSOCIATION, 2)) > 300
    await client.release()


def test_over_tcp() -> None:
    async def body() -> None:
        for size, window, address_size in ((32, 1, 0), (128, 3, 4), (1024, 7, 2)):
            port = await open_port(environment("HDLC_TCP"), CLOCK)
            link = link_over(port, Settings(size, window), address_size)
            await read(link)
            await link.close()

    run(body())


def test_cancelled_call_leaves_the_link_usable() -> None:
    async def body() -> None:
        link = link_over(await open_port(environment("HDLC_TCP"), CLOCK), Settings(32))
        await link.connect()
        for pause in (0, 1, 5, 20):
            receiving = asyncio.create_task(link.receive(10_000))
            await CLOCK.sleep_ms(pause)
            receiving.cancel()
            try:
                await receiving
                raise AssertionError("something came")
            except asyncio.CancelledError:
                pass
            await read(link)
        await link.close()

    run(body())


def test_mode_e_on_a_serial_line() -> None:
    async def body() -> None:
        line = await open_port(environment("HDLC_PTY"), CLOCK)
        found = await open_mode_e(line, CLOCK)  # type: ignore[arg-type]
        assert found is not None and found.baud == 9600
        link = link_over(line, Settings(128, 7))
        await read(link)
        await link.close()

    run(body())


def test_speeds_there_are_not() -> None:
    async def body() -> None:
        line = await open_port(environment("HDLC_PTY"), CLOCK)
        for baud in (300, 2400, 9600, 19200, 115200):
            await line.set_baud(baud)  # type: ignore[attr-defined]
        try:
            await line.set_baud(12345)  # type: ignore[attr-defined]
            raise AssertionError("12345 baud")
        except PortError:
            pass
        await line.close()
        try:
            await line.set_baud(9600)  # type: ignore[attr-defined]
            raise AssertionError("a closed line took a speed")
        except OSError:
            pass

    run(body())
