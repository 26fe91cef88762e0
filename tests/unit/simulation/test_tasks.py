"""A night without being told: the default task reads virtual meters, and what they have is at the
HES, each row once; a restart in between, a meter that is silent for a while, and what is asked for
besides."""

from __future__ import annotations

from gateway.dlms.data import obis
from tools.hes.orders import order
from tools.meter.device import LOAD_PROFILE
from tools.meter.population import Mix
from tools.meter.scenario import Scenario
from tools.simulation import run
from tools.simulation.district import CONCENTRATOR, START, District

HOUR = 3600
METERS = 3
IP_ONLY = Mix(plc=0, rf=0, both=0, ip=1, dead=0, refuses_write=0, other_firmware=0)
NAME = obis.parse(LOAD_PROFILE)


def at_the_hes(district: District) -> dict[str, list[int]]:
    """Times of the load profile's rows, by serial."""
    found: dict[str, list[int]] = {}
    for series in district.store.readings.series(CONCENTRATOR):
        if series.obis == NAME:
            rows = district.store.readings.rows(series.id, 0, 1 << 32)
            found[series.serial] = [row.time for _, row in rows]
    return found


def test_a_night() -> None:
    async def play() -> None:
        # Local midnight is an hour after the start: by then each meter has a row.
        district = District(Scenario(METERS, IP_ONLY), settings={"zone": "<-01>1"})
        async with district:
            silent, *others = sorted(district.members)
            answers = district.members[silent].server.answers
            district.members[silent].server.answers = lambda *_: []  # type: ignore[method-assign]
            await district.clock.sleep_ms(HOUR * 1000 + 15 * 60 * 1000)
            wanted = [START + HOUR]
            assert at_the_hes(district) == dict.fromkeys(others, wanted)
            (told,) = district.store.reports.runs()
            assert (told.name, told.meters, told.complete) == ("daily-ami", METERS, METERS - 1)
            assert (told.due, told.rows) == (START + HOUR + 600, 2)
            await district.shut_down()
            district.boot()  # what was read is not read again, and who was silent is tried anew
            district.members[silent].server.answers = answers  # type: ignore[method-assign]
            await district.clock.sleep_ms(5 * 60 * 1000)
            assert at_the_hes(district) == dict.fromkeys([silent, *others], wanted)
            last = district.store.reports.runs()[0]
            assert (last.due, last.complete, last.rows) == (told.due, METERS, 1)
            job = order.readings(
                district.store.orders,
                district.key,
                CONCENTRATOR,
                [silent],
                district._terms(),
                "load-profile",
                START,
                START + 2 * HOUR,
            )
            await district.finished(job)
            (result,) = district.meters_of(job)
            assert result.outcome != "KO", (result.reason, result.detail)
            assert at_the_hes(district) == dict.fromkeys([silent, *others], wanted)

    run(play())
