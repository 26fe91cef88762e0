"""A whole concentrator in simulated time: the real gateway with the real drivers, on lines in
memory to emulated modems and virtual meters, and the real HES at the other end of its uplink.

    async with District(read_scenario(path), seed=1) as district:
        job = district.read("clock 0.0.1.0.0.255 time")
        await district.finished(job)
        rows = district.meters_of(job)

The same seed takes the same course. Meters can be asked directly: `members`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from board import wiring
from gateway.app import Gateway, Ports
from gateway.contract import envelope
from gateway.contract.package import Package
from gateway.meters.inventory import KEYS, METERS
from gateway.meters.network import Network
from gateway.settings import parse
from gateway.uplink.identity import identity_of
from hal.cpython.crypto import SystemCrypto
from hal.modem.drivers import DRIVERS
from hal.ports import Datagrams
from hal.rt import log
from hal.sim.storage import MemoryStorage
from tools.emulator.line import MemoryLine
from tools.hes.line.broker import Broker
from tools.hes.line.handshakes import LineKey
from tools.hes.line.service import Service
from tools.hes.line.sessions import Sessions
from tools.hes.orders import order, typed
from tools.hes.store.records import Execution
from tools.hes.store.store import Store
from tools.meter.population import IP, Member, build_population, inventory_lines
from tools.meter.scenario import Scenario
from tools.meter.street import PLC_MODEMS, RF_MODEMS, Street
from tools.package import image
from tools.package.keys import SigningKey
from tools.simulation.broker import MemoryBroker
from tools.simulation.clock import SimulatedClock
from tools.simulation.loop import InPlace
from tools.simulation.network import IpMeter, Lines

CONCENTRATOR = "district-1"
BOARD_KEY = bytes(range(32))
START = int(datetime(2027, 3, 1, tzinfo=UTC).timestamp())  # a Monday, midnight
NOON = "<-12>12"  # the zone: it is noon at the start, and the night's tasks are half a day off
DAY_S = 86400
DRIVER_OF = {"prime": "prime-usi"}  # the setting for a make, where it has another name
PLC_URL, RF_URL = "tcp://plc:1", "tcp://rf:1"
HES_POLL_S = 5.0  # how soon the HES sees a new order
LOOK_MS = 1000  # how often finished() looks


class SeededCrypto(SystemCrypto):
    """Everything real but the random numbers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random("%d crypto" % seed)

    def random(self, size: int) -> bytes:
        return self._random.randbytes(size)


class District:
    """Use as an async context manager, on a SimulatedLoop. `settings`: of the gateway, over those
    this makes (see gateway/settings.py). `capacity`: of the flash, in bytes. `baud`: of the line to
    the PLC modem. `plc_modem`, `rf_modem`: their makes, keys of PLC_MODEMS and RF_MODEMS.

    clock, storage, gateway, street, broker, store (the HES's), members (by serial): to look at and
    to tamper with."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int = 1,
        settings: dict[str, Any] | None = None,
        capacity: int = 1 << 26,
        log_level: str = "error",
        baud: int = 115200,
        plc_modem: str = "prime",
        rf_modem: str = "imst",
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self._log_level = log_level
        self._baud = baud
        self._makes = (plc_modem, rf_modem)
        self.clock = SimulatedClock(START + scenario.starts_ms // 1000)
        self.storage = MemoryStorage(capacity)
        self.crypto = SeededCrypto(seed)
        self.broker = MemoryBroker()
        self.key = SigningKey.generate()
        self.store = Store(":memory:", self._now)
        private, public = self.crypto.ec_generate("P-256")
        self._line_key = LineKey(b"line", private, public)
        keys, crypto = [self._line_key], self.crypto
        self._service = Service(
            self.store.line,
            Broker("memory", 1),
            self._now,
            HES_POLL_S,
            time_key=self.key,
            thread=InPlace(),
            sessions=Sessions(self.store.enrolment, keys, False, self._now, crypto),
        )
        population = build_population(scenario.meters, seed, scenario.mix, self._now)
        self.members = {member.serial: member for member in population}
        self.street = Street(
            population,
            scenario,
            seed,
            clock=self.clock,
            plc_modem=PLC_MODEMS[plc_modem],
            rf_modem=RF_MODEMS[rf_modem],
        )
        self.lines = Lines()
        self._settings = parse(json.dumps(self._all_settings(settings or {})), DRIVERS)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> District:
        log.set_level(self._log_level)
        log.set_clock(self.clock.unix_time)
        lines = {"plc": MemoryLine(self._baud), "rf": MemoryLine(57600)}
        self.lines.add_line(PLC_URL, lines["plc"])
        self.lines.add_line(RF_URL, lines["rf"])
        for number, member in enumerate(self.members.values(), 1):
            if member.on_ip:
                address = "meter-%d:4059" % number
                member.paths = [(IP, address)]
                self.lines.add_meter("tcp://" + address, IpMeter(member.server))
        self._commission()
        await self.street.start(lines)
        self.boot()
        self._start(self._service.converse(self.broker.hes))  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut_down()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.street.stop()
        self.store.close()

    # The gateway.

    def boot(self) -> None:
        """Start the gateway on what its storage holds."""
        self.modems = wiring.modems(self._settings, self.clock, self.lines.open, _no_udp)
        self.gateway = Gateway(
            self._settings,
            Ports(
                clock=self.clock,
                storage=self.storage,
                crypto=self.crypto,
                uplink=self.broker.uplink,
                modems=self.modems,
                board_key=BOARD_KEY,
            ),
        )
        self._running = asyncio.create_task(self.gateway.run())
        self._running.add_done_callback(_not_silent)

    async def shut_down(self) -> None:
        """An orderly end; boot() begins anew."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        for modem, _ in self.modems:
            await modem.close()

    @property
    def network(self) -> Network:
        """The gateway's, to watch."""
        return self.gateway._network

    # The HES.

    def read(
        self, attributes: str | Sequence[str], serials: Sequence[str] | None = None, **terms: Any
    ) -> bytes:
        """Order a reading, "class obis attribute" each, from these meters (None: all); returns the
        job's id. `terms` as _terms()."""
        names = [attributes] if isinstance(attributes, str) else attributes
        return order.read(
            self.store.orders,
            self.key,
            CONCENTRATOR,
            list(serials or self.members),
            self._terms(**terms),
            [typed.parse_attribute(name) for name in names],
        )

    def configure(
        self, package: Package, serials: Sequence[str] | None = None, **terms: Any
    ) -> bytes:
        """Order a configuration, signed by `key`; returns the job's id."""
        raw = envelope.sign(package.to_payload(), self.key.kid, self.key.sign)
        return order.configure(
            self.store.orders,
            self.key,
            CONCENTRATOR,
            list(serials or self.members),
            self._terms(**terms),
            raw,
        )

    def image(
        self,
        content: bytes,
        firmware: str,
        delivery: str,
        serials: Sequence[str] | None = None,
        activation: int = 0,
        targets: Sequence[str] = ("AMI-E450",),
        **terms: Any,
    ) -> bytes:
        """Order an image, which makes meters run `firmware`, by `delivery` (image_file.DELIVERIES)
        on `targets` (as tools.package.image.describe); returns the job's id."""
        described = image.describe(
            content, "firmware", "1", "", list(targets), firmware, firmware, delivery
        )
        return order.transfer_image(
            self.store.orders,
            self.key,
            CONCENTRATOR,
            list(serials or self.members),
            self._terms(**terms),
            image.signed(described, content, self.key),
            activation,
        )

    def _terms(
        self,
        priority: int = 5,
        lasts_s: int = DAY_S,
        tries: int = 3,
        backoff_s: int = 600,
        **more: Any,
    ) -> order.Terms:
        until = int(self._now()) + lasts_s
        return order.Terms(priority, 0, until, tries, backoff_s, **more)

    async def finished(self, job: bytes, within_s: int = 7 * DAY_S) -> None:
        """Until every meter of the job has its final state; TimeoutError."""
        deadline = self.clock.ticks_ms() + within_s * 1000
        while not self.store.reports.finished(job):
            if self.clock.ticks_ms() >= deadline:
                raise TimeoutError("the job is not over after %d s" % within_s)
            await self.clock.sleep_ms(LOOK_MS)

    def meters_of(self, job: bytes) -> list[Execution]:
        """What the HES knows of each meter of a job: serial, state, outcome, reason, path ..."""
        return self.store.reports.meters(job)

    # Inside.

    def _now(self) -> float:
        """Unix seconds of the world; the gateway's own date may be another."""
        return START + (self.scenario.starts_ms + self.clock.ticks_ms()) / 1000

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        task.add_done_callback(_not_silent)
        self._tasks.append(task)

    def _commission(self) -> None:
        meters, keys = inventory_lines(list(self.members.values()))
        identity = identity_of(self.storage, self.crypto, BOARD_KEY)
        self.store.enrolment.add(CONCENTRATOR, identity.fingerprint)
        self.storage.replace(METERS, _lines_of(meters))
        self.storage.replace(KEYS, _lines_of(keys))

    def _all_settings(self, more: dict[str, Any]) -> dict[str, Any]:
        plc, rf = self._makes
        modems: list[dict[str, Any]] = []
        if self.street.plc is not None:
            modems.append({"driver": DRIVER_OF.get(plc, plc), "url": PLC_URL})
        if self.street.rf is not None:
            modems.append({"driver": rf, "url": RF_URL})
        if any(member.on_ip for member in self.members.values()):
            modems.append({"driver": "ip"})
        return {
            "concentrator": CONCENTRATOR,
            "zone": NOON,
            "system_title": "414d490000000001",
            "uplink": {"host": "memory"},
            "signers": [{"kid": self.key.kid.hex(), "key": self.key.public.hex()}],
            "hes_keys": [{"kid": self._line_key.kid.hex(), "key": self._line_key.public.hex()}],
            "modems": modems,
            **more,
        }


def _lines_of(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def _no_udp() -> Datagrams:
    raise OSError("no UDP in this district")


def _not_silent(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()


__all__ = ["CONCENTRATOR", "START", "District", "Member"]
