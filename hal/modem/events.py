"""What a modem has to tell, between the tasks that find it out and the one caller of event()."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Coming, Joined, Left, ModemReset, Rx, TxDone

    Event = TxDone | Rx | Coming | Joined | Left | ModemReset

MAX_WAITING = 256  # events nobody fetched before nothing more is read


class Events:
    """In their order."""

    def __init__(self) -> None:
        self._waiting: list[Event] = []
        self._happened = asyncio.Event()
        self._fetched = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def last(self) -> Event | None:
        return self._waiting[-1] if self._waiting else None

    def put(self, event: Event) -> None:
        self._waiting.append(event)
        self._happened.set()

    def wake(self) -> None:
        """Have happening() return, event or not."""
        self._happened.set()

    async def happening(self) -> None:
        """Wait for the next put() or wake()."""
        self._happened.clear()
        await self._happened.wait()

    def take(self) -> Event:
        """The oldest; there must be one."""
        self._fetched.set()
        return self._waiting.pop(0)

    async def room(self) -> None:
        """Wait until no more than MAX_WAITING wait; whoever reads a line does so before it reads
        on."""
        while len(self._waiting) > MAX_WAITING:
            self._fetched.clear()
            await self._fetched.wait()
