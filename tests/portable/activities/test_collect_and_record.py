"""Collected and recorded together: every row of a meter is in the stream once, over restarts of the
gateway and visits that break off."""

from __future__ import annotations

import asyncio

from gateway.contract import block
from gateway.contract.reading_record import Gap, Layout, Rows
from gateway.dlms.errors import DlmsError
from hal.sim.storage import MemoryStorage
from tests.portable.activities.profile_meter import NOON, Scene
from tests.portable.readings.support import World


def test_every_row_is_in_the_stream_once() -> None:
    asyncio.run(_every_row())


async def _every_row() -> None:
    scene, world = Scene(), World(MemoryStorage())
    broken = 0
    for visit in range(8):
        scene.recorder = world.recorder()
        scene.meter.breaks_after = 3 if visit % 3 == 1 else -1
        try:
            await scene.visit()
        except (DlmsError, OSError, asyncio.TimeoutError):
            broken += 1
        scene.later(9 * 900)
        if visit % 2:
            world.open()
            scene.restart()
    scene.meter.breaks_after = -1
    scene.recorder = world.recorder()
    await scene.visit()
    rows = []
    layouts = 0
    for _, record in world.sent():
        assert not isinstance(record, Gap)
        layouts += isinstance(record, Layout)
        if isinstance(record, Rows):
            assert (record.serial, record.task) == ("M1", "night")
            rows += block.decode(record.block)
    assert layouts == 1 and broken >= 2
    assert [row[0] for row in rows] == [unix for _, unix, _ in scene.meter.rows]
    assert rows[-1][0] > NOON
