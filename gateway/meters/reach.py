"""The one way to speak with a meter, and what it takes: network, keys, counters, patience.

Whoever has something to do on a meter takes a `Way` (way.py), one meter over one path, and gives it
the work for a client that is ready to ask. Local access takes a link() alone: what goes over it is
between the technician and the meter.

Nothing of DLMS is imported before the first conversation.
"""

from __future__ import annotations

import asyncio

from gateway.meters.counters import NotStored
from gateway.meters.hindrance import Hindrance
from gateway.meters.traffic import NO_TRAFFIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from gateway.contract.model import Model
    from gateway.meters.access import Access
    from gateway.meters.counters import Counters
    from gateway.meters.inventory import Inventory, Meter, Path
    from gateway.meters.link import Link
    from gateway.meters.network import Network
    from hal.ports import Clock, Crypto

    T = TypeVar("T")
    Heartbeat = Callable[[], None]


class Unreached(Exception):
    """No conversation came about, or it broke off; the text says why. `silent`: it was the meter
    that did not answer, and not the modem that failed. `heard`: it had answered before. `reason`:
    one of REASONS where the network itself told why, else "". `hindrance`: what of ours was in the
    way."""

    def __init__(
        self,
        silent: bool,
        text: str,
        heard: bool = False,
        reason: str = "",
        hindrance: Hindrance | None = None,
    ) -> None:
        super().__init__(text)
        self.silent = silent
        self.heard = heard
        self.reason = reason
        self.hindrance = hindrance


class GivenUp(Exception):
    """What a check() raises, which is called before each APDU that goes out: the conversation is
    ended, for its meter or its slot is wanted for something more urgent."""


class Reach:
    """What it takes to reach any meter of the inventory.

    `system_title`: the client's own, 8 bytes. `patience`: for each kind of path the timeout of one
    request in ms, and how often it is sent in all.
    """

    def __init__(
        self,
        *,
        network: Network,
        inventory: Inventory,
        counters: Counters,
        clock: Clock,
        crypto: Crypto,
        system_title: bytes,
        patience: dict[str, tuple[int, int]],
    ) -> None:
        self.network = network
        self.inventory = inventory
        self.counters = counters
        self.clock = clock
        self.crypto = crypto
        self.system_title = system_title
        self.patience = patience
        # by serial, services that a meter agreed to and did not keep to: not proposed again
        self.unkept: dict[str, int] = {}
        # (serial, notification): what a meter sends unasked within a conversation, proven
        self.heard: Callable[[str, Any], None] | None = None

    def model(self, meter: Meter) -> Model:
        """ModelError when it is not here; OSError of the storage."""
        from gateway.meters.access import model_of

        return model_of(self.inventory, meter)

    def access(self, meter: Meter) -> Access:
        """How we get into it. InventoryError when its keys are missing, ModelError when its model
        is."""
        from gateway.meters.access import access_to

        found = access_to(self.inventory, self.crypto, self.system_title, meter)
        key = found.keys.ek if found.keys is not None else b""
        self.counters.begin_at(meter.serial, key, found.counter)
        return found

    def next_counter(self, serial: str, key: bytes = b"") -> int:
        """An invocation counter never used before; `key`: which it is for, where access() has not
        said so. CounterError when there is none; NotStored for a flash that refuses: that is no
        error of the path."""
        try:
            if key:
                self.counters.begin_at(serial, key, 0)
            return self.counters.next(serial)
        except OSError as error:
            raise NotStored("%s: cannot store its invocation counter: %s" % (serial, error))

    async def link(
        self,
        meter: Meter,
        path: Path,
        slot_ms: int | None = None,
        traffic: tuple[int, int] = NO_TRAFFIC,
    ) -> Link:
        """To the meter as its client_sap says. Unreached, hindered, when the path's modem has had
        no slot free for `slot_ms` (None: it is waited for); ModemError as Network.open()."""
        opening = self.network.open(meter, path, traffic)
        if slot_ms is None:
            return await opening
        try:
            return await self.clock.wait_for_ms(opening, slot_ms)
        except asyncio.TimeoutError:
            text = "no slot within %d s" % ((slot_ms + 999) // 1000)
            raise Unreached(False, text, hindrance=Hindrance("no-slot", text))

    async def in_time(self, work: Awaitable[T], limit_ms: int, what: str) -> T:
        """The work's result, or Unreached when there was none in time."""
        try:
            return await self.clock.wait_for_ms(work, limit_ms)
        except asyncio.TimeoutError:
            raise Unreached(True, "no %s within %d s" % (what, (limit_ms + 999) // 1000))
