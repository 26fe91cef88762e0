"""hal.rt.queue: order, bound, waiting, cancelling."""

from __future__ import annotations

import asyncio

from hal.rt.queue import Full, Queue
from tests.portable.support import raises, run


def test_first_in_first_out_and_bounded() -> None:
    async def body() -> None:
        queue: Queue[int] = Queue(2)
        queue.put_nowait(1)
        await queue.put(2)
        assert len(queue) == 2
        raises(Full, queue.put_nowait, 3)
        assert await queue.get() == 1
        queue.put_nowait(3)
        assert [await queue.get(), await queue.get()] == [2, 3]
        assert len(queue) == 0

    run(body())
    raises(ValueError, Queue, 0)


def test_producers_wait_for_consumers() -> None:
    async def body() -> None:
        queue: Queue[int] = Queue(3)
        got: list[int] = []

        async def produce(first: int) -> None:
            for i in range(first, first + 50):
                await queue.put(i)
                assert len(queue) <= 3

        async def consume() -> None:
            for _ in range(50):
                got.append(await queue.get())

        await asyncio.gather(produce(0), produce(100), consume(), consume())
        assert sorted(got) == list(range(50)) + list(range(100, 150))
        assert [n for n in got if n < 100] == list(range(50))

    run(body())


def test_a_cancelled_get_takes_nothing() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue(1)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        queue.put_nowait("kept")
        assert await queue.get() == "kept"

    run(body())


def test_a_get_with_a_limit_can_be_repeated() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue(1)
        for _ in range(3):
            try:
                await asyncio.wait_for(queue.get(), 0.01)
                raise AssertionError("got something from an empty queue")
            except asyncio.TimeoutError:
                pass
        await queue.put("late")
        assert await asyncio.wait_for(queue.get(), 10) == "late"

    run(body())
