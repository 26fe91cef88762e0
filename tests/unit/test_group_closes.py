"""hal/rt/group.py: what only CPython tells, a coroutine that nobody will ever await."""

from __future__ import annotations

import asyncio
import inspect

from hal.rt.group import Group


def test_a_task_that_is_cancelled_before_it_begins_is_closed() -> None:
    async def scenario() -> None:
        group = Group()
        never = asyncio.sleep(0)
        group.start(never)
        await group.cancel()
        assert inspect.getcoroutinestate(never) == inspect.CORO_CLOSED
        assert len(group) == 0

    asyncio.run(scenario())
