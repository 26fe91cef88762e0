"""The real gateway, its drivers and its HES in simulated time, judged by the meters themselves."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tools.simulation
from gateway.contract.package import Check, Package, Set
from gateway.dlms.data import axdr, obis
from tools.meter.population import Mix
from tools.meter.scenario import (
    MAM_FIGURES,
    PLC_FIGURES,
    Figures,
    Happening,
    Scenario,
    read_scenario,
)
from tools.simulation import run
from tools.simulation.district import DAY_S, START, District

SCENARIOS = Path(tools.simulation.__file__).parent / "scenarios"
CLOCK = "clock 0.0.1.0.0.255 time"
INTERVAL = (7, obis.parse("1.0.99.1.0.255"), 4, axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1800)))
PACKAGE = Package(
    "interval-1800", "1", "", [("AMI-E450", [])], [Set(*INTERVAL)], [Check(*INTERVAL)]
)


def healthy(**shares: int) -> Mix:
    mix = {"plc": 0, "rf": 0, "both": 0, "ip": 0, **shares}
    return Mix(**mix, dead=0, refuses_write=0, other_firmware=0)


def outcomes(district: District, job: bytes) -> Counter[tuple[str, str]]:
    return Counter((row.outcome, row.path) for row in district.meters_of(job))


def intervals(district: District) -> Counter[int]:
    """What the meters themselves have."""
    return Counter(
        member.server.meter.read(7, "1.0.99.1.0.255", 4)[1] for member in district.members.values()
    )


def test_every_medium_is_read_and_configured() -> None:
    async def play() -> None:
        async with District(Scenario(24, healthy(plc=1, rf=1, both=1, ip=1))) as district:
            assert intervals(district) == {3600: 24}
            job = district.configure(PACKAGE)
            await district.finished(job, 3600)
            found = outcomes(district, job)
            assert found[("OK", "rf")] == found[("OK", "ip")] == 6 and found[("OK", "plc")] == 12
            assert intervals(district) == {1800: 24}
            began = district.clock.unix_time()
            job = district.read(CLOCK)
            await district.finished(job, 3600)
            assert {outcome for outcome, _ in outcomes(district, job)} == {"VALUE"}
            for row in district.meters_of(job):
                told = axdr.decode(_first(row.value))[1]
                assert told[:2] == (2027).to_bytes(2, "big")  # the meters live in the same time
            assert district.clock.unix_time() - began < 120
            assert district.broker.messages["report"] >= 2

    run(play())


@pytest.mark.parametrize(
    ("plc", "rf"), [("meters-and-more", "amber"), ("dlms-o-tcp", "imst"), ("prime", "amber")]
)
def test_every_make_of_modem(plc: str, rf: str) -> None:
    async def play() -> None:
        figures = MAM_FIGURES if plc == "meters-and-more" else PLC_FIGURES
        scene = Scenario(16, healthy(plc=1, rf=1), plc=figures)
        async with District(scene, plc_modem=plc, rf_modem=rf) as district:
            job = district.configure(PACKAGE, tries=5)
            await district.finished(job, DAY_S)
            assert outcomes(district, job) == {("OK", "plc"): 8, ("OK", "rf"): 8}
            assert intervals(district) == {1800: 16}

    run(play())


def _first(value: list[bytes] | None) -> bytes:
    assert value is not None
    return value[0]


def test_a_day_and_its_dates() -> None:
    async def play() -> None:
        async with District(Scenario(4, healthy(plc=1), starts_ms=17 * 3600_000)) as district:
            assert district.clock.unix_time() == START + 17 * 3600
            await asyncio.sleep(3600)
            assert district.clock.unix_time() == START + 18 * 3600
            member = district.members["AMI0000000001"]
            assert member.server.meter.now() == START + 18 * 3600

    run(play())


async def _evening() -> tuple[list[Any], int]:
    """Everything that the HES heard of a job in a bad evening, and how long it took."""
    async with District(read_scenario(SCENARIOS / "evening.yaml"), 3) as district:
        job = district.read(CLOCK, tries=3, backoff_s=300)
        await district.finished(job, DAY_S)
        rows = district.meters_of(job)
        return [dataclasses.astuple(row) for row in rows], district.clock.ticks_ms()


def test_the_same_seed_takes_the_same_course() -> None:
    first = run(_evening())
    assert first == run(_evening())
    found = Counter(row[1] for row in first[0])
    assert found["succeeded"] >= 45 and found["failed"] >= 1  # one is dead
    script = "from tests.unit.simulation.test_district import _evening, run; print(run(_evening()))"
    for seed in ("1", "2"):  # whatever the order of sets
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        text = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=Path(tools.simulation.__file__).parents[2],
        ).stdout
        assert text == "%r\n" % (first,)


def test_a_restart_in_the_middle_loses_nothing() -> None:
    async def play() -> None:
        scene = Scenario(40, healthy(plc=3, rf=1), plc=Figures(21400, 30, loss=0.05))
        async with District(scene) as district:
            job = district.configure(PACKAGE)
            await asyncio.sleep(20)
            done = outcomes(district, job)
            assert 0 < 40 - done[("", "")] < 40
            await district.shut_down()
            await asyncio.sleep(600)
            district.boot()
            await district.finished(job, DAY_S)
            assert {outcome for outcome, _ in outcomes(district, job)} == {"OK"}
            assert intervals(district) == {1800: 40}
            written = [
                member.server.meter.log.count("set", 7, "1.0.99.1.0.255", 4)
                for member in district.members.values()
            ]
            assert written == [1] * 40

    run(play())


def test_hours_without_the_line_and_then_everything_is_told() -> None:
    async def play() -> None:
        async with District(Scenario(200, healthy(plc=1))) as district:
            job = district.read(CLOCK)
            await asyncio.sleep(30)
            assert not district.store.reports.finished(job)
            district.broker.up = False
            await asyncio.sleep(6 * 3600)
            assert not district.store.reports.finished(job)
            district.broker.up = True
            await district.finished(job, 3600)
            assert outcomes(district, job) == {("VALUE", "plc"): 200}

    run(play())


def test_a_hanging_modem_costs_time_and_no_meter() -> None:
    async def play() -> None:
        hang = Happening(60_000, "hang", "plc", 0.0, 600_000)
        scene = Scenario(20, healthy(plc=1, both=1), timeline=(hang,))
        async with District(scene, log_level="error") as district:
            await asyncio.sleep(90)
            job = district.configure(PACKAGE, tries=5, backoff_s=300)
            await district.finished(job, DAY_S)
            found = outcomes(district, job)
            assert found[("OK", "plc")] + found[("OK", "rf")] == 20
            assert found[("OK", "rf")] >= 1  # those with both did not wait
            assert intervals(district) == {1800: 20}

    run(play())


def test_a_thousand_meters() -> None:
    async def play() -> None:
        scene = Scenario(1000, healthy(plc=1), plc=Figures(21400, 30, 5, (50, 30, 20), 0.02))
        async with District(scene) as district:
            await asyncio.sleep(60)
            job = district.configure(PACKAGE)
            await district.finished(job, DAY_S)
            assert outcomes(district, job) == {("OK", "plc"): 1000}
            assert intervals(district) == {1800: 1000}

    run(play())
