"""The inventory, changed by the HES: who takes these bodies of a Change."""

from __future__ import annotations

from gateway.contract.meter_change import MetersPut, MetersRemoved
from gateway.contract.refused import Refused
from gateway.meters.line_fields import InventoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.meters.inventory import Inventory
    from gateway.uplink.changes import Takers


def takers(inventory: Inventory) -> Takers:
    def put(body: MetersPut) -> str:
        try:
            new = inventory.put(body.meters)
        except InventoryError as error:
            raise Refused("malformed", "meters: %s" % error)
        return "%d meters put, %d of them new" % (len(body.meters), new)

    def remove(body: MetersRemoved) -> str:
        return "%d meters removed" % inventory.remove(body.serials)

    return [(MetersPut, put), (MetersRemoved, remove)]
