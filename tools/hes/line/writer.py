"""The store's one thread: the event loop hands it calls and is not held up by a commit.

The calls are made in the order they were handed in; those that wait are committed together, and
nobody hears of a call before it is committed. While the database is in trouble (locked, full,
away) the same calls are made again and again, and all others wait: nothing is answered that is not
safe, and nothing is lost that was handed in. A call that the database refuses again and again while
it works otherwise is given up: the fault is the call's, and those behind it need not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from hal.rt import log
from tools.hes.store.problems import DatabaseTrouble, StoreProblem

TOGETHER = 64  # calls committed as one, at most
PAUSE = (0.5, 15.0)  # seconds before trying again: the first time, at most
TRIES = 4  # of one call, before it is asked whether the database works otherwise

_WHERE = "hes"

T = TypeVar("T")


class Writer:
    """`together` is the store's: what is done within is one transaction. `thread` is where the
    calls are made, one after the other; a thread of its own if None. `works()` writes something
    small, so that it fails if the database is in trouble; without it no call is given up.
    """

    def __init__(
        self,
        together: Callable[[], AbstractContextManager[None]],
        thread: Executor | None = None,
        works: Callable[[], None] | None = None,
    ) -> None:
        self._together = together
        self._works = works
        self._thread = thread or ThreadPoolExecutor(1, "store")
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._at_work: asyncio.Task[None] | None = None
        self._in_trouble = False

    def do(self, call: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """What the call returns or raises, once it is committed. Handed in when this returns."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((lambda: call(*arguments), future))
        if self._at_work is None or self._at_work.done():
            self._at_work = asyncio.create_task(self._work())
        return future

    def post(self, call: Callable[..., Any], *arguments: Any) -> None:
        """As do(), for who does not wait for it; what it raises is logged."""
        self.do(call, *arguments).add_done_callback(_logged)

    async def close(self) -> None:
        """Commit what was handed in; drop it if the database is in trouble."""
        if self._at_work is not None:
            if self._in_trouble:
                self._at_work.cancel()
            await asyncio.gather(self._at_work, return_exceptions=True)
        self._thread.shutdown()

    async def _work(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
            outcomes = await self._until_committed([call for call, _ in some])
            for (_, future), (value, error) in zip(some, outcomes, strict=True):
                if future.cancelled():
                    continue
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)

    async def _until_committed(self, calls: list[Callable[[], Any]]) -> list[Any]:
        pause, tries = PAUSE[0], 0
        while True:
            try:
                outcomes = await self._in_thread(self._commit, calls)
            except DatabaseTrouble as trouble:
                if len(calls) > 1:  # each by itself: one of them may be the reason
                    return [(await self._until_committed([call]))[0] for call in calls]
                tries += 1
                if tries >= TRIES and await self._in_thread(self._is_well):
                    self._in_trouble = False
                    return [(None, StoreProblem("given up after %d tries: %s" % (tries, trouble)))]
                text = "database %s; nothing is acknowledged, it is tried again in %g s"
                log.error(_WHERE, text % (trouble, pause))
                self._in_trouble = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE[1])
                continue
            if self._in_trouble:
                log.info(_WHERE, "database: works again")
                self._in_trouble = False
            return outcomes

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.wrap_future(self._thread.submit(call, *arguments))

    def _is_well(self) -> bool:
        """In the thread: whether something else can be written."""
        if self._works is None:
            return False
        try:
            with self._together():
                self._works()
        except StoreProblem:
            return False
        return True

    def _commit(self, calls: list[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
        """In the thread: (value, None) or (None, what it raised) of each. DatabaseTrouble: nothing
        was done.
        """
        outcomes: list[tuple[Any, Exception | None]] = []
        with self._together():
            for call in calls:
                try:
                    outcomes.append((call(), None))
                except DatabaseTrouble:
                    raise
                except Exception as error:
                    outcomes.append((None, error))
        return outcomes


def _logged(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and future.exception() is not None:
        error = future.exception()
        name = "" if isinstance(error, StoreProblem) else type(error).__name__ + ": "
        log.error(_WHERE, "%s%s" % (name, error))
