"""Rows on demand, all the way: a signed job, virtual meters of several makes behind a PRIME modem,
the stream of readings, and the HES's own tables."""

from __future__ import annotations

from gateway.contract.result import OK
from tests.unit.simulation.test_district import healthy
from tools.hes.orders import order
from tools.meter import device
from tools.meter.profile import ProfileGeneric
from tools.meter.scenario import Scenario
from tools.simulation import run
from tools.simulation.district import CONCENTRATOR, District

HOUR_MS = 3_600_000


def test_a_profile_of_meters_of_four_makes() -> None:
    async def play() -> None:
        shares = healthy(plc=1)
        shares.makes = {"ami": 1, "idis": 1, "smr": 1, "spain": 1}
        async with District(Scenario(4, shares)) as district:
            await district.clock.sleep_ms(HOUR_MS * 5 // 2)
            end = int(district._now())
            job = order.readings(
                district.store.orders,
                district.key,
                CONCENTRATOR,
                list(district.members),
                district._terms(tries=3),
                "load-profile",
                end - 2 * 3600,
                end,
            )
            await district.finished(job)
            assert [each.outcome for each in district.meters_of(job)] == [OK] * 4
            await district.clock.sleep_ms(60_000)
            readings = district.store.readings
            for serial, member in district.members.items():
                profile = member.server.meter.objects[7, device.LOAD_PROFILE]
                assert isinstance(profile, ProfileGeneric)
                had = [at for at, _ in profile.rows if end - 2 * 3600 <= at <= end]
                (series,) = readings.series(CONCENTRATOR, serial, [(7, profile.logical_name)])
                found = [row.time for _, row in readings.rows(series.id, end - 2 * 3600, end + 1)]
                assert found == had and len(had) >= 2, serial

    run(play())
