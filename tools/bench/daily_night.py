"""Nights of a whole street's daily work, by the real gateway: closures, load profiles, event logs.

In the first night nothing is known of the meters' profiles, in the second the gateway has read them
before. The second is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from gateway.contract.messages import Readings
from gateway.contract.result import OK
from gateway.dlms.data import axdr, obis
from gateway.tasks.run import IN_WORK
from gateway.uplink.readings import ReadingsStream
from tools.bench import mass_channel
from tools.bench.mass_watch import Town
from tools.bench.wrong import WrongWork
from tools.meter import makes
from tools.meter.device import LOAD_PROFILE
from tools.meter.makes import AMI, MAKES
from tools.meter.profile import ProfileGeneric
from tools.simulation import run
from tools.simulation.district import CONCENTRATOR, DAY_S, START
from tools.simulation.loop import SimulatedLoop

HOUR_S, MINUTE_S = 3600, 60
HOME = replace(AMI, period=900, entries=2976)  # our own, with four registers each quarter
LOG, HOME_NAME = "0.0.99.98.1.255", "home"
PROFILES = (LOAD_PROFILE, HOME.daily, *[name for name, _ in HOME.logs.values()])
BEGINS_S = 300  # the simulated world begins so long after midnight: before the first task is due
EVENTS_S = DAY_S - 60  # when something happens to each meter, each day
DUE_S = 600  # the tasks
UNTIL_S = 8 * HOUR_S  # when all is to be there
SILENT_UNTIL_S = 6 * HOUR_S
AWAKE_S, SKIPPED_S = 2, 238
ASKED = 20  # readings on demand, at most
ASKED_EVERY_MS = 100  # for each meter of the street
PRIORITY = 5  # of those
LEAST_FRAMES = 10  # a meter that has fewer was not read


@dataclass
class Night:
    """Times in ms. `took` from the gateway's first frame to the last meter that answers at all,
    `busy` that the medium was occupied meanwhile; `least` and `rows_alone` as daily_show.py says.
    `conversation`: sizes of the frames of a meter that had the fewest. `expected`:
    rows that the meters had by midnight; `came`: of these, those at the HES by 08:00; `complete`:
    meters of which all came. Octets are those of the whole night and all meters: `encoded` records,
    `sealed` messages, the rows as A-XDR and as JSON. `again`: tries that ended without all rows, by
    reason. `starts`: after how long readings on demand began, from when their orders had come to
    the gateway; `ordered`: from the HES's orders."""

    meters: int
    loss: float
    silent: int
    at_once: int
    took: int = 0
    busy: int = 0
    least: int = 0
    rows_alone: int = 0
    frames: int = 0
    conversation: list[int] = field(default_factory=list)
    expected: int = 0
    came: int = 0
    complete: int = 0
    encoded: int = 0
    sealed: int = 0
    axdr: int = 0
    json: int = 0
    again: dict[str, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    ordered: list[int] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        return dict(vars(self))


class Homes(Town):
    """Meters that have been at work for a day before the world begins."""

    def __init__(
        self, meters: int, loss: float, seed: int, settings: dict[str, Any] | None = None
    ) -> None:
        self.finished_at: dict[str, int] = {}
        self.again: Counter[str] = Counter()
        self.orders_came: list[int] = []
        self.encoded = 0
        with mock.patch.dict(MAKES, {HOME_NAME: HOME}):
            plain = mass_channel.scenario(meters, loss)
            mix = replace(plain.mix, makes={HOME_NAME: 1})
            scene = replace(plain, mix=mix, starts_ms=BEGINS_S * 1000)
            more = {"zone": "UTC0", **(settings or {})}
            super().__init__(meters, loss, seed, more, scene=scene)
        for member in self.members.values():
            meter = member.server.meter
            meter.started -= DAY_S
            meter._ticked -= DAY_S

    async def __aenter__(self) -> Homes:
        await super().__aenter__()
        return self

    def boot(self) -> None:
        super().boot()
        runs, clock = self.gateway._runs, self.clock
        finish = runs.finish

        def noted(errand: Any, outcome: str, reason: str, *more: Any) -> None:
            finish(errand, outcome, reason, *more)
            if outcome == OK and not reason:
                self.finished_at[errand.serial] = clock.ticks_ms()
            else:
                self.again[reason] += 1

        runs.finish = noted  # type: ignore[method-assign, assignment]
        count = self.broker.count

        def counted(topic: str, payload: bytes) -> None:
            if topic.endswith("/job"):
                self.orders_came.append(clock.ticks_ms() + round(self.broker.latency_s * 1000))
            count(topic, payload)

        self.broker.count = counted  # type: ignore[method-assign]

    def second(self) -> float:
        """Of the first day."""
        return (self.scenario.starts_ms + self.clock.ticks_ms()) / 1000

    async def until(self, second: float) -> None:
        """Of the first day. What nobody works in is skipped, but for a second now and then."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        while (left := second - self.second()) > 0:
            await asyncio.sleep(min(left, AWAKE_S))
            idle = not any(run.count(IN_WORK) for run in self.gateway._runs.runs())
            if idle and left > AWAKE_S + SKIPPED_S:
                loop.skip(SKIPPED_S)

    def all_sent(self) -> bool:
        """Whether the HES has acknowledged all that was read."""
        store = self.gateway.readings()
        return store.acknowledged == store.last_number

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Octets of the records of readings are counted as they go."""
        batch = ReadingsStream.batch

        def counted(stream: ReadingsStream, now_ms: int) -> Readings | None:
            found = batch(stream, now_ms)
            if found is not None:
                self.encoded += sum(len(one) for one in found.records)
            return found

        with mock.patch.object(ReadingsStream, "batch", counted):
            yield


def night(
    meters: int,
    loss: float,
    silent: float = 0.0,
    asked: bool = False,
    seed: int = mass_channel.SEED,
    settings: dict[str, Any] | None = None,
) -> Night:
    """`silent`: so many (0..1) do not answer before 06:00. `asked`: readings on demand meanwhile.
    WrongWork when the HES has a row that no meter had, or one twice."""
    return run(_play(meters, loss, silent, asked, seed, settings))


def least_ms(addresses: list[str], loss: float, seed: int, sizes: list[int]) -> int:
    """For meters there, each with frames of these sizes."""
    channel = mass_channel.channel(loss, seed)
    hops = sum(channel.hops(address) for address in addresses)
    return round(hops * sum(channel.hop_ms(size) for size in sizes) / (1 - loss))


async def _play(
    meters: int,
    loss: float,
    silent: float,
    asked: bool,
    seed: int,
    settings: dict[str, Any] | None,
) -> Night:
    async with Homes(meters, loss, seed, settings) as town:
        await town.settle()
        await town.until(EVENTS_S)
        first = len(town.finished_at)
        if first != meters and not loss:
            raise WrongWork("in the first night %d of %d meters were read" % (first, meters))
        mute = random.Random(seed).sample(sorted(town.members), round(silent * meters))
        for serial, member in town.members.items():
            member.server.meter.happen(makes.MAGNET)
            member.server.meter.happen(makes.MAGNET_OVER)
            member.server.meter.faults.dead = serial in mute
        town.finished_at.clear()
        town.again.clear()
        town.watch.sizes.clear()
        await town.until(DAY_S + BEGINS_S)
        found = Night(meters, loss, len(mute), town.at_once)
        frames, sealed = len(town.watch.frames), town.broker.octets.get("readings", 0)
        with town.encoding():
            await _wait_for_work(town, frames)
            busy = town.plc.air.busy_ms
            if asked:
                await _ask(town, found)
            while len(town.finished_at) < meters - len(mute):
                if town.second() > DAY_S + SILENT_UNTIL_S - 2 * BEGINS_S:
                    break
                await town.clock.sleep_ms(100)
            found.busy = town.plc.air.busy_ms - busy
            at = [at for serial, at in town.finished_at.items() if serial not in mute]
            found.took = max(at, default=0) - town.watch.frames[frames][0]
            found.frames = len(town.watch.frames) - frames
            talks = [sizes for sizes in town.watch.sizes.values() if len(sizes) > LEAST_FRAMES]
            found.conversation = min(talks, key=len)
            answering = [
                address
                for serial, member in town.members.items()
                for _, address in member.paths
                if serial not in mute
            ]
            if mute:
                await town.until(DAY_S + SILENT_UNTIL_S)
                for serial in mute:
                    town.members[serial].server.meter.faults.dead = False
            while len(town.finished_at) < meters or not town.all_sent():
                if town.second() >= DAY_S + UNTIL_S:
                    break
                await town.until(min(town.second() + MINUTE_S, DAY_S + UNTIL_S))
        found.sealed = town.broker.octets["readings"] - sealed
        found.encoded = town.encoded
        found.again = dict(town.again)
        _compare(town, found)
        longest = max(found.conversation)
        whole, rest = divmod(found.axdr // meters, longest)
        found.least = least_ms(answering, loss, seed, found.conversation)
        found.rows_alone = least_ms(answering, loss, seed, [longest] * whole + [rest])
        return found


async def _wait_for_work(town: Homes, frames: int) -> None:
    while len(town.watch.frames) == frames:
        if town.second() > DAY_S + HOUR_S:
            raise WrongWork("no task began within an hour")
        await town.clock.sleep_ms(50)


async def _ask(town: Homes, found: Night) -> None:
    """Readings on demand of one meter after the other, while there is work."""
    serials = sorted(town.members)
    for number in range(ASKED):
        await town.clock.sleep_ms(ASKED_EVERY_MS * len(serials))
        if len(town.finished_at) + town.at_once >= len(serials) - found.silent:
            break
        ordered, orders = town.clock.ticks_ms(), len(town.orders_came)
        serial = serials[number * 37 % len(serials)]
        job = town.read("clock 0.0.1.0.0.255 time", [serial], priority=PRIORITY)
        await town.finished(job)
        found.starts.append(town.watch.begun[job] - town.orders_came[orders])
        found.ordered.append(town.watch.begun[job] - ordered)


def _compare(town: Homes, found: Night) -> None:
    """What the meters had by midnight with what the HES has."""
    readings = town.store.readings
    there: dict[tuple[str, str], list[int]] = {}
    for series in readings.series(CONCENTRATOR):
        rows = readings.rows(series.id, 0, 1 << 32)
        there[series.serial, obis.text(series.obis)] = [row.time for _, row in rows]
    midnight = START + DAY_S
    for serial, member in town.members.items():
        all_here = True
        member.server.meter.tick()  # one that nobody asked has not looked at its clock
        for name in PROFILES:
            profile = member.server.meter.find(7, name)
            assert isinstance(profile, ProfileGeneric)
            had = profile.rows
            times = Counter(moment for moment, _ in had)
            came = Counter(there.get((serial, name), []))
            if came - times:
                raise WrongWork("%s %s: the HES has %s too often" % (serial, name, came - times))
            of_day = [(at, row) for at, row in had if midnight - DAY_S < at <= midnight]
            wanted = Counter(at for at, _ in of_day)
            here = (wanted & came).total()
            found.expected += len(of_day)
            found.came += here
            all_here = all_here and here == len(of_day)
            found.axdr += sum(len(axdr.encode(row)) for _, row in of_day)
            found.json += sum(len(_json(at, row)) for at, row in of_day)
        found.complete += all_here


def _json(at: int, row: axdr.Typed) -> str:
    """[unix time, a value for each further column], and a comma."""
    values = [axdr.to_values(cell) for cell in row[1][1:]]
    return json.dumps([at, *values], separators=(",", ":")) + ","
