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

    from gateway.kept_clock import KeptClock
    from gateway.local.access import LocalPort
    from gateway.local.objects import Status, Times
    from gateway.meters.reach import Reach
    from gateway.settings import Settings

# Its own invocation counters stand among the meters', under what is no meter's serial.
COUNTER = " local"


def local_access(
    settings: Settings,
    port: LocalPort,
    reach: Reach,
    status: Status,
    note: Callable[[str, list[Any]], None],
    clock: KeptClock,
    times: Times,
) -> LocalAccess:
    """note(kind, details) puts a record into the audit trail; it never raises."""
    assert settings.local is not None
    half = len(port.key) // 2
    keys = Keys(settings.system_title, port.key[:half], port.key[half:])

    def next_counter() -> int:
        reach.counters.begin_at(COUNTER, keys.ek, 0)
        return reach.counters.next(COUNTER)

    server = LocalServer(
        Objects(settings.concentrator, status, clock, times),
        keys,
        reach.crypto,
        reach.clock,
        next_counter,
        note,
    )
    meters = Meters(reach, note)
    fastest = settings.local.baud if settings.local.mode_e else 0
    return LocalAccess(port.open_port, reach.clock, server, meters, settings.concentrator, fastest)
