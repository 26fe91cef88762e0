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
from gateway.contract.result import HINDERED, KO, Result
from gateway.dlms.errors import DlmsError
from gateway.meters.counters import CounterError
from gateway.meters.hindrance import soonest
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError
from gateway.meters.network import NO_MODEM
from gateway.meters.reach import GivenUp, Unreached
from gateway.meters.traffic import Traffic
from gateway.meters.way import Way
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.activities.activity import Activity
    from gateway.contract.model import Model
    from gateway.dlms.client.client import Client
    from gateway.meters.access import Access
    from gateway.meters.hindrance import Hindrance
    from gateway.meters.inventory import Meter, Path
    from gateway.meters.reach import Heartbeat, Reach

WHERE = "attempt"
SLOT_SHARE = 4  # of an attempt's time, at most a quarter is waited for a slot of a modem


class _Errand:
    """What is to be done on the meter, within `limit_ms` over all its paths. `heartbeat`, `check`:
    called with every APDU that goes out; what check() raises ends the attempt."""

    def __init__(
        self,
        activity: Activity,
        order: Any,
        limit_ms: int,
        heartbeat: Heartbeat | None,
        traffic: Traffic,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.activity = activity
        self.order = order
        self.limit_ms = limit_ms
        self.heartbeat = heartbeat
        self.traffic = traffic
        self.check = check


_MISBEHAVES = "meter-protocol-error"
_NO_MORE = "it answered, and then no more (check its keys if that stays so)"


class _Course:
    """How an attempt has gone so far. `failures`: what went wrong, in words. `hindrances`: those of
    ours among it. `told`: of each path that was really tried, the reason the network gave, or "".
    `failed`: there was such a path, or one is known to lead nowhere. `heard`: the meter has said
    something, though no association came of it."""

    def __init__(self) -> None:
        self.tried: list[Path] = []
        self.failures: list[str] = []
        self.hindrances: list[Hindrance] = []
        self.told: list[str] = []
        self.failed = False
        self.heard = False
        self.answered_over = ""

    def broke_off(self, way: Way, unreached: Unreached) -> None:
        kind = way.path[0]
        if unreached.hindrance is not None:
            self.hindrances.append(unreached.hindrance)
        else:
            self.failed = True
            self.told.append(unreached.reason)
            self.heard = self.heard or unreached.heard
            if way.answered:
                self.answered_over = kind
        text = str(unreached)
        self.failures.append(text if text.startswith(kind + ": ") else "%s: %s" % (kind, text))


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
        self,
        serial: str,
        kind: int,
        order: Any,
        heartbeat: Heartbeat | None = None,
        traffic: Traffic | None = None,
    ) -> tuple[Result, str]:
        """What a job of this kind orders. Result, and the kind of the path it came over ("" when
        the meter never answered). `heartbeat()` is called with every APDU that goes out."""
        row = BY_NUMBER.get(kind)
        if row is None:
            return Result(KO, "unknown-kind", "kind %d" % kind), ""

        async def work(client: Client, serial: str, order: Any, model: Model) -> Result:
            return await activity.of(row)(client, serial, order, model)

        limit_ms = self._attempt_ms * row.patience
        return await self._attempt(
            serial, _Errand(work, order, limit_ms, heartbeat, traffic or Traffic())
        )

    async def visit(
        self,
        serial: str,
        work: Activity,
        order: Any,
        heartbeat: Heartbeat,
        traffic: Traffic,
        check: Callable[[], None],
    ) -> tuple[Result, str]:
        """As run(), of what is no job. check() may raise GivenUp, which then comes out."""
        errand = _Errand(work, order, self._attempt_ms, heartbeat, traffic, check)
        return await self._attempt(serial, errand)

    async def _attempt(self, serial: str, errand: _Errand) -> tuple[Result, str]:
        meter = self._reach.inventory.meter(serial)
        if meter is None:
            return Result(KO, "unknown-meter"), ""
        if not meter.paths:
            return Result(KO, "not-commissioned"), ""
        try:
            access = self._reach.access(meter)
            return await self._over_paths(meter, access, errand)
        except GivenUp:
            raise
        except ModelError as error:
            # A model that is not here is on its way, or to be sent: no fault of the meter's.
            outcome = HINDERED if error.reason == "unknown-model" else KO
            return Result(outcome, error.reason, one_line(str(error))), ""
        except InventoryError as error:
            return Result(KO, "no-keys", one_line(str(error))), ""
        except OSError as error:  # of the flash: errors of a path have ended the attempt on it
            log.error(WHERE, "%s: its keys or its model cannot be read: %s" % (serial, error))
            return Result(HINDERED, "flash-full", one_line(str(error))), ""
        except CounterError as error:
            log.error(WHERE, str(error))
            return Result(KO, "security-failed", one_line(str(error))), ""
        except Exception as error:  # a fault of ours must cost one attempt, not the gateway
            log.error(WHERE, "%s: %s: %s" % (serial, type(error).__name__, error))
            return Result(KO, "gateway-error", type(error).__name__), ""

    async def _over_paths(
        self, meter: Meter, access: Access, errand: _Errand
    ) -> tuple[Result, str]:
        deadline = self._clock.ticks_ms() + errand.limit_ms
        course = _Course()
        while True:
            # Asked anew each time: a modem may have gone meanwhile.
            paths = [path for path in self._network.usable(meter) if path not in course.tried]
            if not paths:
                break
            left_ms = deadline - self._clock.ticks_ms()
            if left_ms < len(paths):
                course.failures.append("%s: no time left" % paths[0][0])
                break
            path = paths[0]
            if course.tried:
                self._network.failed_over(path)
            course.tried.append(path)
            way = Way(self._reach, meter, path, access, errand.traffic.expected)
            over = self._over(way, meter.serial, access.model, errand)
            try:
                result = await self._reach.in_time(over, left_ms // len(paths), "result")
            except Unreached as unreached:
                way.record(unreached)
                course.broke_off(way, unreached)
                continue
            except GivenUp:
                if way.answered:
                    way.record()
                raise
            way.record()
            errand.traffic.sent = way.sent()
            return result, path[0]
        return await self._unreached(meter, course, errand), course.answered_over

    async def _over(self, way: Way, serial: str, model: Model, errand: _Errand) -> Result:
        """The result over one path, or Unreached."""
        try:
            return await way.associated(
                lambda client: errand.activity(client, serial, errand.order, model),
                self._attempt_ms // SLOT_SHARE,
                errand.heartbeat,
                errand.check,
            )
        except DlmsError as error:
            return explained(error, way.answered)

    async def _unreached(self, meter: Meter, course: _Course, errand: _Errand) -> Result:
        """What it means that no path gave a result; what is due to get the meter back has been
        done. Only what was really tried, and failed, is a KO of the meter."""
        for path in meter.paths:
            if path in course.tried:
                continue
            obstacle = self._network.obstacle(path)
            found = None
            if obstacle and obstacle != NO_MODEM:
                found = self._network.hindrance_of(path, errand.traffic.expected)
            if found is not None:
                course.hindrances.append(found)
            course.failed = course.failed or (found is None and obstacle != NO_MODEM)
            if obstacle:
                course.failures.append("%s: %s" % (path[0], obstacle))
        hindered = soonest(course.hindrances) if course.hindrances else None
        if hindered is not None and not course.failed:
            text = one_line("; ".join(course.failures))
            return Result(HINDERED, hindered.reason, text, None, _seconds(hindered.wait_ms))
        told = course.told
        reason = "no-answer"
        if course.answered_over:
            reason = "link-lost"
        elif not course.failed:
            reason = "modem-gone"
        elif len(told) == len(meter.paths) and "" not in told:
            # On all paths it is the network that says no: there is nothing to be got back. A wrong
            # address is the end only where it is all there is.
            reason = ([each for each in told if each != "bad-address"] or told)[0]
        elif _MISBEHAVES in told:
            reason = _MISBEHAVES
        elif course.heard:
            reason = "link-lost"
            course.failures.insert(0, _NO_MORE)
        else:
            done = await self._network.recover(meter)
            if done:
                course.failures.append("recovery: " + done)
        text = one_line("; ".join(course.failures))
        if hindered is None:
            return Result(KO, reason, text)
        return Result(KO, reason, text, None, _seconds(hindered.wait_ms), hindered.reason)


def _seconds(wait_ms: int) -> int:
    return (wait_ms + 999) // 1000
