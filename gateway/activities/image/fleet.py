"""Speaking as the fleet's pre-established client: to one meter without an association first, to all
at once by broadcast. What a transfer to many meters (campaign.py) stands on.

An answer is authentic under the meter's own keys, so it is that meter's: its logical device name
need not be asked for.
"""

from __future__ import annotations

import asyncio

from gateway.activities.image.image_object import BLOCK_OVERHEAD, CLASS, NAME
from gateway.dlms.apdu import acse
from gateway.dlms.client.broadcast import CLIENT, Broadcast
from gateway.dlms.client.client import Association, Client
from gateway.dlms.errors import NoAnswer, SecurityFailed, ServiceRefused
from gateway.dlms.protection.keyring import Keys
from gateway.meters.counters import CounterError
from gateway.meters.inventory import BROADCAST, InventoryError
from hal.ports import ModemError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from gateway.meters.counters import Counters
    from gateway.meters.inventory import Inventory, Meter
    from gateway.meters.network import Network
    from hal.ports import Clock, Crypto

    T = TypeVar("T")
    Path = tuple[str, str]

WHERE = "fleet"
SERVER = 1  # SAP of the management logical device
PROTECTION = 24  # what ciphering adds to a broadcast
# What the meters of a fleet offer this client, agreed when the fleet was ordered.
CONFORMANCE = acse.GET | acse.ACTION | acse.MULTIPLE_REFERENCES | acse.BLOCK_GET


class Unreached(Exception):
    """No conversation came about, or it broke off; the text says why. `silent`: it was the meter
    that did not answer, and not the modem that failed. `heard`: it had answered before."""

    def __init__(self, silent: bool, text: str, heard: bool = False) -> None:
        super().__init__(text)
        self.silent = silent
        self.heard = heard


class Fleet:
    """The meters of one kind of path. `patience`: the timeout of one request in ms, and how often
    it is sent in all. `ciphered`: broadcasts go under the fleet's key, else in clear.

    InventoryError when there is no such key.
    """

    def __init__(
        self,
        network: Network,
        inventory: Inventory,
        counters: Counters,
        clock: Clock,
        crypto: Crypto,
        system_title: bytes,
        patience: tuple[int, int],
        kind: str,
        ciphered: bool,
    ) -> None:
        self.clock = clock
        self.kind = kind
        self._network = network
        self._inventory = inventory
        self._counters = counters
        self._crypto = crypto
        self._system_title = system_title
        self._patience = patience
        # serial -> highest invocation counter received, so that no answer counts twice
        self._received: dict[str, int] = {}
        keys = None
        if ciphered:
            found = inventory.keys(BROADCAST)
            keys = Keys(system_title, found.ek, found.ak, found.suite, broadcast=found.ek)
        self._sender = Broadcast(crypto, keys, self._next_broadcast)

    def reaches(self, meter: Meter) -> bool:
        """Whether this is the meter's best way now, and it serves this client."""
        paths = self._network.usable(meter)
        return bool(paths) and bool(meter.title) and paths[0][0] == self.kind

    def covered_by(self, meters: list[Meter]) -> bool:
        """Whether every node that hears a broadcast is one of these meters."""
        addresses = {path[1] for meter in meters for path in meter.paths if path[0] == self.kind}
        for port in self._network.ports():
            if port.kind != self.kind or not port.alive():
                continue
            if not port.nodes() <= addresses:
                return False
            if not port.modem.capabilities.joins:  # who never spoke may listen all the same
                for serial in self._inventory.serials():
                    meter = self._inventory.meter(serial)
                    paths = [] if meter is None else meter.paths
                    if [
                        path for path in paths if path[0] == self.kind and path[1] not in addresses
                    ]:
                        return False
        return True

    def room(self) -> int:
        """The largest image block that a broadcast carries now."""
        return max(self._network.broadcast_mtu(self.kind) - BLOCK_OVERHEAD - PROTECTION, 0)

    def up(self) -> bool:
        """Whether a modem of the kind works, and its nodes have had time to register."""
        return any(
            port.alive() and port.settled()
            for port in self._network.ports()
            if port.kind == self.kind
        )

    async def broadcast(self, method: int, data: bytes) -> None:
        """A method of the image transfer object, invoked in every meter that hears it. OSError or
        ModemError of the modem; OSError too when the flash has no more counters."""
        try:
            apdu = self._sender.action(CLASS, NAME, method, data)
        except CounterError as error:
            raise OSError(str(error))
        await self._network.broadcast(self.kind, apdu, CLIENT, SERVER)

    async def talk(
        self, meter: Meter, work: Callable[[Client], Awaitable[T]], between: Callable[[], None]
    ) -> T:
        """What work(client) returns. Unreached, or the DlmsError that the meter is at fault for.
        between() is called before each frame; what it raises ends the conversation."""
        path = self._path(meter)
        if path is None:
            raise Unreached(False, "%s: not registered" % self.kind)
        try:
            keys = self._inventory.keys(meter.serial)
        except InventoryError as error:
            raise SecurityFailed(str(error))
        own = Keys(self._system_title, keys.ek, keys.ak, keys.suite)
        link = None
        try:
            link = await self._network.open(meter.as_client(CLIENT), path)
            link.progress = between
            client = Client(
                link,
                self.clock,
                self._crypto,
                Association(CLIENT, SERVER, keys=own),
                lambda: self._next(meter.serial),
                self._patience[0],
                self._patience[1],
            )
            received = self._received.get(meter.serial, -1)
            client.assume(meter.title, CONFORMANCE, link.max_apdu, received)
            try:
                found = await self._work(client, meter, work)
            finally:
                self._received[meter.serial] = client.received
            percent = min(100 * link.heard // max(link.sent, 1), 100)
            self._network.record(meter, path, True, percent, link.hops)
            return found
        except NoAnswer as error:
            heard = link is not None and link.heard > 0
            self._network.record(meter, path, heard, 0)
            raise Unreached(True, str(error), heard)
        except CounterError as error:
            raise SecurityFailed(str(error))
        except (ModemError, OSError, asyncio.TimeoutError) as error:
            heard = link is not None and link.heard > 0
            raise Unreached(False, str(error) or type(error).__name__, heard)
        finally:
            if link is not None:
                await link.close()

    async def _work(
        self, client: Client, meter: Meter, work: Callable[[Client], Awaitable[T]]
    ) -> T:
        """Once more where the meter wants a higher invocation counter, and says which."""
        try:
            return await work(client)
        except ServiceRefused as refused:
            if refused.counter is None:
                raise
            log.warning(WHERE, "%s wants invocation counter %d" % (meter.serial, refused.counter))
            try:
                self._counters.raise_to(meter.serial, refused.counter)
            except CounterError as error:
                raise SecurityFailed(str(error))
            return await work(client)

    def _path(self, meter: Meter) -> Path | None:
        for path in self._network.usable(meter):
            if path[0] == self.kind:
                return path
        return None

    def _next(self, serial: str) -> int:
        try:
            return self._counters.next(serial)
        except OSError as error:
            raise CounterError("%s: cannot store its invocation counter: %s" % (serial, error))

    def _next_broadcast(self) -> int:
        return self._next(BROADCAST)
