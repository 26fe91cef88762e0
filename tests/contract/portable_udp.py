"""A UdpLink on this runtime, to a peer that answers.

Environment: UDP_HOST and UDP_PORT, where each APDU comes back, SAPs exchanged, after a datagram
that is no wrapper PDU and one for another client; "silence" is not answered. FREE_UDP_PORT, where
nobody listens.
"""

from __future__ import annotations

import asyncio
import os

from tests.contract.here import SystemClock, UdpLink
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLOCK = SystemClock()
SOON = 60_000  # ms


def env(name: str) -> str:
    value = os.getenv(name)
    assert value, name + " is not in the environment"
    return value


async def open_link(port: str = "UDP_PORT") -> Any:
    return await UdpLink.open(env("UDP_HOST"), int(env(port)), 16, 1, CLOCK)


def test_apdus_go_and_come_whole() -> None:
    async def body() -> None:
        link = await open_link()
        for size in (1, 2, 300, link.max_apdu):
            apdu = random_bytes(size, size)
            await link.send(memoryview(apdu))
            assert await link.receive(SOON) == apdu
        await link.close()

    run(body())


def test_silence_ends_in_time_and_the_link_goes_on() -> None:
    async def body() -> None:
        link = await open_link()
        await link.send(b"silence")
        try:
            await link.receive(50)
            raise AssertionError("an answer came")
        except asyncio.TimeoutError:
            pass
        await link.send(b"word")
        assert await link.receive(SOON) == b"word"
        await link.close()

    run(body())


def test_nobody_there() -> None:
    async def body() -> None:
        link = await open_link("FREE_UDP_PORT")
        await link.send(b"hello")
        try:
            await link.receive(SOON)
            raise AssertionError("an answer came")
        except OSError as error:
            assert not isinstance(error, asyncio.TimeoutError)
        await link.close()

    run(body())


def test_no_such_host() -> None:
    async def body() -> None:
        try:
            await UdpLink.open("no-such-host.invalid", 4059, 16, 1, CLOCK)
            raise AssertionError("it is there")
        except OSError:
            pass

    run(body())
