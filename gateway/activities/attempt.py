"""One attempt at one execution: over the meter's paths in turn, until one of them gives a result.

The next path is taken only when the meter did not answer, or stopped answering, on the one before;
whatever the meter itself says is the result. What is left of the attempt's time is shared equally
by the paths not tried yet, so that a path that hardly works does not take it all. When no path
reaches the meter, what is due is done to get it back, so that the next attempt finds it. Every
error ends in a Result with its reason, so nothing a meter does comes out of here as an exception.
"""

from __future__ import annotations

from gateway.activities import activity
from gateway.activities.readable import one_line
from gateway.activities.verdict import explained
from gateway.contract.kinds import BY_NUMBER
from gateway.contract.result import KO, Result
from gateway.dlms.errors import DlmsError
from gateway.meters.counters import CounterError
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError
from gateway.meters.reach import Unreached
from gateway.meters.way import Way
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.activities.activity import Activity
    from gateway.contract.model import Model
    from gateway.meters.access import Access
    from gateway.meters.inventory import Meter, Path
    from gateway.meters.reach import Heartbeat, Reach

WHERE = "attempt"
SLOT_SHARE = 4  # of an attempt's time, at most a quarter is waited for a slot of a modem


class _Errand:
    """What is to be done on the meter, within `limit_ms` over all its paths. `heartbeat`: called
    with every APDU that goes out."""

    def __init__(
        self, activity: Activity, order: Any, limit_ms: int, heartbeat: Heartbeat | None
    ) -> None:
        self.activity = activity
        self.order = order
        self.limit_ms = limit_ms
        self.heartbeat = heartbeat


class Attempts:
    """Attempts on the meters in reach; any number may run side by side, one for each meter.

    `attempt_ms`: how long one attempt may take over all paths, times the patience of the job's
    kind.
    """

    def __init__(self, reach: Reach, attempt_ms: int = 900000) -> None:
        self._reach = reach
        self._network = reach.network
        self._clock = reach.clock
        self._attempt_ms = attempt_ms

    async def run(
        self, serial: str, kind: int, order: Any, heartbeat: Heartbeat | None = None
    ) -> tuple[Result, str]:
        """Result, and the kind of the path it came over ("" when the meter never answered).
        `heartbeat()` is called with every APDU that goes out."""
        row = BY_NUMBER.get(kind)
        meter = self._reach.inventory.meter(serial)
        if row is None:
            return Result(KO, "unknown-kind", "kind %d" % kind), ""
        if meter is None:
            return Result(KO, "unknown-meter"), ""
        if not meter.paths:
            return Result(KO, "not-commissioned"), ""
        try:
            access = self._reach.access(meter)
            limit_ms = self._attempt_ms * row.patience
            errand = _Errand(activity.of(row), order, limit_ms, heartbeat)
            return await self._over_paths(meter, access, errand)
        except ModelError as error:
            return Result(KO, error.reason, one_line(str(error))), ""
        except InventoryError as error:
            return Result(KO, "no-keys", one_line(str(error))), ""
        except CounterError as error:
            log.error(WHERE, str(error))
            return Result(KO, "gateway-error", one_line(str(error))), ""
        except Exception as error:  # a fault of ours must cost one attempt, not the gateway
            log.error(WHERE, "%s: %s: %s" % (serial, type(error).__name__, error))
            return Result(KO, "gateway-error", type(error).__name__), ""

    async def _over_paths(
        self, meter: Meter, access: Access, errand: _Errand
    ) -> tuple[Result, str]:
        deadline = self._clock.ticks_ms() + errand.limit_ms
        failures = []
        told: list[str] = []  # reasons, of each path tried
        answered_over = ""
        tried: list[Path] = []
        while True:
            # Asked anew each time: a modem may have gone meanwhile.
            paths = [path for path in self._network.usable(meter) if path not in tried]
            if not paths:
                break
            left_ms = deadline - self._clock.ticks_ms()
            if left_ms < len(paths):
                failures.append("%s: no time left" % paths[0][0])
                break
            path = paths[0]
            if tried:
                self._network.failed_over(path)
            tried.append(path)
            way = Way(self._reach, meter, path, access)
            over = self._over(way, meter.serial, access.model, errand)
            try:
                result = await self._reach.in_time(over, left_ms // len(paths), "result")
            except Unreached as unreached:
                way.record(unreached)
                if way.answered:
                    answered_over = path[0]
                told.append(unreached.reason)
                failures.append("%s: %s" % (path[0], unreached))
                continue
            way.record()
            return result, path[0]
        result = await self._unreached(meter, tried, failures, told, answered_over)
        return result, answered_over

    async def _over(self, way: Way, serial: str, model: Model, errand: _Errand) -> Result:
        """The result over one path, or Unreached."""
        try:
            return await way.associated(
                lambda client: errand.activity(client, serial, errand.order, model),
                self._attempt_ms // SLOT_SHARE,
                errand.heartbeat,
            )
        except DlmsError as error:
            return explained(error, way.answered)

    async def _unreached(
        self,
        meter: Meter,
        tried: list[Path],
        failures: list[str],
        told: list[str],
        answered_over: str,
    ) -> Result:
        """The KO when no path gave a result; what is due to get the meter back has been done."""
        obstacles = [(path, self._network.obstacle(path)) for path in meter.paths]
        for path, obstacle in obstacles:
            if path not in tried and obstacle:
                failures.append("%s: %s" % (path[0], obstacle))
        reason = "no-answer"
        if answered_over:
            reason = "link-lost"
        elif all(obstacle in ("no modem", "modem gone") for _, obstacle in obstacles):
            reason = "modem-gone"
        elif len(told) == len(meter.paths) and "" not in told:
            # On all paths it is the network that says no: there is nothing to be got back. A wrong
            # address is the end only where it is all there is.
            reason = ([each for each in told if each != "bad-address"] or told)[0]
        else:
            done = await self._network.recover(meter)
            if done:
                failures.append("recovery: " + done)
        return Result(KO, reason, one_line("; ".join(failures)))
