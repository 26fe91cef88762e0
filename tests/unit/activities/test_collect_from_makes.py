"""A fortnight of nights: virtual meters of each make, over our client, with clocks that drift and
are put right, outages, daylight saving and another period. Every row that a meter ever had is
recorded once, in order, or lies in a gap that was named."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from gateway.activities.readings import Collected, Collector
from gateway.contract import quality
from gateway.contract.task import CLOCK, LOG, PROFILE, VALUES, Item
from gateway.dlms.client.client import HIGH_GMAC, LOW, SN, Association, Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.protection.keyring import Keys
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tests.portable.activities.profile_meter import Recorder
from tests.unit.dlms.test_services import Path
from tools.meter import device, makes
from tools.meter.makes import MAKES, Make
from tools.meter.model import MANAGEMENT, Meter
from tools.meter.profile import ProfileGeneric
from tools.meter.server import MeterServer
from tools.package.model.file import find

SERIAL = "AMI0000000001"
BEGAN = 1_743_206_400  # 2025-03-29 00:00 UTC: a week later the clocks go back
NIGHTS = 14
HOUR_TWICE = 1_743_908_400  # 2025-04-06 03:00 UTC: at midnight it is 23:00 again
WORDS = ("load-profile", "daily-profile", "billing-profile", "monthly-profile")


class Alone(ManualClock):
    """Who sleeps is the only one here."""

    async def sleep_ms(self, duration: int) -> None:
        self.advance(duration)


class Stand:
    def __init__(self, make: Make, short: bool = False) -> None:
        self.clock = Alone(BEGAN)
        keys = device.derive_test_keys(7, SERIAL)
        secrets: dict[str, Any] = {"password": make.password} if make.password else {"keys": keys}
        self.meter = device.build_meter(
            SERIAL, source=self.source, make=make, short_names={} if short else None, **secrets
        )
        ours = Keys(b"CONC0001", keys.ek, keys.ak)
        association = Association(MANAGEMENT, authentication=HIGH_GMAC, keys=ours)
        if make.password:
            association = Association(MANAGEMENT, authentication=LOW, secret=make.password)
        if short:
            association.referencing = SN
        path = Path(MeterServer(self.meter, 640), self.clock, 400)
        counter = count(1)
        crypto = SystemCrypto()
        self.client = Client(path, self.clock, crypto, association, lambda: next(counter), 1000)
        self.had: dict[str, list[int]] = {}
        self.collector = Collector(self.clock)
        self.recorder = Recorder()
        model = find(make.name).model
        self.model = model
        words = [word for word, _, _ in model.objects]
        self.items = [Item(CLOCK)] + [Item(PROFILE, word) for word in WORDS if word in words]
        self.items += [Item(LOG, word) for word in words if word in make.logs]
        for each in self.meter.objects.values():
            if isinstance(each, ProfileGeneric):
                self.watch(each)

    def source(self) -> float:
        return float(self.clock.unix_time())

    def watch(self, profile: ProfileGeneric) -> None:
        """Remember each row that it ever had."""
        had = self.had.setdefault(profile.name, [])
        append = profile.append

        def remember(moment: int, row: axdr.Typed) -> None:
            had.append(moment)
            append(moment, row)

        profile.append = remember  # type: ignore[method-assign]

    async def night(self) -> None:
        await self.client.associate()
        found = await self.collector.collect(
            self.client, SERIAL, self.model, self.items, self.recorder, "night", 30
        )
        await self.client.release()
        assert not found.gaps, found.details


def events_of(night: int, meter: Meter, clock: ManualClock) -> None:
    """What happens by day."""
    if night == 3:
        meter.lose_power()
        clock.advance(5 * 3_600_000)
        meter.get_power()
    if night == 5:
        meter.find(7, device.LOAD_PROFILE).write(4, (axdr.DOUBLE_LONG_UNSIGNED, 1800), MANAGEMENT)
    if night == 9:
        meter.happen(makes.COVER_OPENED)
        meter.happen(makes.COVER_OPENED)


@pytest.mark.parametrize("what", ["shape", "times", "columns", "endless"])
def test_rows_of_a_meter_that_is_out_of_its_mind(what: str) -> None:
    stand = Stand(makes.IDIS)
    stand.meter.faults.hostile_rows = what
    values = Item(VALUES, objects=[(3, obis.parse(device.ENERGY), 2)])
    items = [Item(PROFILE, "load-profile"), values]

    async def visit() -> Collected:
        stand.clock.advance(86_400_000)
        stand.meter.tick()
        await stand.client.associate()
        return await stand.collector.collect(
            stand.client, SERIAL, stand.model, items, stand.recorder, "night", 30
        )

    found = asyncio.run(visit())
    assert found.gaps == ["meter-protocol-error"], found.details
    assert len(stand.recorder.kept) <= makes.IDIS.entries + 64
    assert len(stand.recorder.read) == 1


@pytest.mark.parametrize("refused", ["ranges", "both"])
def test_meters_that_refuse_selectors(refused: str) -> None:
    stand = Stand(makes.SMR)
    stand.meter.faults.refuse_selectors = refused

    async def nights() -> None:
        for _ in range(2):
            stand.clock.advance(86_400_000)
            stand.meter.tick()
            await stand.night()

    asyncio.run(nights())
    load = [row[0] for _, row in stand.recorder.numbered if len(row) == 7]
    assert load == list(range(BEGAN + 900, BEGAN + 2 * 86400 + 1, 900))


def test_a_meter_with_short_names() -> None:
    stand = Stand(makes.AMI, short=True)

    async def nights() -> None:
        for _ in range(2):
            stand.clock.advance(86_400_000)
            stand.meter.tick()
            await stand.night()

    asyncio.run(nights())
    load = [row for number, row in stand.recorder.numbered if len(row) == 4]
    assert len(load) == 48 + 2 and not stand.recorder.gaps  # hours, and closures


@pytest.mark.parametrize("drift", [-290.0, 0.5, 290.0])
@pytest.mark.parametrize("name", sorted(set(MAKES)))
def test_a_fortnight(name: str, drift: float) -> None:
    stand = Stand(MAKES[name])
    meter, clock = stand.meter, stand.clock
    meter.drift_by(drift)
    meter.find(8, device.CLOCK).put(8, (axdr.BOOLEAN, True))  # daylight saving

    async def fortnight() -> None:
        for night in range(NIGHTS):
            if night == 8:
                stand.collector = Collector(clock)  # the concentrator was started anew
            events_of(night, meter, clock)
            for _ in range(24):
                clock.advance(3_600_000)
                meter.tick()
            await stand.night()

    asyncio.run(fortnight())
    again = [row[0] for _, row in stand.recorder.numbered if row[-1] & quality.SECOND_PASS]
    assert [at for at in again if HOUR_TWICE <= at < HOUR_TWICE + 3600]
    assert not [at for at in again if abs(at - HOUR_TWICE) > 4000]
    found: dict[str, list[int]] = {}
    for number, row in stand.recorder.numbered:
        found.setdefault(obis.text(stand.recorder.layouts[number][1]), []).append(row[0])
    for profile, had in stand.had.items():
        if profile not in found and not had:
            continue
        listed = {obis.text(of) for word, _, of in stand.model.objects if word in WORDS}
        listed |= {log for log, _ in MAKES[name].logs.values()}
        if profile not in listed:
            continue
        rows = meter.objects[7, profile]
        assert isinstance(rows, ProfileGeneric)
        # what it captured after the last night's reading is not here yet: its own sessions
        late = len(had) - len(found[profile])
        changed = had[:-late] if late else had
        if profile == device.LOAD_PROFILE:
            lost = sorted(set(had) - set(found[profile]))
            named = [gap for gap in stand.recorder.gaps if gap[2] == "period-changed"]
            assert all(any(a <= row <= b for a, b, _ in named) for row in lost), lost
            changed = [row for row in had if row not in lost]
        assert found[profile] == changed, profile
        assert late <= 2 or profile == device.LOAD_PROFILE
