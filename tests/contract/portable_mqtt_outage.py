"""The Uplink through a long outage: attempt after attempt fails, connection after connection
breaks, and nothing of them stays: no memory, no file, no task.

Environment: MQTT_PORT, MQTT_FREE_PORT (nobody listens), MQTT_SILENT_PORT (accepts connections and
says nothing).
"""

from __future__ import annotations

import asyncio
import gc
import os

from hal.ports import Message
from tests.contract.here import MICROPYTHON, MqttUplink, SystemClock
from tests.portable.support import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SOON = 60_000  # ms
CLOCK = SystemClock()
FIRST = 30  # times, after which caches and pools are full
THEN = 300
LAYOUT = bytearray(int(os.getenv("HEAP_LAYOUT") or 0))
# What may be more after THEN times. CPython's is of the whole process, which may have other things
# to keep; a connection that stays has some 50 KB there and 2 KB on MicroPython.
OCTETS = 16384 if MICROPYTHON else 4 << 20


def used() -> int:
    """Octets: of the heap on MicroPython, resident on CPython."""
    gc.collect()
    if MICROPYTHON:
        return gc.mem_alloc()  # type: ignore[attr-defined, no-any-return]
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


def uplink(port: str) -> MqttUplink:
    value = os.getenv(port)
    assert value, "%s is not in the environment" % port
    return MqttUplink("127.0.0.1", int(value), "one", "board", "open sesame", None, 4096, 30)


async def leaves_nothing(once: Callable[[], Awaitable[None]]) -> None:
    for _ in range(FIRST):
        await once()
    before, open_files = used(), files()
    for _ in range(THEN):
        await once()
    more = used() - before
    print("%d octets more after %d times" % (more, THEN))
    assert more < OCTETS
    assert files() <= open_files + 1
    if not MICROPYTHON:
        assert len(asyncio.all_tasks()) < 10


def test_refused_again_and_again() -> None:
    async def body() -> None:
        link = uplink("MQTT_FREE_PORT")

        async def once() -> None:
            try:
                await link.connect(Message("w", b"?", True), ["n"], SOON)
            except OSError as error:
                assert "within" not in str(error), error
                return
            raise AssertionError("somebody listens")

        await leaves_nothing(once)

    run(body())


def test_silent_again_and_again() -> None:
    async def body() -> None:
        link = uplink("MQTT_SILENT_PORT")

        async def once() -> None:
            try:
                await link.connect(Message("w", b"?", True), ["n"], 10)
            except OSError:
                return
            raise AssertionError("somebody answers")

        await leaves_nothing(once)
        await link.disconnect()

    run(body())


def test_broken_again_and_again() -> None:
    """Who connects with the same id has the broker end the connection that was there."""

    async def body() -> None:
        links = [uplink("MQTT_PORT"), uplink("MQTT_PORT")]
        await links[1].connect(Message("w", b"?", True), ["n"], SOON)

        async def once() -> None:
            await links[0].connect(Message("w", b"?", True), ["n"], SOON)
            try:
                await CLOCK.wait_for_ms(links[1].receive(), SOON)
            except asyncio.TimeoutError:  # an OSError too on CPython
                raise AssertionError("the broker keeps both")
            except OSError:
                links.reverse()
                return
            raise AssertionError("received from a connection that is gone")

        await leaves_nothing(once)
        for link in links:
            await link.disconnect()

    run(body())
