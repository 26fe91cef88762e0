"""Messages that have come and are not handled yet: bounded, and fair to each concentrator.

What does not fit is dropped and counted. Whoever sent it sends it again, as after any loss, while
the others' messages have their place all the same.
"""

from __future__ import annotations

import asyncio

import aiomqtt

from gateway.contract.limits import MAX_MESSAGE

MOST = 10000  # messages
MOST_OCTETS = 64 << 20
MOST_OF_ONE = 256  # messages of one concentrator; an honest one has a dozen on their way
LARGEST = MAX_MESSAGE + 64  # octets of a payload, sealed
MOST_NAMES = 1000  # that a count is kept for; the others' is one, under ""


class Backlog(asyncio.Queue[aiomqtt.Message]):
    """What aiomqtt puts in here and `client.messages` takes out."""

    def __init__(self) -> None:
        super().__init__()
        self._octets = 0
        self._of_each: dict[str, int] = {}
        self._dropped: dict[str, int] = {}

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Or drop it."""
        who, size = _sender(item), _size(item)
        waiting = self._of_each.get(who, 0)
        if (
            size > LARGEST
            or waiting >= MOST_OF_ONE
            or self._octets + size > MOST_OCTETS
            or self.qsize() >= MOST
        ):
            counted = who if who in self._dropped or len(self._dropped) < MOST_NAMES else ""
            self._dropped[counted] = self._dropped.get(counted, 0) + 1
            return
        self._of_each[who] = waiting + 1
        self._octets += size
        super().put_nowait(item)

    def _get(self) -> aiomqtt.Message:
        """asyncio.Queue's hook: the item that leaves."""
        item: aiomqtt.Message = super()._get()
        who = _sender(item)
        self._octets -= _size(item)
        self._of_each[who] -= 1
        if not self._of_each[who]:
            del self._of_each[who]
        return item

    def taken_dropped(self) -> dict[str, int]:
        """How many were dropped since the last call, by concentrator."""
        dropped, self._dropped = self._dropped, {}
        return dropped


def _sender(message: aiomqtt.Message) -> str:
    levels = str(message.topic).split("/")
    return levels[2] if len(levels) == 4 else ""


def _size(message: aiomqtt.Message) -> int:
    return len(message.payload) if isinstance(message.payload, (bytes, bytearray)) else 0
