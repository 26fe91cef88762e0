"""Tasks that live and die together (asyncio.TaskGroup is absent on MicroPython)."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

CANCEL_AGAIN = 15.0  # seconds of the loop's own time: longer than it takes to clear away


class Group:
    """Start tasks with `start`, then `wait` for them. The first exception of any ends all.

    A task that returns, or is cancelled, just leaves the group. No task may end its own group.
    """

    def __init__(self) -> None:
        self._children: list[_Child] = []
        self._failure: Exception | None = None
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Tasks that have not ended."""
        return len(self._children)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run `coroutine` as a task of this group."""
        child = _Child(coroutine)
        self._children.append(child)
        child.task = asyncio.create_task(self._run(child))

    async def wait(self) -> None:
        """Return when every task has ended. When one dies of an exception the others are
        cancelled, and it is raised here; when this call is cancelled, all are cancelled too. No
        task is left in any case."""
        try:
            while self._children and self._failure is None:
                self._changed.clear()
                await self._changed.wait()
        finally:
            await self.cancel()
        if self._failure is not None:
            raise self._failure

    async def cancel(self) -> None:
        """Cancel every task and return when all have ended."""
        for child in list(self._children):
            child.cancel()
            if not child.started:  # its body will never run, so it cannot report its own end
                self._children.remove(child)
        interrupted: BaseException | None = None
        while self._children:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), CANCEL_AGAIN)
            except asyncio.TimeoutError:
                # Before Python 3.12, asyncio.wait_for() swallows a cancel that comes together with
                # what it waits for; a task in a loop then goes on.
                for child in list(self._children):
                    child.cancel()
            except asyncio.CancelledError as error:
                interrupted = error  # first the tasks, then ourselves
        if interrupted is not None:
            raise interrupted

    async def _run(self, child: _Child) -> None:
        child.started = True
        try:
            await child.coroutine
        except asyncio.CancelledError:
            pass
        except Exception as error:
            if self._failure is None:
                self._failure = error
        finally:
            self._children.remove(child)
            self._changed.set()


class _Child:
    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self.task: asyncio.Task[None] | None = None
        self.started = False

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
        if not self.started:
            self.coroutine.close()
