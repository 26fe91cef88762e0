"""An alarm that a virtual meter pushes by itself: heard, proven, visited, told and cleared."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.activities.readings import Collector
from gateway.alarms.hearing import Hearing
from gateway.alarms.outages import Outages
from gateway.alarms.telling import Telling
from gateway.alarms.told import Told
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.reports import MeterAlarm
from gateway.contract.task import Task
from gateway.dlms import apdu
from gateway.dlms.data import axdr
from gateway.dlms.protection.keyring import Keys
from gateway.meters.access import Access
from gateway.meters.inventory import Meter
from hal.cpython.crypto import SystemCrypto
from hal.ports import Rx
from hal.sim.clock import ManualClock
from tests.portable.alarms.test_hearing import Reach, Scene
from tests.unit.activities.test_collect_from_makes import SERIAL, Stand
from tools.meter import device, makes
from tools.meter.server import MeterServer


class Reaching(Reach):
    """The virtual meter, and its keys."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, [Meter(SERIAL, [("plc", "01")])])
        self.crypto = SystemCrypto()

    def access(self, meter: Meter) -> Access:
        keys = device.derive_test_keys(7, SERIAL)
        return Access(OWN_MODEL, Keys(self.system_title, keys.ek, keys.ak))


def test_a_push_leads_to_a_visit_that_tells_and_clears() -> None:
    stand, scene = Stand(makes.IDIS), Scene()
    server = MeterServer(stand.meter, 640)
    telling = Telling(scene.ledger, Told(scene.storage), scene.clock)
    tasks: list[Task] = []

    def visit(serial: str, task: Task) -> bool:
        tasks.append(task)
        return True

    hearing = Hearing(
        Reaching(scene.clock),
        telling,
        visit,
        scene.ledger.event,
        scene.storage,
        Outages(scene.ledger, scene.clock),
    )

    def reported() -> list[Any]:
        bodies = [report.body for report in scene.ledger.reports(0, 99)]
        return [(body.source, body.bits) for body in bodies if isinstance(body, MeterAlarm)]

    async def go_there() -> None:
        await stand.client.associate()
        collector = Collector(stand.clock, None, telling)
        await collector.collect(
            stand.client, SERIAL, stand.model, tasks[0].items, stand.recorder, "alarms", 1
        )

    everything = (axdr.DOUBLE_LONG_UNSIGNED, 0xFFFFFFFF)
    stand.meter.find(1, device.ALARM_FILTER).write(2, everything, 1)
    stand.meter.happen(makes.COVER_OPENED)
    raised = stand.meter.find(1, makes.IDIS.descriptor).value(2)
    said = apdu.DataNotification(1, b"", axdr.encode((axdr.STRUCTURE, [raised])))
    hearing.take("plc", Rx("01", 1, 1, server.pushed(said.encode()), None))
    asyncio.run(hearing.attend())
    assert (reported(), len(tasks)) == ([("data-notification", [])], 1)
    asyncio.run(go_there())
    assert reported()[1] == ("alarm-descriptor-1", [13])
    assert stand.meter.find(1, makes.IDIS.descriptor).value(2)[1] == 0
