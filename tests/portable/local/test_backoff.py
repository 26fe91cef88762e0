"""A technician's line that is not there: how often it is tried."""

from __future__ import annotations

import asyncio

from gateway.local.access import FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS, LocalAccess
from hal.ports import PortError
from hal.sim.clock import ManualClock
from tests.portable.support import run


def opened_at(clock, plays, until_ms):
    """When the line was tried, in ms: each time one of `plays` comes of it, and then OSError."""
    times = []
    began = clock.ticks_ms()

    async def open_port():
        times.append(clock.ticks_ms() - began)
        raise plays.pop(0) if plays else OSError(2, "no such line")

    async def whole():
        access = LocalAccess(open_port, clock, None, None, "street-1", 0)
        task = asyncio.create_task(access.run())
        await clock.run(until_ms)
        task.cancel()
        await clock.settle()

    run(whole())
    return times


def test_ever_more_seldom_up_to_once_a_minute():
    assert (FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS) == (1000, 60_000)
    plays = [PortError("no such UART"), asyncio.TimeoutError()]
    times = opened_at(ManualClock(), plays, 260_000)
    assert times == [0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000, 243_000]
