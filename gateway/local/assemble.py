"""Local access put together from what the gateway has."""

from __future__ import annotations

from gateway.dlms.protection.keyring import Keys
from gateway.local.access import LocalAccess
from gateway.local.meters import Meters
from gateway.local.objects import Objects
from gateway.local.server import LocalServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.local.access import LocalPort
    from gateway.local.objects import About
    from gateway.meters.counters import Counters
    from gateway.meters.inventory import Inventory
    from gateway.meters.network import Network
    from gateway.settings import LocalSettings, Settings
    from hal.ports import Clock, Crypto

# Its own invocation counters stand among the meters', under what is no meter's serial.
COUNTER = " local"


def local_access(
    settings: Settings,
    local: LocalSettings,
    port: LocalPort,
    network: Network,
    inventory: Inventory,
    counters: Counters,
    about: About,
    clock: Clock,
    crypto: Crypto,
    note: Callable[[str, list[Any]], None],
) -> LocalAccess:
    """note(kind, details) puts a record into the audit trail; it never raises."""
    half = len(port.key) // 2
    keys = Keys(settings.system_title, port.key[:half], port.key[half:])
    objects = Objects(settings.concentrator, about, clock)
    server = LocalServer(objects, keys, crypto, clock, lambda: counters.next(COUNTER), note)
    timeouts_ms = {kind: path.timeout_ms for kind, path in settings.paths.items()}
    meters = Meters(network, inventory, clock, timeouts_ms, note)
    fastest = local.baud if local.mode_e else 0
    return LocalAccess(port.open_port, clock, server, meters, settings.concentrator, fastest)
