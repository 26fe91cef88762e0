"""Alarms of virtual meters of each make, over our client: read, told once, and cleared where the
make keeps them until they are written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.activities.readings import Collected, Collector
from gateway.contract.reports import MeterAlarm
from gateway.contract.task import ALARMS, Item
from gateway.dlms.data import axdr
from tests.unit.activities.test_collect_from_makes import SERIAL, Stand
from tools.meter import device, makes
from tools.meter.makes import MAKES

RAISING = [name for name, make in MAKES.items() if makes.COVER_OPENED in make.alarms]


class Alarms:
    """Remembers like the gateway's."""

    def __init__(self) -> None:
        self.told: list[MeterAlarm] = []
        self._bits: dict[str, set[int]] = {}

    def fresh(self, serial: str, source: str, bits: list[int]) -> list[int]:
        return [bit for bit in bits if bit not in self._bits.get(source, set())]

    async def tell(self, alarm: MeterAlarm) -> bool:
        self.told.append(alarm)
        self._bits.setdefault(alarm.source, set()).update(alarm.bits)
        return True

    def stay(self, serial: str, source: str, bits: list[int]) -> None:
        self._bits.setdefault(source, set()).intersection_update(bits)


async def visit(stand: Stand, alarms: Any) -> Collected:
    collector = Collector(stand.clock, None, alarms)
    await stand.client.associate()
    found = await collector.collect(
        stand.client, SERIAL, stand.model, [Item(ALARMS)], stand.recorder, "alarms", 1
    )
    await stand.client.release()
    return found


@pytest.mark.parametrize("name", RAISING)
def test_a_cover_is_told_once_and_cleared(name: str) -> None:
    stand, alarms = Stand(MAKES[name]), Alarms()
    bit = MAKES[name].alarms[makes.COVER_OPENED]

    keeps, cleared = "alarm-descriptor-1", MAKES[name].descriptor
    if "alarm-descriptor-1" not in [word for word, _, _ in stand.model.objects]:
        keeps, cleared = "alarm-register-1", device.ALARM_REGISTER

    async def days() -> None:
        quiet = await visit(stand, alarms)
        assert not alarms.told and quiet.rows >= 1, quiet.details
        everything = (axdr.DOUBLE_LONG_UNSIGNED, 0xFFFFFFFF)
        stand.meter.find(1, device.ALARM_FILTER).write(2, everything, 1)
        for times in (1, 2):
            stand.meter.happen(makes.COVER_OPENED)
            for _ in range(2):
                await visit(stand, alarms)
            mine = [each.source for each in alarms.told if bit in each.bits]
            kept = [each for each in mine if each == keeps]
            assert len(kept) == times, mine
            assert len(mine) - len(kept) <= 1  # a register that a descriptor stands beside
            assert stand.meter.find(1, cleared).value(2)[1] == 0

    asyncio.run(days())


def test_there_are_such_makes() -> None:
    assert len(RAISING) >= 2
