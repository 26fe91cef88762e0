"""hal.rt.group: tasks live and die together."""

from __future__ import annotations

import asyncio

from hal.rt import group
from hal.rt.group import Group
from tests.portable.support import run


class Broken(Exception):
    pass


async def forever(events: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # a clean-up that takes a turn of the loop
        events.append(name)
        raise


async def dies() -> None:
    await asyncio.sleep(0)
    raise Broken("on purpose")


async def returns() -> None:
    await asyncio.sleep(0)


def test_all_return() -> None:
    async def body() -> None:
        group = Group()
        group.start(returns())
        group.start(returns())
        assert len(group) == 2
        await group.wait()
        assert len(group) == 0

    run(body())


def test_empty() -> None:
    run(Group().wait())


def test_one_dies_and_takes_the_others_along() -> None:
    async def body() -> None:
        events: list[str] = []
        group = Group()
        group.start(forever(events, "a"))
        group.start(returns())
        group.start(forever(events, "b"))
        group.start(dies())
        try:
            await group.wait()
            raise AssertionError("the exception was lost")
        except Broken as error:
            assert str(error) == "on purpose"
        assert sorted(events) == ["a", "b"]
        assert len(group) == 0

    run(body())


def test_death_before_wait_is_kept() -> None:
    async def body() -> None:
        group = Group()
        group.start(dies())
        for _ in range(5):
            await asyncio.sleep(0)
        try:
            await group.wait()
            raise AssertionError("the exception was lost")
        except Broken:
            pass

    run(body())


def test_cancelling_the_waiter_cancels_all() -> None:
    async def body() -> None:
        events: list[str] = []
        group = Group()

        async def waiter() -> None:
            group.start(forever(events, "a"))
            group.start(forever(events, "b"))
            try:
                await group.wait()
            except asyncio.CancelledError:
                events.append("waiter")
                raise

        task = asyncio.create_task(waiter())
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
            raise AssertionError("the cancellation was swallowed")
        except asyncio.CancelledError:
            pass
        assert sorted(events[:2]) == ["a", "b"] and events[2] == "waiter"

    run(body())


def test_cancel_reaches_tasks_that_never_ran() -> None:
    async def body() -> None:
        events: list[str] = []
        group = Group()
        group.start(forever(events, "a"))
        await group.cancel()
        assert events == [] and len(group) == 0

    run(body())


def test_who_swallows_a_cancel_gets_another() -> None:
    async def stubborn(events: list[str]) -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                if "swallowed" in events:
                    raise
                events.append("swallowed")

    async def scenario() -> None:
        events: list[str] = []
        tasks = group.Group()
        tasks.start(stubborn(events))
        await asyncio.sleep(0)
        await tasks.cancel()
        assert events == ["swallowed"]
        assert len(tasks) == 0

    before, group.CANCEL_AGAIN = group.CANCEL_AGAIN, 0.01
    try:
        asyncio.run(asyncio.wait_for(scenario(), 30))
    finally:
        group.CANCEL_AGAIN = before
