"""The gateway, put together: the one place where the rooms meet.

A board makes the ports and calls `Gateway(settings, ports).run()`. Five kinds of task run side by
side: the network that sorts the modems' frames, the upkeep of what is known of the meters, the
session with the HES, the workers that take one execution after the other from the queue, and the
clockwork that closes windows. If one of them ends by a fault of ours, run() raises: whoever started
the gateway starts it again, and the ledger knows how far it had got. If one of them gets stuck, the
watchdog is fed no more, which comes to the same.
"""

from __future__ import annotations

import asyncio

from gateway.about import FIRMWARE, About
from gateway.activities.attempt import Attempts
from gateway.activities.image import Order as ImageOrder
from gateway.audit import Audit
from gateway.jobs.forecast import Durations
from gateway.jobs.job import IMAGE
from gateway.jobs.ledger import Ledger, LedgerError
from gateway.jobs.queue import Queue
from gateway.jobs.result import KO, Result
from gateway.local.assemble import local_access
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.meters.keys import Vault
from gateway.meters.links import Network
from gateway.meters.reachability import Reachability
from gateway.meters.strangers import Strangers
from gateway.meters.survey import Survey
from gateway.meters.upkeep import Upkeep
from gateway.uplink.refused import Refused
from gateway.uplink.session import Session
from gateway.vital import Vital
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gateway.jobs.queue import Execution
    from gateway.local.access import LocalPort
    from gateway.meters.inventory import Meter
    from gateway.settings import Settings
    from hal.ports import Clock, Crypto, Modem, Storage, Uplink, Watchdog

WHERE = "gateway"

FULL_MS = 250  # how often a worker looks while all slots of all modems are taken
LOOK_MS = 1000  # how often a worker without work looks whether a modem has room or has come back
WINDOW_MS = 1000  # how often windows are checked
STORAGE_PAUSE_MS = 5000  # after the flash refused a record

# Vital tasks may go so long without a sign of progress; a worker for an attempt on top. The longest
# the session waits for is the broker's word on a large message over a slow line.
STUCK_MS = 300000
SESSION_STUCK_MS = 1800000


class Ports:
    """What a board provides. modems: [(Modem, how many meters are served over it at once)].
    board_key: 16 or 32 bytes, wraps the meters' keys. watchdog, local: None where there is none.
    """

    __slots__ = (
        "board_key",
        "clock",
        "crypto",
        "local",
        "modems",
        "storage",
        "uplink",
        "watchdog",
    )

    def __init__(
        self,
        clock: Clock,
        storage: Storage,
        crypto: Crypto,
        uplink: Uplink,
        modems: list[tuple[Modem, int]],
        board_key: bytes,
        watchdog: Watchdog | None = None,
        local: LocalPort | None = None,
    ) -> None:
        self.board_key = board_key
        self.clock = clock
        self.storage = storage
        self.crypto = crypto
        self.uplink = uplink
        self.modems = modems
        self.watchdog = watchdog
        self.local = local


class Gateway:
    """Reads ledger, inventory and counters from the storage; OSError when that fails."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._clock = ports.clock
        self._workers = settings.workers
        self._attempt_ms = settings.attempt_s * 1000
        self._inventory = Inventory(ports.storage, Vault(ports.crypto, ports.board_key))
        for problem in self._inventory.problems:
            log.warning(WHERE, problem)
        trail = Audit(ports.storage, ports.clock, settings.storage.audit_bytes)
        self._ledger = Ledger(
            ports.storage, ports.clock, ports.crypto.random, settings.storage, trail
        )
        self._ledger.note_if_possible("start", [FIRMWARE])
        reachability = Reachability(ports.clock, ports.storage)
        self._network = Network(ports.clock, reachability, ports.crypto.random, self._tell)
        for modem, meters_at_once in ports.modems:
            self._network.add(modem, meters_at_once)
        strangers = Strangers(ports.clock, ports.storage, self._tell)
        survey = Survey(self._network, self._inventory, strangers, ports.clock)
        self._upkeep = Upkeep(survey, reachability, ports.clock)
        self._queue = Queue(
            self._ledger,
            ports.clock,
            ports.crypto.random,
            durations=Durations(ports.clock, ports.storage),
        )
        counters = Counters(ports.storage)
        self._attempts = Attempts(
            self._network,
            self._inventory,
            counters,
            ports.clock,
            ports.crypto,
            settings.system_title,
            {kind: (path.timeout_ms, path.tries) for kind, path in settings.paths.items()},
            settings.attempt_s * 1000,
        )
        about = About(self._inventory, self._network)
        self._local = None
        if settings.local is not None and ports.local is not None:
            self._local = local_access(
                settings,
                settings.local,
                ports.local,
                self._network,
                self._inventory,
                counters,
                about,
                ports.clock,
                ports.crypto,
                self._ledger.note_if_possible,
            )
        self._vital = Vital(ports.clock, ports.watchdog, about.status)
        self._session = Session(
            ports.uplink,
            ports.clock,
            ports.crypto,
            ports.storage,
            self._ledger,
            self._queue,
            settings.concentrator,
            settings.signers,
            about,
            self._inventory,
            trail,
            self._vital.task("session", SESSION_STUCK_MS),
        )
        log.info(
            WHERE,
            "%s, firmware %s on %s, %d meters, %d jobs"
            % (
                settings.concentrator,
                FIRMWARE,
                about.runtime,
                len(self._inventory),
                len(self._ledger.jobs()),
            ),
        )

    async def run(self) -> None:
        """Until cancelled, then says goodbye to the HES. Raises what a task died of."""
        vital = self._vital
        tasks = Group()
        tasks.start(self._network.run(vital.task("network", STUCK_MS)))
        tasks.start(self._upkeep.run(vital.task("upkeep", STUCK_MS)))
        tasks.start(self._session.run())
        if self._local is not None:
            tasks.start(self._local.run())
        tasks.start(self._watch_windows(vital.task("windows", STUCK_MS)))
        for number in range(self._workers):
            progress = vital.task("worker %d" % number, self._attempt_ms + STUCK_MS)
            tasks.start(self._work(progress))
        tasks.start(vital.run())
        try:
            await tasks.wait()
        finally:
            self._upkeep.save()
            await self._session.farewell()

    def _tell(self, name: str, detail: str) -> None:
        """A report of something that happened here."""
        try:
            self._ledger.event(name, detail)
        except OSError as error:
            log.error(WHERE, "storage: no report of %s: %s" % (name, error))

    async def _work(self, progress: Callable[[], None]) -> None:
        claimed: list[Meter] = []

        def claim(serial: str) -> bool:
            """Whether a worker may begin with this meter now. An unknown one ends at once: yes."""
            meter = self._inventory.meter(serial)
            if meter is None:
                return True
            if not self._network.claim(meter):
                return False
            claimed.append(meter)
            return True

        while True:
            progress()
            while claimed:
                self._network.release(claimed.pop())
            if self._network.full():
                await self._clock.sleep_ms(FULL_MS)
                continue
            try:
                execution = await self._queue.begin(claim)
            except OSError as error:
                log.error(WHERE, "storage: cannot begin an attempt: %s" % error)
                await self._clock.sleep_ms(STORAGE_PAUSE_MS)
                continue
            if execution is None:
                try:
                    limit = min(self._queue.next_due_ms(), LOOK_MS)
                    await self._clock.wait_for_ms(self._queue.changed(), limit)
                except asyncio.TimeoutError:
                    pass
                continue
            began = self._clock.ticks_ms()
            result, path = await self._attempt(execution)
            duration_ms = self._clock.ticks_ms() - began
            await self._done(execution, result, path, duration_ms, progress)

    async def _attempt(self, execution: Execution) -> tuple[Result, str]:
        job = execution.job
        log.info(WHERE, "%s: attempt %d" % (execution.serial, execution.attempt))
        try:
            order = self._order(execution)
        except Refused as refused:
            return Result(KO, refused.reason, refused.detail), ""
        except OSError as error:
            return Result(KO, "package-unavailable", "storage: %s" % error), ""
        result, path = await self._attempts.run(execution.serial, job.kind, order)
        log.info(WHERE, "%s: %s %s %s" % (execution.serial, result.outcome, result.reason, path))
        return result, path

    def _order(self, execution: Execution) -> Any:
        """What the activity is to do. Refused, OSError."""
        job = execution.job
        if job.package is None:
            return job.objects
        if job.kind == IMAGE:
            image = self._session.files.image(job.package.digest)
            return ImageOrder(image, job.activation, execution.again, self._clock)
        return self._session.files.package(job.package.digest)

    async def _done(
        self,
        execution: Execution,
        result: Result,
        path: str,
        duration_ms: int,
        progress: Callable[[], None],
    ) -> None:
        """Into the ledger, however long the flash refuses: what happened on a meter is not
        forgotten.
        """
        while True:
            progress()
            try:
                await self._queue.finish(execution, result, path, duration_ms)
                return
            except OSError as error:
                log.error(WHERE, "storage: cannot record a result: %s" % error)
                await self._clock.sleep_ms(STORAGE_PAUSE_MS)
            except LedgerError as error:
                # Recovery from the refused record has put the execution back into the queue: the
                # next attempt finds the meter as this one left it.
                log.error(WHERE, "ledger: %s" % error)
                return

    async def _watch_windows(self, progress: Callable[[], None]) -> None:
        while True:
            progress()
            try:
                self._queue.expire()
            except OSError as error:
                log.error(WHERE, "storage: cannot close a window: %s" % error)
            await self._clock.sleep_ms(WINDOW_MS)
