"""One attempt at one execution: over the meter's paths in turn, until one of them gives a result.

The next path is taken only when the meter did not answer, or stopped answering, on the one before;
whatever the meter itself says is the result. What is left of the attempt's time is shared equally
by the paths not tried yet, so that a path that hardly works does not take it all. When no path
reaches the meter, what is due is done to get it back, so that the next attempt finds it. Every
error ends in a Result with its reason, so nothing a meter does comes out of here as an exception.
"""

from __future__ import annotations

import asyncio

from gateway.activities import configure, read
from gateway.activities.image import transfer
from gateway.activities.readable import one_line
from gateway.activities.verdict import explained
from gateway.contract.job import COMPARE, CONFIGURE, IMAGE, READ
from gateway.contract.result import KO, Result
from gateway.dlms.client.client import HIGH_GMAC, Association, Client
from gateway.dlms.errors import (
    AssociationRefused,
    DlmsError,
    NoAnswer,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security_setup import invocation_counter
from gateway.meters.counters import CounterError
from gateway.meters.inventory import InventoryError
from hal.ports import ModemError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from gateway.meters.counters import Counters
    from gateway.meters.inventory import Inventory, Meter
    from gateway.meters.link import Link
    from gateway.meters.network import Network
    from hal.ports import Clock, Crypto

    T = TypeVar("T")
    Path = tuple[str, str]
    Activity = Callable[[Client, str, Any], Awaitable[Result]]

WHERE = "attempt"
# An association has four times as long as one request: two exchanges, and both again when the meter
# wants another invocation counter.
ASSOCIATION_REQUESTS = 4
# An image has so many times the time of other orders: hundreds of kilobytes over a few kbit/s.
IMAGE_TIMES = 8
SLOT_SHARE = 4  # of an attempt's time, at most a quarter is waited for a slot of a modem
PUBLIC_CLIENT = 16  # SAP that may read the invocation counter, without authentication

# job kind: the activity, called with an associated client, the serial, and what the job orders
ACTIVITIES: dict[int, Activity] = {
    CONFIGURE: configure.run,  # order: the decoded package
    READ: read.run,  # order: [(class_id, obis, attribute)]
    IMAGE: transfer.run,  # order: transfer.Order
    COMPARE: configure.compare,  # order: the decoded package
}


class _PathFailed(Exception):
    """No result over this path. `silent`: it was the meter that did not answer, and not the modem
    that failed."""

    def __init__(self, silent: bool, text: str) -> None:
        super().__init__(text)
        self.silent = silent


class _Errand:
    """What is to be done on the meter, within `limit_ms` over all its paths. `progress`: told with
    every APDU that goes out."""

    def __init__(
        self, activity: Activity, order: Any, limit_ms: int, progress: Callable[[], None] | None
    ) -> None:
        self.activity = activity
        self.order = order
        self.limit_ms = limit_ms
        self.progress = progress


class _Course:
    """How it goes over one path, all conversations together."""

    def __init__(self) -> None:
        self.opened = False  # there was a slot for it
        self.answered = False  # the meter has answered, as one that knows its keys
        self.counter = 0  # the invocation counter given out last
        self.sent = 0  # APDUs
        self.heard = 0
        self.hops = 0

    def end(self, link: Link) -> None:
        self.sent += link.sent
        self.heard += link.heard
        self.hops = link.hops or self.hops

    def percent(self) -> int:
        """Of what was sent, how much was answered."""
        return min(100 * self.heard // max(self.sent, 1), 100)


class Attempts:
    """Attempts over a network; any number may run side by side, one for each meter.

    `system_title`: the client's own, 8 bytes. `patience`: for each kind of path the timeout of one
    DLMS request in ms, and how often it is sent in all. `attempt_ms`: how long one attempt may
    take over all paths, IMAGE_TIMES as long for an image.
    """

    def __init__(
        self,
        network: Network,
        inventory: Inventory,
        counters: Counters,
        clock: Clock,
        crypto: Crypto,
        system_title: bytes,
        patience: dict[str, tuple[int, int]],
        attempt_ms: int = 900000,
    ) -> None:
        self._network = network
        self._inventory = inventory
        self._counters = counters
        self._clock = clock
        self._crypto = crypto
        self._system_title = system_title
        self._patience = patience
        self._attempt_ms = attempt_ms

    async def run(
        self,
        serial: str,
        kind: int,
        order: Any,
        progress: Callable[[], None] | None = None,
    ) -> tuple[Result, str]:
        """Result, and the kind of the path it came over ("" when the meter never answered).
        `progress()` is called with every APDU that goes out."""
        activity = ACTIVITIES.get(kind)
        meter = self._inventory.meter(serial)
        if activity is None:
            return Result(KO, "unknown-kind", "kind %d" % kind), ""
        if meter is None:
            return Result(KO, "unknown-meter"), ""
        if not meter.paths:
            return Result(KO, "not-commissioned"), ""
        try:
            found = self._inventory.keys(serial)
            keys = Keys(self._system_title, found.ek, found.ak, found.suite)
            limit_ms = self._attempt_ms * (IMAGE_TIMES if kind == IMAGE else 1)
            errand = _Errand(activity, order, limit_ms, progress)
            return await self._over_paths(meter, keys, errand)
        except InventoryError as error:
            return Result(KO, "association-refused", one_line(str(error))), ""
        except CounterError as error:
            log.error(WHERE, str(error))
            return Result(KO, "gateway-error", one_line(str(error))), ""
        except Exception as error:  # a fault of ours must cost one attempt, not the gateway
            log.error(WHERE, "%s: %s: %s" % (serial, type(error).__name__, error))
            return Result(KO, "gateway-error", type(error).__name__), ""

    async def _over_paths(self, meter: Meter, keys: Keys, errand: _Errand) -> tuple[Result, str]:
        deadline = self._clock.ticks_ms() + errand.limit_ms
        failures = []
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
            course = _Course()
            try:
                result = await self._in_time(
                    self._over(meter, path, keys, errand, course),
                    left_ms // len(paths),
                    "result",
                )
            except _PathFailed as failed:
                if course.answered:
                    answered_over = path[0]
                    percent = course.percent() // 2 if failed.silent else course.percent()
                    self._network.record(meter, path, True, percent, course.hops)
                elif course.opened and failed.silent:
                    self._network.record(meter, path, False)
                failures.append("%s: %s" % (path[0], failed))
                continue
            self._network.record(meter, path, True, course.percent(), course.hops)
            return result, path[0]
        obstacles = [(path, self._network.obstacle(path)) for path in meter.paths]
        for path, obstacle in obstacles:
            if path not in tried and obstacle:
                failures.append("%s: %s" % (path[0], obstacle))
        reason = "no-answer"
        if answered_over:
            reason = "link-lost"
        elif all(obstacle in ("no modem", "modem gone") for _, obstacle in obstacles):
            reason = "modem-gone"
        else:
            done = await self._network.recover(meter)
            if done:
                failures.append("recovery: " + done)
        return Result(KO, reason, one_line("; ".join(failures))), answered_over

    async def _in_time(self, work: Awaitable[T], limit_ms: int, what: str) -> T:
        try:
            return await self._clock.wait_for_ms(work, limit_ms)
        except asyncio.TimeoutError:
            raise _PathFailed(True, "no %s within %d s" % (what, (limit_ms + 999) // 1000))

    async def _over(
        self, meter: Meter, path: Path, keys: Keys, errand: _Errand, course: _Course
    ) -> Result:
        """The result over one path, or _PathFailed."""
        result, error = await self._conversation(meter, path, keys, errand, course)
        if error is None or not _may_be_the_counter(error):
            return result
        if await self._learn_counter(meter, path, course.counter):
            result, _ = await self._conversation(meter, path, keys, errand, course)
        return result

    async def _conversation(
        self, meter: Meter, path: Path, keys: Keys, errand: _Errand, course: _Course
    ) -> tuple[Result, DlmsError | None]:
        """The result, and the error it comes from when there was no association."""
        course.answered = False
        refusal: DlmsError | None = None

        def next_counter() -> int:
            course.counter = self._next_counter(meter.serial)
            return course.counter

        try:
            link = await self._in_time(
                self._network.open(meter, path), self._attempt_ms // SLOT_SHARE, "slot"
            )
            course.opened = True
            link.progress = errand.progress
            try:
                timeout_ms, tries = self._patience[path[0]]
                association = Association(
                    meter.client_sap, meter.server_sap, HIGH_GMAC, b"", keys, 0
                )
                client = Client(
                    link,
                    self._clock,
                    self._crypto,
                    association,
                    next_counter,
                    timeout_ms,
                    tries,
                )
                try:
                    await self._in_time(
                        self._associate(client, meter.serial),
                        ASSOCIATION_REQUESTS * timeout_ms * tries,
                        "association",
                    )
                    course.answered = True
                    result = await errand.activity(client, meter.serial, errand.order)
                except NoAnswer:
                    raise
                except DlmsError as error:
                    result = explained(error, course.answered)
                    if not course.answered:
                        refusal = error
                if course.answered:
                    await client.release()
                return result, refusal
            finally:
                course.end(link)
                await link.close()
        except (NoAnswer, ModemError, OSError, asyncio.TimeoutError) as error:
            silent = isinstance(error, (NoAnswer, asyncio.TimeoutError))
            raise _PathFailed(silent, str(error) or type(error).__name__)

    async def _associate(self, client: Client, serial: str) -> None:
        """Associate; when the meter wants a higher invocation counter, once more with that."""
        try:
            await client.associate()
        except ServiceRefused as refused:
            if refused.counter is None:
                raise
            log.warning(WHERE, "%s wants invocation counter %d" % (serial, refused.counter))
            try:
                self._counters.raise_to(serial, refused.counter)
            except CounterError as error:
                raise SecurityFailed(str(error))
            await client.associate()

    async def _learn_counter(self, meter: Meter, path: Path, used: int) -> bool:
        """Ask a meter that does not say why it refuses for its invocation counter, as the public
        client; True when it is not below the one we used, and ours has been raised above it."""
        timeout_ms, tries = self._patience[path[0]]
        anybody = meter.as_client(PUBLIC_CLIENT)
        try:
            link = await self._network.open(anybody, path)
            try:
                association = Association(PUBLIC_CLIENT, meter.server_sap)
                client = Client(
                    link, self._clock, self._crypto, association, int, timeout_ms, tries
                )
                await client.associate()
                counter = await invocation_counter(client)
                await client.release()
            finally:
                await link.close()
            if counter < used:
                return False
            log.warning(WHERE, "%s has counted to %d, we used %d" % (meter.serial, counter, used))
            self._counters.raise_to(meter.serial, counter + 1)
        except (DlmsError, CounterError, ModemError, OSError, asyncio.TimeoutError) as error:
            log.warning(WHERE, "%s: its counter is not to be had: %s" % (meter.serial, error))
            return False
        return True

    def _next_counter(self, serial: str) -> int:
        try:
            return self._counters.next(serial)
        except OSError as error:
            # Not to be taken for an error of the path.
            raise CounterError("%s: cannot store its invocation counter: %s" % (serial, error))


def _may_be_the_counter(error: DlmsError) -> bool:
    """A meter that finds our counter too low may say so without telling its own, or just refuse."""
    if isinstance(error, ServiceRefused):
        return error.counter is None and error.service == "invocation-counter-error"
    return isinstance(error, AssociationRefused) and error.diagnostic == "authentication-failure"
