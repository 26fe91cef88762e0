"""Speaking as the fleet's pre-established client: to one meter without an association first, to all
at once by broadcast. What a transfer to many meters (campaign.py) stands on.

An answer is authentic under the meter's own keys, so it is that meter's: its logical device name
need not be asked for.
"""

from __future__ import annotations

from gateway.activities.image.image_object import BLOCK_OVERHEAD, CLASS
from gateway.activities.image.placed import placed
from gateway.contract.own_model import OWN_MODEL
from gateway.dlms.client.broadcast import CLIENT, Broadcast
from gateway.dlms.errors import SecurityFailed
from gateway.dlms.protection.keyring import Keys
from gateway.meters.counters import CounterError, NotStored
from gateway.meters.inventory import BROADCAST
from gateway.meters.reach import Unreached
from gateway.meters.way import SERVER, Way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from gateway.contract.model import Model
    from gateway.dlms.client.client import Client
    from gateway.meters.inventory import Meter, Path
    from gateway.meters.reach import Heartbeat, Reach

    T = TypeVar("T")

PROTECTION = 24  # what ciphering adds to a broadcast


class Fleet:
    """The meters of a model in reach over one kind of path. `ciphered`: broadcasts go under the
    fleet's key, else in clear. `heartbeat()` is called with each APDU to one meter.

    InventoryError when there is no such key.
    """

    def __init__(
        self,
        reach: Reach,
        kind: str,
        ciphered: bool,
        heartbeat: Heartbeat,
        model: Model = OWN_MODEL,
    ) -> None:
        self.model = model
        self.clock = reach.clock
        self.kind = kind
        self._reach = reach
        self._network = reach.network
        self._inventory = reach.inventory
        self._heartbeat = heartbeat
        # serial -> highest invocation counter received, so that no answer counts twice
        self._received: dict[str, int] = {}
        keys, key = None, b""
        if ciphered:
            found = reach.inventory.keys(BROADCAST)
            keys = Keys(reach.system_title, found.ek, found.ak, found.suite, broadcast=found.ek)
            key = found.ek
        self._sender = Broadcast(reach.crypto, keys, lambda: reach.next_counter(BROADCAST, key))

    def reaches(self, meter: Meter) -> bool:
        """Whether this is the meter's best way now, and it serves this client as the others do."""
        if meter.model != self.model.name:
            return False
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
        ModemError of the modem; NotStored when the flash refuses, OSError too when there are no
        more counters."""
        try:
            apdu = self._sender.action(CLASS, self.model.image, method, data)
        except NotStored:
            raise
        except CounterError as error:
            raise OSError(str(error))
        await self._network.broadcast(self.kind, apdu, CLIENT, SERVER)

    async def talk(
        self, meter: Meter, work: Callable[[Client], Awaitable[T]], check: Callable[[], None]
    ) -> T:
        """What work(client) returns. Unreached, or the DlmsError that the meter is at fault for;
        InventoryError, ModelError. check() is called before each frame; what it raises ends the
        conversation."""
        path = self._path(meter)
        if path is None:
            raise Unreached(False, "%s: not registered" % self.kind)
        try:
            way = Way(self._reach, meter, path, self._reach.access(meter))
            found = await way.preestablished(
                lambda client: work(placed(client, self.model.image)),
                self._received,
                self._heartbeat,
                check,
            )
        except Unreached as unreached:
            way.record(unreached)
            raise
        except CounterError as error:
            raise SecurityFailed(str(error))
        way.record()
        return found

    def _path(self, meter: Meter) -> Path | None:
        for path in self._network.usable(meter):
            if path[0] == self.kind:
                return path
        return None
