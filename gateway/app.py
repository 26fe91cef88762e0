"""The gateway, put together: the one place where the rooms meet.

A board makes the ports and calls `Gateway(settings, ports).run()`. Six kinds of task run side by
side: the network that sorts the modems' frames, the hearing of what meters send unasked, the upkeep
of what is known of the meters, the session with the HES, the workers that take one execution after
the other from the queue, and the clockwork that closes windows. If one of them ends by a fault of
ours, run() raises: whoever started the gateway starts it again, and the ledger knows how far it had
got. If one of them gets stuck, the watchdog is fed no more, which comes to the same.
"""

from __future__ import annotations

from gateway.alarms.hearing import Hearing
from gateway.alarms.outages import Outages
from gateway.alarms.telling import Telling
from gateway.alarms.told import Told
from gateway.audit import Audit
from gateway.contract import trust_change
from gateway.contract.identity import shown
from gateway.contract.meter_keys import Vault
from gateway.contract.model_name import OWN
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.restart import Restart
from gateway.contract.task import ON_DEMAND, WITH_WINDOW, Task, TaskRemoved
from gateway.contract.zone import Zone
from gateway.folder import COUNTERS, READINGS, TRUST, Folder
from gateway.jobs.forecast import Durations
from gateway.jobs.ledger import Ledger
from gateway.jobs.queue import Queue
from gateway.jobs.remaining import Standing
from gateway.kept_clock import KeptClock
from gateway.liveness import Liveness
from gateway.meters.counters import Counters
from gateway.meters.inventory import KEYS, Inventory
from gateway.meters.key_lines import opens
from gateway.meters.model_error import ModelError
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from gateway.meters.reachability import Reachability
from gateway.meters.strangers import Strangers
from gateway.meters.survey import Survey
from gateway.meters.upkeep import Upkeep
from gateway.settings import SettingsError
from gateway.status import Status
from gateway.tasks.book import Book
from gateway.tasks.defaults import delay_of
from gateway.tasks.runs import Runs
from gateway.uplink.identity import identity_of
from gateway.uplink.meter_changes import takers
from gateway.uplink.past import Past
from gateway.uplink.session import Session
from gateway.uplink.trust import mark_lost
from gateway.version import VERSION
from gateway.work.worker import Worker
from hal.rt import log
from hal.rt.group import Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from gateway.activities.readings import Collector
    from gateway.contract.job import Job
    from gateway.contract.model import Model
    from gateway.contract.reports import TaskRun
    from gateway.local.access import LocalAccess, LocalPort
    from gateway.readings.recorder import Recorder
    from gateway.readings.store import Store
    from gateway.settings import Settings
    from gateway.uplink.changes import Takers
    from gateway.uplink.ntp import Ntp
    from hal.ports import Clock, Crypto, Datagrams, Modem, Storage, Uplink, Watchdog

    OpenUdp = Callable[[], Awaitable[Datagrams]]

WHERE = "gateway"

RESTART_MS = 5000  # from an order to begin anew until it is done: the HES is told first
WINDOW_MS = 1000  # how often windows are checked
SETTLE_TURNS = 60  # of these, until what is in the data folder is looked at again

# Vital tasks may go so long without a sign of progress; a worker for an attempt on top. The longest
# the session waits for is the broker's word on a large message over a slow line.
STUCK_MS = 300000
SESSION_STUCK_MS = 1800000


class RestartOrdered(Exception):
    """By the HES. Whoever started the gateway starts it again."""


class Ports:
    """What a board provides. modems: [(Modem, how many meters are served over it at once)].
    board_key: 16 or 32 bytes, wraps the meters' keys. watchdog, local: None where there is none.
    udp: opens a UDP port, for NTP.
    """

    __slots__ = (
        "board_key",
        "clock",
        "crypto",
        "local",
        "modems",
        "storage",
        "udp",
        "uplink",
        "watchdog",
    )

    def __init__(
        self,
        *,
        clock: Clock,
        storage: Storage,
        crypto: Crypto,
        uplink: Uplink,
        modems: list[tuple[Modem, int]],
        board_key: bytes,
        watchdog: Watchdog | None = None,
        local: LocalPort | None = None,
        udp: OpenUdp | None = None,
    ) -> None:
        self.board_key = board_key
        self.clock = clock
        self.storage = storage
        self.crypto = crypto
        self.uplink = uplink
        self.modems = modems
        self.watchdog = watchdog
        self.local = local
        self.udp = udp


class Gateway:
    """Reads ledger, inventory and counters from the storage; OSError when that fails, SettingsError
    when the board's key is not the one that is needed."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        clock = self._clock = KeptClock(ports.clock, ports.storage)
        log.set_clock(clock.doubtful_time)
        self._workers = settings.workers
        self._restart_ms: int | None = None  # ticks
        self._attempt_ms = settings.attempt_s * 1000
        storage, vault = ports.storage, Vault(ports.crypto, ports.board_key)
        self._folder = Folder(storage, vault, lambda: opens(storage, KEYS, vault))
        self._inventory = Inventory(storage, vault)
        for problem in self._inventory.problems:
            log.warning(WHERE, problem)
        trail = Audit(ports.storage, clock, settings.storage.audit_bytes)
        self._ledger = Ledger(ports.storage, clock, ports.crypto.random, settings.storage, trail)
        self._ledger.note_if_possible("start", [VERSION])
        self._tell_of_losses()
        self._watch_meters(ports)
        lost = COUNTERS in self._folder.missing
        self._counters = Counters(ports.storage, ports.crypto.random, lost)
        reach = self._reach(settings, ports)
        self._queue = Queue(
            self._ledger,
            clock,
            ports.crypto.random,
            durations=Durations(clock, ports.storage),
            cost=self._cost,
            standing=self._standing,
        )
        status = Status(self._inventory, self._network)
        self._liveness = Liveness(clock, ports.watchdog, status.summary)
        self._plan_tasks(settings, ports)
        self._session = self._make_session(settings, ports, status)
        self._settings, self._ports = settings, ports
        self._readings: Store | None = None
        self._alarms = Telling(self._ledger, Told(storage), clock)
        if [name for name in storage.names() if name.startswith(READINGS + ".")]:
            self.readings()
        self._local = self._local_access(settings, ports, reach, status)
        self._watch_certificates(settings, ports, vault)
        self._ntp = self._ntp_client(settings, ports)
        self._worker = Worker(
            reach,
            self._queue,
            self._session.files,
            self._attempt_ms,
            self._runs,
            self._collector,
            self._recorder,
            self._asked_recorder,
        )
        outages = Outages(self._ledger, clock)
        self._hearing = Hearing(
            reach, self._alarms, self._runs.visit, self._tell, ports.storage, outages
        )
        self._network.listen(self._hearing.take)
        reach.heard = self._hearing.said
        self._settle_folder()
        log.info(
            WHERE,
            "%s, firmware %s on %s, %d meters, %d jobs"
            % (
                settings.concentrator,
                VERSION,
                status.runtime,
                len(self._inventory),
                len(self._ledger.jobs()),
            ),
        )

    def _make_session(self, settings: Settings, ports: Ports, status: Status) -> Session:
        if TRUST in self._folder.missing:
            mark_lost(ports.storage)
        identity = identity_of(ports.storage, ports.crypto, ports.board_key)
        log.info(WHERE, "fingerprint %s" % shown(identity.fingerprint))
        if settings.plain:
            log.warning(WHERE, "the line is plain: whoever holds the broker reads and forges on it")
        return Session(
            uplink=ports.uplink,
            clock=self._clock,
            crypto=ports.crypto,
            storage=ports.storage,
            ledger=self._ledger,
            queue=self._queue,
            inventory=self._inventory,
            status=status,
            concentrator=settings.concentrator,
            signers=settings.signers,
            hes_keys=settings.hes_keys,
            identity=None if settings.plain else identity,
            past=Past(self._folder, self._counters, self._ledger),
            changes=self._takers(),
            heartbeat=self._liveness.task("session", SESSION_STUCK_MS),
        )

    def _plan_tasks(self, settings: Settings, ports: Ports) -> None:
        """What is due by itself."""
        try:
            zone = Zone(settings.zone)
        except ValueError as error:
            raise SettingsError("zone: %s" % error)
        self._book = Book(ports.storage, self._models)
        for name in self._book.damaged:
            self._tell("task-damaged", "%s: the flash has lost it; set it again" % name)
        self._runs = Runs(
            self._book,
            zone,
            self._clock,
            self._inventory,
            self._cost,
            self._tell_of_run,
            ports.crypto.random,
            delay_of(settings.concentrator),
        )

    def _models(self) -> list[Model]:
        """Those of the meters that are here."""
        found: list[Model] = []
        for name in self._inventory.model_names():
            try:
                own: Model = OWN_MODEL
                found.append(own if name == OWN else self._inventory.models().model(name))
            except ModelError:
                pass  # it is on its way, or to be sent
        return found

    def _tell_of_run(self, run: TaskRun) -> None:
        self._ledger.task_run(run)
        if self._readings is not None:
            self._readings.release()

    def _takers(self) -> Takers:
        """Who takes what the HES changes."""
        book = self._book
        taking: list[Any] = [
            (Task, book.set),
            (TaskRemoved, book.remove),
            (Restart, self._restart_soon),
        ]
        taking.extend(takers(self._inventory))
        return taking

    def _restart_soon(self, order: Restart) -> str:
        self._restart_ms = self._clock.ticks_ms() + RESTART_MS
        return "restart: %s" % order.why

    def _collector(self) -> Collector:
        from gateway.activities.readings import Collector
        from gateway.contract.clock_policy import ClockPolicy

        clocks = ClockPolicy(*self._settings.clocks)
        return Collector(self._clock, clocks, self._alarms)

    def _asked_recorder(self) -> Recorder:
        """For what a job asks for."""
        from gateway.readings.recorder import Recorder

        return Recorder(self.readings())

    def _recorder(self, task: Task) -> Recorder:
        from gateway.readings.recorder import Recorder

        store = self.readings()
        store.keep_days = max([entry.task.keep for entry in self._book.entries()] + [task.keep])
        return Recorder(store, task.send == ON_DEMAND, task.send == WITH_WINDOW)

    def readings(self) -> Store:
        """What was read; nothing is imported for it before the first reading. OSError."""
        if self._readings is None:
            from gateway.readings.store import Store
            from gateway.uplink.readings import ReadingsStream

            settings, random = self._settings, self._ports.crypto.random
            store = Store(self._ports.storage, self._clock, random, settings.storage, self._tell)
            most = settings.uplink.readings_kb_day
            self._session.stream(ReadingsStream(store, self._clock, most))
            self._readings = store
        return self._readings

    def _tell_of_losses(self) -> None:
        folder, ledger = self._folder, self._ledger
        try:
            if folder.lost:
                ledger.event("files-lost", ", ".join(folder.lost))
                folder.told()
            if folder.adopted:
                ledger.event("folder-adopted", "the data folder had no record of its own past")
        except OSError as error:
            log.error(WHERE, "storage: no report of what is lost: %s" % error)

    def _watch_meters(self, ports: Ports) -> None:
        """The modems, and what is learned of the meters behind them."""
        reachability = Reachability(self._clock, ports.storage, self._inventory.serials())
        self._network = Network(self._clock, reachability, ports.crypto.random, self._tell)
        for modem, meters_at_once in ports.modems:
            self._network.add(modem, meters_at_once)
        strangers = Strangers(self._clock, ports.storage, self._tell)
        survey = Survey(self._network, self._inventory, strangers, self._clock)
        self._upkeep = Upkeep(survey, reachability, self._clock)

    def _reach(self, settings: Settings, ports: Ports) -> Reach:
        return Reach(
            network=self._network,
            inventory=self._inventory,
            counters=self._counters,
            clock=self._clock,
            crypto=ports.crypto,
            system_title=settings.system_title,
            patience={kind: (path.timeout_ms, path.tries) for kind, path in settings.paths.items()},
        )

    def _local_access(
        self, settings: Settings, ports: Ports, reach: Reach, status: Status
    ) -> LocalAccess | None:
        """None, and nothing imported for it, where the settings have no "local"."""
        if settings.local is None or ports.local is None:
            return None
        from gateway.local.assemble import local_access

        note = self._ledger.note_if_possible
        times = self._session.inbox.times()
        return local_access(settings, ports.local, reach, status, note, self._clock, times)

    def _watch_certificates(self, settings: Settings, ports: Ports, vault: Vault) -> None:
        """Where the line has TLS."""
        if settings.uplink.ca is None or ports.uplink.tls is None:
            return
        from gateway.uplink.certificates import Certificates

        certificates = Certificates(
            ports.uplink,
            settings.concentrator,
            self._session.trust.of(trust_change.TRUST),
            settings.uplink.enrol,
            self._clock,
            ports.crypto,
            ports.storage,
            vault,
            self._tell,
        )
        self._session.watch(certificates)

    def _ntp_client(self, settings: Settings, ports: Ports) -> Ntp | None:
        """As _local_access()."""
        one = settings.ntp
        if one is None or ports.udp is None:
            return None
        from gateway.uplink.ntp import Ntp

        correct = self._session.inbox.correct_clock
        clock, crypto = self._clock, ports.crypto
        return Ntp(ports.udp, one.host, one.port, one.trusted, clock, crypto, correct)

    async def run(self) -> None:
        """Until cancelled, then says goodbye to the HES. Raises what a task died of."""
        liveness = self._liveness
        tasks = Group()
        tasks.start(self._network.run(liveness.task("network", STUCK_MS)))
        tasks.start(self._upkeep.run(liveness.task("upkeep", STUCK_MS)))
        tasks.start(self._session.run())
        if self._local is not None:
            tasks.start(self._local.run())
        if self._ntp is not None:
            tasks.start(self._ntp.run())
        tasks.start(self._hearing.run(liveness.task("hearing", STUCK_MS)))
        tasks.start(self._watch_windows(liveness.task("windows", STUCK_MS)))
        for number in range(self._workers):
            heartbeat = liveness.task("worker %d" % number, self._attempt_ms + STUCK_MS)
            tasks.start(self._worker.run(heartbeat))
        tasks.start(liveness.run())
        try:
            await tasks.wait()
        finally:
            self._upkeep.save()
            self._hearing.save()
            self._clock.keep()
            await self._session.farewell()

    def _cost(self, serial: str) -> int:
        meter = self._inventory.meter(serial)
        return 0 if meter is None else self._network.cost(meter)  # an unknown one ends at once

    def _standing(self, job: Job, serial: str) -> Standing:
        meter, network = self._inventory.meter(serial), self._network
        if meter is None:
            return Standing("", 0, False)
        traffic = self._queue.traffic.of(job)
        found, silent = network.hindrance(meter, traffic), network.was_silent(meter)
        radio_ms = network.radio_ms(meter, self._queue.traffic.likely(job))
        if found is None:
            return Standing("", 0, silent, radio_ms)
        return Standing(found.reason, found.wait_ms, silent, radio_ms)

    def _tell(self, name: str, detail: str) -> None:
        """A report of something that happened here."""
        try:
            self._ledger.event(name, detail)
        except OSError as error:
            log.error(WHERE, "storage: no report of %s: %s" % (name, error))

    def _tell_of_alarms(self) -> None:
        """Which meters raised more than was told of them."""
        try:
            self._alarms.tell_counted()
        except OSError as error:
            log.error(WHERE, "storage: no report of alarms: %s" % error)

    def _settle_folder(self) -> None:
        try:
            self._folder.settle()
        except OSError as error:
            log.error(WHERE, "storage: what is in the data folder is not on record: %s" % error)

    async def _watch_windows(self, heartbeat: Callable[[], None]) -> None:
        turns = 0
        while True:
            heartbeat()
            turns += 1
            if turns % SETTLE_TURNS == 0:
                self._settle_folder()
            self._tell_of_alarms()
            if self._restart_ms is not None and self._clock.ticks_ms() >= self._restart_ms:
                raise RestartOrdered("the HES has ordered a restart")
            try:
                self._queue.expire()
            except OSError as error:
                log.error(WHERE, "storage: cannot close a window: %s" % error)
            try:
                self._inventory.look()
            except OSError as error:
                log.error(WHERE, "storage: cannot read the keys anew: %s" % error)
            self._clock.keep()
            await self._clock.sleep_ms(WINDOW_MS)
