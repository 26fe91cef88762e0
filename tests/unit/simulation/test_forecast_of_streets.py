"""When a job is expected to end, against when it does: right within 30 % from half-way on, whatever
lives in the street."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.simulation.test_district import CLOCK, PACKAGE
from tools.meter.image import make_image
from tools.meter.population import Mix
from tools.meter.scenario import Figures, Scenario
from tools.simulation import run
from tools.simulation.district import DAY_S, District

FIRMWARE = "V03.00.00"
IMAGE = make_image("AMI-E450", FIRMWARE, bytes(8000))
STEP_S = 5

Ordered = Callable[[District], bytes]
Told = list[tuple[float, float, list[list[Any]]]]


def mix(**shares: int) -> Mix:
    names = ("plc", "rf", "both", "ip", "dead", "refuses_write", "other_firmware")
    return Mix(**{**dict.fromkeys(names, 0), **shares})


def street(meters: int, shares: Mix) -> Scenario:
    return Scenario(meters, shares, plc=Figures(21400, 30, loss=0.02))


def configure(district: District) -> bytes:
    return district.configure(PACKAGE, tries=3, backoff_s=60)


def image(district: District) -> bytes:
    return district.image(IMAGE, FIRMWARE, "unicast", tries=3, backoff_s=60)


async def told(district: District, ordered: Ordered, step_s: int = STEP_S) -> Told:
    """What was expected of the job all along: (its time so far, and the expected end, both as
    shares of what it took in all; 0.0: no end was told; who waited for what)."""
    job, began = ordered(district), district._now()
    looks: list[tuple[float, float, list[list[Any]]]] = []
    while not district.store.reports.finished(job):
        await district.clock.sleep_ms(step_s * 1000)
        for one in district.gateway._queue.progress():
            if one.job_id == job:
                end = one.end - began if one.end else 0.0
                looks.append((district._now() - began, end, one.waiting))
    took = district._now() - began
    return [(at / took, end / took, waiting) for at, end, waiting in looks]


def wrong(looks: Told, least: float = 0.5) -> Told:
    return [look for look in looks if look[0] >= least and not 0.7 <= look[1] <= 1.3]


@pytest.mark.parametrize(
    ("shares", "ordered"),
    [
        (mix(plc=1), configure),
        (mix(plc=1, dead=20), configure),
        (mix(plc=1, dead=10, refuses_write=30, other_firmware=20), configure),
        (mix(plc=1, both=1, dead=1), configure),
        (mix(plc=1, dead=10), image),
    ],
    ids=["healthy", "silent", "refusing", "one-silent", "image"],
)
def test_the_end_is_told_from_half_way_on(shares: Mix, ordered: Ordered) -> None:
    async def play() -> None:
        async with District(street(60, shares)) as district:
            await district.clock.sleep_ms(60_000)
            looks = await told(district, ordered)
            assert len(looks) > 4 and wrong(looks) == []

    run(play())


def test_meters_known_to_be_silent_are_reckoned_with_from_the_first() -> None:
    async def play() -> None:
        async with District(street(60, mix(plc=1, dead=20))) as district:
            await district.clock.sleep_ms(60_000)
            await district.finished(district.read(CLOCK), DAY_S)
            looks = await told(district, configure)
            assert wrong(looks, 0.25) == []

    run(play())


@pytest.mark.parametrize("meters", [200, 400])
def test_the_radio_budget_is_reckoned_with(meters: int) -> None:
    """Also where it takes several hours of it."""

    async def play() -> None:
        async with District(Scenario(meters, mix(rf=1)), rf_modem="amber") as district:
            looks = await told(district, configure, 60)
            assert wrong(looks, 0.1) == []
            waiting = [row for look in looks if 0.2 < look[0] < 0.5 for row in look[2]]
            assert {row[0] for row in waiting} == {"radio-budget"}
            assert {len(row) for row in waiting} == {3}, "until when is told"

    run(play())


def test_a_verification_of_twenty_minutes_is_not_about_to_end() -> None:
    """The first meters verify for as long as nobody can say; then the others are known to."""

    async def play() -> None:
        async with District(Scenario(6, mix(plc=1))) as district:
            await district.clock.sleep_ms(60_000)
            for member in district.members.values():
                member.server.meter.faults.slow_verify_s = 1200
            looks = await told(district, image, 30)
            waits = [look for look in looks if [row for row in look[2] if "verif" in row[0]]]
            assert len(waits) > 10
            assert [look[1] for look in waits if look[0] < 0.9 and look[1]] == []

    run(play())
