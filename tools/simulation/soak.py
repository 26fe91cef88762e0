"""The soak: a concentrator lives through weeks with noisy evenings, modems that hang, and meters
that leave and come back, and does its daily work; does everything end as it should, and does
nothing pile up?

Each day: at 00:30 all meters are read, at 19:00, in the worst noise, every tenth; every third day
at 02:00 every fifth is configured, another interval each time. At midnight it is counted what the
gateway holds.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gateway.contract.package import Check, Package, Set
from gateway.contract.result import OK, VALUE
from gateway.dlms.data import axdr, obis
from gateway.meters.inventory import Meter
from gateway.meters.network import Network
from hal.ports import Clock
from tools.hes.store.records import Execution
from tools.meter.device import FACTORY_MODEL
from tools.meter.population import DEAD, NORMAL
from tools.meter.scenario import Scenario
from tools.simulation.district import DAY_S, District
from tools.simulation.loop import SimulatedLoop

HOUR_S = 3600
MINUTE_S = 60
READINGS = ("clock 0.0.1.0.0.255 time", "register 1.0.1.8.0.255 value")
INTERVALS = (1800, 900)  # seconds, in turns
LOAD_PROFILE = (7, "1.0.99.1.0.255")
MOST_EXAMPLES = 5
SETTLED_DAYS = 2  # before memory is judged: caches and histories fill first
OURS = ("gateway", "hal", "board")  # packages of the firmware
FLASH = "*/hal/sim/storage.py"  # which is RAM here only


class Watch:
    """Sees what every attempt taught the network: which path answered and which did not.

    answered, silent: attempts by kind of path. failovers: how often another path answered after
    one had not, by "plc to rf". returned: meters silent over all paths that answered again. lost:
    those that have not yet, and since which tick.
    """

    def __init__(self, network: Network, clock: Clock) -> None:
        self._clock = clock
        self.answered: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        self.failovers: Counter[str] = Counter()
        self.returned = 0
        self._failed: dict[str, str] = {}  # serial: kind of the path that failed in this attempt
        self.lost: dict[str, int] = {}
        self._record = network.record
        self._recover = network.recover
        network.record = self._seen  # type: ignore[method-assign]
        network.recover = self._given_up  # type: ignore[method-assign]

    def _seen(
        self,
        meter: Meter,
        path: tuple[str, str],
        answered: bool,
        percent: int = 100,
        hops: int = 0,
    ) -> None:
        serial, kind = meter.serial, path[0]
        if answered:
            self.answered[kind] += 1
            before = self._failed.pop(serial, kind)
            if before != kind:
                self.failovers["%s to %s" % (before, kind)] += 1
            if self.lost.pop(serial, None) is not None:
                self.returned += 1
        else:
            self.silent[kind] += 1
            self._failed[serial] = kind
        self._record(meter, path, answered, percent, hops)

    async def _given_up(self, meter: Meter) -> str:
        self._failed.pop(meter.serial, None)
        self.lost.setdefault(meter.serial, self._clock.ticks_ms())
        return await self._recover(meter)


@dataclass
class Held:
    """What the process holds at one midnight. octets: allocated by the firmware's code (0 where
    tracemalloc does not run); own: instances of its classes; objects: all that the collector knows,
    meters and all; flash: octets in files."""

    day: int
    octets: int
    own: int
    objects: int
    tasks: int
    files: int
    flash: int


@dataclass
class Soak:
    """The outcome. executions: by (job kind, outcome, reason or path); complaints: what is not as
    it must be; missed: meters that an evening's reading asked while they were away, and that came
    back before a night's; wall_s, cpu_s: how long it took, and of it the processor."""

    meters: int
    days: int
    seed: int
    executions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)  # of KOs, by reason
    answered: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    failovers: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    returned: int = 0
    missed: int = 0
    recoveries: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    air_busy: dict[str, float] = field(default_factory=dict)  # share of the time, by modem
    held: list[Held] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    turns: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        rows = [[*key, count] for key, count in sorted(self.executions.items())]
        plain = {name: getattr(self, name) for name in vars(self) if name != "executions"}
        return {**plain, "executions": rows, "held": [vars(each) for each in self.held]}


async def soak(scenario: Scenario, days: int, seed: int, say: Any = None) -> Soak:
    """Run it, on a SimulatedLoop. `say(text)`: called once a day."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = Soak(scenario.meters, days, seed)
    district = District(scenario, seed)
    async with district:
        watch = Watch(district.network, district.clock)
        orders: list[tuple[str, bytes]] = []
        wanted: dict[str, int] = {}
        for day in range(days):
            missed = await _day(district, day, orders, wanted)
            result.missed += missed if day < days - 1 else 0
            result.held.append(_held(district, day))
            if say is not None:
                say(_of_the_day(result.held[-1], watch, time.perf_counter() - began))
        for kind, job in orders:
            for row in district.meters_of(job):
                _count(result, kind, row)
        result.complaints += _wrong_in_meters(district, wanted, orders)
        result.complaints += _never_again(district, watch, days)
        result.answered, result.silent = watch.answered, watch.silent
        result.failovers, result.returned = watch.failovers, watch.returned
        result.happened = district.street.happened
        _count_modems(result, district)
        result.events.update(row.name for row in district.store.reports.events(10000))
        loop = asyncio.get_running_loop()
        result.turns = loop.turns if isinstance(loop, SimulatedLoop) else 0
    result.complaints += _piled_up(result.held)
    result.wall_s = round(time.perf_counter() - began, 1)
    result.cpu_s = round(time.process_time() - began_cpu, 1)
    return result


async def _day(
    district: District, day: int, orders: list[tuple[str, bytes]], wanted: dict[str, int]
) -> int:
    """Returns how many living meters the evening's reading asks while they are away."""
    serials = list(district.members)
    await _until(district, day, 30 * MINUTE_S)
    job = district.read(READINGS, lasts_s=18 * HOUR_S, tries=4, backoff_s=1800)
    orders.append(("night reading", job))
    if day % 3 == 2:
        await _until(district, day, 2 * HOUR_S)
        interval = INTERVALS[day // 3 % len(INTERVALS)]
        some = serials[day % 5 :: 5]
        job = district.configure(
            _package(interval), some, lasts_s=20 * HOUR_S, tries=4, backoff_s=1800
        )
        orders.append(("configuration", job))
        wanted.update(dict.fromkeys(some, interval))
    await _until(district, day, 19 * HOUR_S)
    some = serials[day % 10 :: 10]
    job = district.read(READINGS, some, lasts_s=4 * HOUR_S, backoff_s=600)
    orders.append(("evening reading", job))
    away = district.street.away.intersection(some)
    await _until(district, day, DAY_S)
    return sum(district.members[serial].role != DEAD for serial in away)


def _package(interval: int) -> Package:
    class_id, name = LOAD_PROFILE
    period = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, interval))
    wanted = (class_id, obis.parse(name), 4, period)
    return Package(
        "interval-%d" % interval, "1", "", [(FACTORY_MODEL, [])], [Set(*wanted)], [Check(*wanted)]
    )


async def _until(district: District, day: int, second: int) -> None:
    """Of the day; the first begins when the scenario does."""
    at = (day * DAY_S + second) * 1000 - district.scenario.starts_ms
    await district.clock.sleep_ms(max(0, at - district.clock.ticks_ms()))


def _count(result: Soak, kind: str, row: Execution) -> None:
    outcome, reason = row.outcome or row.state, row.reason
    good = outcome in (OK, VALUE)
    result.executions[kind, outcome, row.path if good else reason] += 1
    examples = result.examples.setdefault(reason, []) if not good else []
    if len(examples) < MOST_EXAMPLES:
        examples.append("%s: %s" % (row.serial, row.detail))


def _count_modems(result: Soak, district: District) -> None:
    for kind, counts in district.network.statistics():
        for name, count in counts.items():
            if name.startswith("recovery-") or name in ("resets", "opened"):
                result.recoveries["%s %s" % (kind, name)] += count
    for kind, emulator in (("plc", district.street.plc), ("rf", district.street.rf)):
        if emulator is not None:
            result.air_busy[kind] = round(emulator.air.busy_ms / district.clock.ticks_ms(), 4)


def _wrong_in_meters(
    district: District, wanted: dict[str, int], orders: list[tuple[str, bytes]]
) -> list[str]:
    """Meters asked directly: what was reported OK is so; a reading was given for each VALUE."""
    complaints = []
    reported: dict[str, str] = {}
    for kind, job in orders:
        for row in district.meters_of(job):
            if kind == "configuration":
                reported[row.serial] = row.outcome
            elif row.outcome == VALUE and not row.value:
                complaints.append("%s: VALUE without a value" % row.serial)
            if not row.outcome and row.state not in ("queued", "in-progress"):
                complaints.append("%s: %s without an outcome" % (row.serial, row.state))
    for serial, outcome in reported.items():
        member = district.members[serial]
        found = member.server.meter.read(*LOAD_PROFILE, 4)
        if outcome == OK and found != (axdr.DOUBLE_LONG_UNSIGNED, wanted[serial]):
            complaints.append("%s: OK, but its interval is %s" % (serial, found))
        if outcome != OK and member.role == NORMAL and not district.scenario.timeline:
            complaints.append("%s: nothing was wrong with it, but it ended KO" % serial)
    return complaints


def _never_again(district: District, watch: Watch, days: int) -> list[str]:
    """Meters that were given up, and did not answer though they are there and the last night asked
    them."""
    last_night = ((days - 1) * DAY_S + 30 * MINUTE_S) * 1000 - district.scenario.starts_ms
    return [
        "%s: given up at tick %d, and never heard again" % (serial, since)
        for serial, since in watch.lost.items()
        if since < last_night
        and district.members[serial].role != DEAD
        and serial not in district.street.away
    ]


# ---------------------------------------------------------------- what is held


def _held(district: District, day: int) -> Held:
    gc.collect()
    octets = 0
    if tracemalloc.is_tracing():
        filters = [tracemalloc.Filter(True, "*/%s/*" % package) for package in OURS]
        filters.append(tracemalloc.Filter(False, FLASH))
        snapshot = tracemalloc.take_snapshot().filter_traces(filters)
        octets = sum(row.size for row in snapshot.statistics("filename"))
    storage = district.storage
    objects = gc.get_objects()
    own = sum(str(type(each).__module__).partition(".")[0] in OURS for each in objects)
    return Held(
        day,
        octets,
        own,
        len(objects),
        len(asyncio.all_tasks()),
        len(os.listdir("/proc/self/fd")),
        sum(storage.size(name) for name in storage.names()),
    )


def _piled_up(held: list[Held]) -> list[str]:
    """Complaints when the last third of the days hold more than the first half, once settled."""
    if len(held) < 2 * SETTLED_DAYS + 2:
        return []
    first, last = held[SETTLED_DAYS : len(held) // 2], held[-(len(held) // 3) :]
    complaints = []
    for name, allowed in (("octets", 1.10), ("own", 1.10), ("tasks", 1.2), ("files", 1.0)):
        before = max(getattr(each, name) for each in first)
        after = min(getattr(each, name) for each in last)
        if after > before * allowed:
            complaints.append("%s grow: at most %d before, at least %d now" % (name, before, after))
    return complaints


def _of_the_day(held: Held, watch: Watch, wall_s: float) -> str:
    return "day %d: %d answers, %d silences, %d tasks, %d own objects%s; %.0f s" % (
        held.day + 1,
        watch.answered.total(),
        watch.silent.total(),
        held.tasks,
        held.own,
        ", %d KiB" % (held.octets // 1024) if held.octets else "",
        wall_s,
    )
