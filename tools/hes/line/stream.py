"""A numbered stream of each concentrator, its reports or its readings: what is safe here is
acknowledged, what is missing asked for again.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.contract.messages import Ack, Resend
from hal.rt import log
from tools.hes.line.connection import Sender
from tools.hes.line.pace import Resends

_WHERE = "hes"


class Stream:
    """`ack` and `resend` are its topics; `what` is what has numbers, for people."""

    def __init__(self, ack: str, resend: str, what: str, now: Callable[[], float]) -> None:
        self._ack = ack
        self._resend = resend
        self._what = what
        self._resends = Resends(now)
        self._stood: dict[str, int] = {}  # concentrator: what was safe at its last hello

    def clear(self) -> None:
        """A new connection."""
        self._resends.clear()
        self._stood.clear()

    def behind(self, concentrator: str, safe: int, following: int) -> bool:
        """At a hello: whether it keeps some that we do not have, and did so at the hello before.
        `following`: the number that its next one will get.
        """
        behind = following - 1 > safe == self._stood.get(concentrator)
        self._stood[concentrator] = safe
        return behind

    async def acknowledge(self, sender: Sender, concentrator: str, safe: Ack) -> None:
        await sender.publish(concentrator, self._ack, safe.encode())

    async def ask_again(self, sender: Sender, concentrator: str, safe: Ack) -> bool:
        """For what comes after the safe ones, unless that was done a moment ago."""
        if not self._resends.due(concentrator, safe.number):
            return False
        again = Resend(safe.epoch, safe.number + 1)
        await sender.publish(concentrator, self._resend, again.encode())
        return True

    async def taken(self, sender: Sender, concentrator: str, safe: Ack, gap: bool) -> None:
        """A message of it was taken; `gap`: some before what it held are missing."""
        if gap and await self.ask_again(sender, concentrator, safe):
            text = "%s: %s %d is missing, asked for it"
            log.warning(_WHERE, text % (concentrator, self._what, safe.number + 1))
        await self.acknowledge(sender, concentrator, safe)
