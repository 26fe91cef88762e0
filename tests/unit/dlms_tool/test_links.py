"""Links over real lines: what is slow but healthy."""

from __future__ import annotations

import asyncio

import pytest

from hal.modem.wrapper import wrap
from hal.sim.clock import ManualClock
from tools.dlms.links import SLOWER, WrapperLink


class Trickle:
    """A byte port that gives a byte each 100 ms."""

    def __init__(self, clock: ManualClock, data: bytes) -> None:
        self._clock = clock
        self._data = data

    async def read(self) -> bytes:
        if not self._data:
            await asyncio.Event().wait()
        await self._clock.sleep_ms(100)
        data, self._data = self._data[:1], self._data[1:]
        return data

    async def write(self, data: bytes | memoryview) -> None: ...

    async def close(self) -> None: ...


def receive(data: bytes, timeout_ms: int) -> tuple[bytes | None, int]:
    """(what was received, None: it was given up; after how many ms)."""

    async def play() -> tuple[bytes | None, int]:
        clock = ManualClock()
        link = WrapperLink(Trickle(clock, data), 16, 1, clock)
        start = clock.ticks_ms()
        waiting = asyncio.create_task(link.receive(timeout_ms))
        while not waiting.done():
            await clock.run(50)
            await clock.settle()
        try:
            return await waiting, clock.ticks_ms() - start
        except asyncio.TimeoutError:
            return None, clock.ticks_ms() - start

    return asyncio.run(play())


def test_a_long_apdu_over_a_slow_connection_is_waited_for() -> None:
    found, took = receive(wrap(1, 16, bytes(32)), 1000)
    assert found == bytes(32) and took >= 4000


@pytest.mark.parametrize("data", [b"", wrap(1, 16, bytes(32))[:12], wrap(1, 17, bytes(99))])
def test_what_stops_or_is_for_others_is_not(data: bytes) -> None:
    found, took = receive(data, 1000)
    assert found is None and took <= 2300


def test_nobody_can_hold_it_for_ever() -> None:
    found, took = receive(wrap(1, 16, bytes(5000)), 1000)
    assert found is None and took <= SLOWER * 1000 + 200
