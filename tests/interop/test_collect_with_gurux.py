"""Collecting of a task from a meter made of gurux-dlms as it is: load profile and event log, by
range, by entry and whole, plain and ciphered, over wrapper and HDLC."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from gurux_dlms import GXDateTime
from gurux_dlms.enums import DataType
from gurux_dlms.objects import GXDLMSCaptureObject, GXDLMSClock, GXDLMSData

from gateway.activities.readings import Collector
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.task import LOG, PROFILE, VALUES, Item
from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr, obis
from hal.sim.clock import ManualClock
from tests.interop.gurux_meter import HDLC, WRAPPER, GuruxMeter
from tests.interop.gurux_objects import ROWS, Profile, captured_at
from tests.interop.test_client_with_gurux_meter import glo, plain, run
from tests.portable.activities.profile_meter import Recorder

LOAD = obis.parse("1.0.99.1.0.255")
EVENTS = obis.parse("0.0.99.98.0.255")
ENERGY = obis.parse("1.0.1.8.0.255")
FIRST = int(captured_at(0).replace(tzinfo=UTC).timestamp())
NOW = FIRST + 900 * (ROWS - 1) + 60
ITEMS = [
    Item(VALUES, objects=[(3, ENERGY, 2)]),
    Item(PROFILE, objects=[(7, LOAD, 2)]),
    Item(LOG, objects=[(7, EVENTS, 2)]),
]


class WithoutRanges(Profile):
    def getValue(self, settings: Any, e: Any) -> Any:
        if e.index == 2 and e.selector == 1:
            e.error = 250
            return None
        return super().getValue(settings, e)


def with_log(meter: GuruxMeter, kind: type[Profile] = Profile) -> Profile:
    """The meter has an event log too, of three events, two of them in one second."""
    code = GXDLMSData("0.0.96.11.0.255")
    code.setDataType(2, DataType.UINT8)
    code.value = 1
    log = kind("0.0.99.98.0.255")
    log.profileEntries = 100
    log.captureObjects.append((GXDLMSClock(), GXDLMSCaptureObject(2, 0)))
    log.captureObjects.append((code, GXDLMSCaptureObject(2, 0)))
    for place, number in ((2, 1), (2, 2), (5, 47)):
        log.buffer.append([GXDateTime(captured_at(place)), number])
    log.entriesInUse = 3
    meter.settings.objects.append(log)
    meter.settings.objects.append(code)
    return log


@pytest.mark.parametrize("level", [plain, glo])
@pytest.mark.parametrize("interface", [WRAPPER, HDLC], ids=["wrapper", "hdlc"])
def test_load_profile_and_event_log(interface: int, level: Any) -> None:
    clock, recorder = ManualClock(NOW), Recorder()
    collector = Collector(clock)
    made = level(interface)
    log = with_log(made[0])

    async def work(one: Client, meter: GuruxMeter) -> None:
        found = await collector.collect(one, "G1", OWN_MODEL, ITEMS, recorder, "night", 30)
        assert found.gaps == [] and found.rows == 1 + ROWS + 3
        load = [row for row in recorder.kept if len(row) == 3 and row[1] % 1000 == 0]
        assert [row[:2] for row in load] == [[FIRST + 900 * n, 1000 * n] for n in range(ROWS)]
        events = recorder.kept[ROWS:]
        assert [row[:2] for row in events] == [
            [FIRST + 1800, 1],
            [FIRST + 1800, 2],
            [FIRST + 4500, 47],
        ]
        ((_, _, _, data, scaler, unit),) = recorder.read[0][3]
        assert axdr.decode(data)[1] == 1234567 and (scaler, unit) == (0, 30)  # gurux: 10 ** 0
        assert recorder.layouts[0][3][1][5:] == (0, 30)
        # A second time: what is new, and nothing else.
        log.buffer.append([GXDateTime(captured_at(5)), 47])
        log.entriesInUse = 4
        found = await collector.collect(one, "G1", OWN_MODEL, ITEMS, recorder, "night", 30)
        assert (found.gaps, found.rows) == ([], 1 + 1)
        assert recorder.kept[-1][:2] == [FIRST + 4500, 47]

    run(made, work)


def test_by_entries_where_ranges_are_refused() -> None:
    clock, recorder = ManualClock(NOW), Recorder()
    collector = Collector(clock)
    made = plain(WRAPPER)
    log = with_log(made[0], WithoutRanges)

    async def work(one: Client, meter: GuruxMeter) -> None:
        found = await collector.collect(one, "G1", OWN_MODEL, ITEMS[2:], recorder, "night", 30)
        assert (found.gaps, found.rows) == ([], 3)
        log.buffer.append([GXDateTime(captured_at(9)), 5])
        log.entriesInUse = 4
        found = await collector.collect(one, "G1", OWN_MODEL, ITEMS[2:], recorder, "night", 30)
        assert (found.gaps, found.rows) == ([], 1)

    run(made, work)
