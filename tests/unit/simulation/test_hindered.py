"""What hinders us sends no technician: streets in simulated time, with what is ours in the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hal.modem.wmbus.wmbus import MODES
from tests.unit.simulation.test_district import CLOCK, PACKAGE, healthy, intervals, outcomes
from tools.hes import report
from tools.meter.scenario import Figures, Happening, Scenario
from tools.simulation import run
from tools.simulation.district import DAY_S, District

RADIOS = 200


def states(district: District, job: bytes) -> Counter[str]:
    return Counter(row.state for row in district.meters_of(job))


def test_two_hundred_radio_meters_within_the_budget() -> None:
    """S2 has 36 s of air an hour. What is not done in the first minutes waits for the next hour,
    and is done in its first minutes."""

    async def play() -> None:
        scene = Scenario(RADIOS, healthy(rf=1))
        async with District(scene, rf_modem="amber") as district:
            budget = district.modems[0][0].capabilities.budget
            assert budget is not None and budget.total_ms == 3600 * MODES["S2"][1]
            job = district.configure(PACKAGE, tries=3, backoff_s=60)
            await asyncio.sleep(600)
            first = states(district, job)
            assert 0 < first["queued"] < RADIOS and set(first) == {"queued", "succeeded"}
            left_ms = budget.left_ms(district.clock.ticks_ms())
            air_ms = (budget.total_ms - left_ms) // first["succeeded"]  # of one meter
            assert 0 <= left_ms < 3 * air_ms, "the budget of the hour was used"
            await district.finished(job, DAY_S)
            assert outcomes(district, job) == {("OK", "rf"): RADIOS}
            assert {row.attempts for row in district.meters_of(job)} == {1}
            assert report.build(district.store.reports, job)["technician"] == []
            assert intervals(district) == {1800: RADIOS}
            hours = RADIOS * air_ms // budget.total_ms
            minutes = (district.clock.ticks_ms() // 60_000) - 60 * hours
            assert 0 <= minutes <= 10, "as soon as the budget has room again, and no later"

    run(play())


def test_a_budget_that_is_not_back_within_the_window() -> None:
    async def play() -> None:
        async with District(Scenario(RADIOS, healthy(rf=1)), rf_modem="amber") as district:
            job = district.configure(PACKAGE, lasts_s=1800)
            await district.finished(job, 3600)
            found: Counter[tuple[str, str]] = Counter()
            details: set[str] = set()
            for row in district.meters_of(job):
                found[(row.state, row.reason)] += 1
                if row.reason == "not-tried":
                    details.add(row.detail)
            assert set(found) == {("succeeded", "applied"), ("timed-out", "not-tried")}
            assert details == {"hindered: radio-budget"}
            made = report.build(district.store.reports, job)
            assert made["technician"] == []
            steps = {meter["next_step"] for meter in made["meters"] if meter["result"] == "KO"}
            assert steps == {"retry"}

    run(play())


def test_a_modem_that_is_away_for_hours_costs_no_try() -> None:
    async def play(kind: str, mix: Any) -> None:
        gone = Happening(30_000, "hang", kind, 0.0, 3 * 3600_000)
        async with District(Scenario(12, mix, timeline=(gone,))) as district:
            await asyncio.sleep(31)
            job = district.read(CLOCK, tries=1)
            await asyncio.sleep(2 * 3600)
            assert states(district, job) == {"queued": 12}
            await district.finished(job, DAY_S)
            assert outcomes(district, job) == {("VALUE", kind): 12}

    run(play("rf", healthy(rf=1)))
    run(play("plc", healthy(plc=1)))


def test_power_cuts_in_a_row_cost_no_try() -> None:
    async def play() -> None:
        async with District(Scenario(12, healthy(plc=1))) as district:
            await asyncio.sleep(60)
            job = district.configure(PACKAGE, tries=1)
            for _ in range(12):
                await asyncio.sleep(1)
                await district.shut_down()
                district.boot()
                await asyncio.sleep(31)
            await district.finished(job, DAY_S)
            assert outcomes(district, job) == {("OK", "plc"): 12}
            assert intervals(district) == {1800: 12}

    run(play())


def test_one_path_is_silent_and_the_other_hindered() -> None:
    """Over PLC no meter registers; over RF there is room for some. None is given up before RF has
    been tried, however often PLC was."""

    async def play() -> None:
        silent = Figures(21400, 30, loss=1.0)
        scene = Scenario(RADIOS, healthy(both=1), plc=silent)
        async with District(scene, rf_modem="amber") as district:
            await asyncio.sleep(660)  # long enough for a network to form
            job = district.configure(PACKAGE, tries=2, backoff_s=30)
            await asyncio.sleep(1800)
            first = states(district, job)
            assert set(first) == {"queued", "succeeded"} and first["succeeded"] > 50
            await district.finished(job, DAY_S)
            assert outcomes(district, job) == {("OK", "rf"): RADIOS}
            assert report.build(district.store.reports, job)["technician"] == []

    run(play())
