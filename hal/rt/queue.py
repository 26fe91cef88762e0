"""A bounded queue between tasks of one loop (asyncio.Queue is absent on MicroPython)."""

from __future__ import annotations

import asyncio
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    T = TypeVar("T")
else:
    # At run time `Generic[T]` only has to be a base class.
    Generic = (object,)
    T = 0


class Full(Exception):
    """put_nowait found no room."""


class Queue(Generic[T]):
    """First in, first out, at most `maxsize` (>= 1) items. Any number of tasks may put and get."""

    def __init__(self, maxsize: int) -> None:
        if maxsize < 1:
            raise ValueError("Queue: maxsize must be at least 1, not %d" % maxsize)
        self.maxsize = maxsize
        self._items: deque[T] = deque((), maxsize)  # noqa: RUF037 - no keywords there
        self._filled = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> None:
        """Add at the end, or raise Full."""
        # A full deque would drop its oldest item silently.
        if len(self._items) >= self.maxsize:
            raise Full("queue holds its %d items" % self.maxsize)
        self._items.append(item)
        self._filled.set()

    async def put(self, item: T) -> None:
        """Add at the end as soon as there is room."""
        while len(self._items) >= self.maxsize:
            self._room.clear()
            await self._room.wait()
        self.put_nowait(item)

    async def get(self) -> T:
        """Take the first item as soon as there is one; cancelling loses nothing."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        self._room.set()
        return item
