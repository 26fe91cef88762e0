"""What this gateway tells the HES of itself: itself, its modems, its meters. See
gateway/uplink/session.py.
"""

from __future__ import annotations

import sys

from gateway.contract.messages import Meters
from gateway.contract.status import MAX_COUNTERS, MAX_MODEMS, PAGE
from gateway.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.meters.inventory import Inventory, Meter
    from gateway.meters.network import Network


class Status:
    def __init__(self, inventory: Inventory, network: Network) -> None:
        self._inventory = inventory
        self._network = network
        self.firmware = VERSION
        version = ".".join([str(part) for part in sys.implementation.version[:3]])
        self.runtime = "%s %s" % (sys.implementation.name, version)

    def meters_known(self) -> int:
        return len(self._inventory)

    def meters_reachable(self) -> int:
        count = 0
        for serial in self._inventory.serials():
            meter = self._inventory.meter(serial)
            if meter is not None:
                count += self._network.reachable([meter])
        return count

    def knows(self, serial: str) -> bool:
        return self._inventory.known(serial)

    def modems(self) -> list[list[Any]]:
        """[kind, up, nodes, counters that are not 0] of each."""
        rows: list[list[Any]] = []
        for kind, counts in self._network.statistics()[:MAX_MODEMS]:
            up, nodes = counts.pop("alive") == 1, counts.pop("nodes")
            names = sorted([name for name in counts if counts[name] > 0])
            rows.append([kind, up, nodes, {name: counts[name] for name in names[:MAX_COUNTERS]}])
        return rows

    def meters(self, after: str) -> Meters:
        """The page of meters whose serials come after this one."""
        serials = [serial for serial in self._inventory.serials() if serial > after]
        rows: list[list[Any]] = []
        for serial in serials[:PAGE]:
            meter = self._inventory.meter(serial)
            if meter is not None:
                rows.append([serial, self._ways(meter)])
        return Meters(after, len(serials) > PAGE, rows)

    def _ways(self, meter: Meter) -> list[list[Any]]:
        ways = []
        for path in meter.paths:
            known = self._network.reachability.state(meter, path)
            ways.append(
                [
                    path[0],
                    known.state,
                    known.since,
                    known.before,
                    known.heard,
                    known.rate,
                    known.silent,
                    known.changes,
                    known.registered,
                ]
            )
        return ways

    def summary(self) -> str:
        """A line for people."""
        modems = [
            "%s %s" % (kind, "up" if counts["alive"] else "down")
            for kind, counts in self._network.statistics()
        ]
        return "firmware %s, %d meters, %s" % (
            VERSION,
            self.meters_known(),
            ", ".join(modems) or "no modem",
        )
