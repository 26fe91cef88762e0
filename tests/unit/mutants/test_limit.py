"""A time limit that comes again, and gives up in the end."""

from __future__ import annotations

import asyncio
import time

import pytest

from tools.mutants import limit
from tools.mutants.limit import TimeIsOver, limited


class GivenUp(BaseException):
    pass


def give_up() -> None:
    raise GivenUp


def test_who_is_in_time_notices_nothing() -> None:
    with limited(30, give_up):
        pass
    time.sleep(0.01)


def test_who_is_not_is_ended() -> None:
    with pytest.raises(TimeIsOver), limited(0.05, give_up):
        while True:
            time.sleep(0.01)


def test_it_comes_again() -> None:
    """Raised in a task, it ends the task; who waits for an event goes on waiting."""

    async def work() -> None:
        for _ in range(1 << 40):
            await asyncio.sleep(0)

    async def whole() -> None:
        task = asyncio.create_task(work())
        await asyncio.Event().wait()
        await task

    with pytest.raises(TimeIsOver), limited(0.05, give_up):
        asyncio.run(whole())


def test_who_does_not_stop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "PATIENCE", 1)
    with pytest.raises(GivenUp), limited(0.05, give_up):
        while True:
            try:
                time.sleep(0.01)
            except TimeIsOver:
                pass
