"""A gateway whose data folder was put back from a copy: the HES notices, both sides say so, the
counters go on ahead, and the meters are worked as before. Real processes, both runtimes."""

from __future__ import annotations

import shutil
import time

import pytest

from gateway.contract.result import VALUE
from gateway.meters.counters import Counters
from hal.cpython.storage import FolderStorage
from hal.sim.storage import MemoryStorage
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.hes import report
from tools.hes.orders import order, typed
from tools.meter.population import DEAD

METERS = 3
CLOCK = "clock 0.0.1.0.0.255 time"
EVENT = "folder-rolled-back"


def read_all(stage: Stage, serials: list[str]) -> None:
    store = stage.store()
    terms = order.Terms(5, 0, int(time.time()) + 3600, tries=3, backoff=1)
    job = order.read(
        store.orders, stage.key, CONCENTRATOR, serials, terms, [typed.parse_attribute(CLOCK)]
    )
    stage.wait_for("the job's end", 600, lambda: store.reports.finished(job))
    rows = report.build(store.reports, job)["meters"]
    assert [row["result"] for row in rows] == [VALUE] * len(serials), rows
    store.close()


def numbers(stage: Stage, serials: list[str]) -> list[int]:
    """Of each meter a number that was not given out yet; of a copy, as it is looked into."""
    copy = MemoryStorage()
    for name in (storage := FolderStorage(str(stage.data))).names():
        if name.startswith("counters."):
            copy.replace(name, storage.read(name))
    counters = Counters(copy, bytes)
    return [counters.next(serial) for serial in serials]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_copy_that_was_put_back(stage: Stage, runtime: str) -> None:
    stage.start_meters(METERS, seed=7, loss=0.0, speed=8.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    with stage.control() as control:
        serials = [one["serial"] for one in control.meters() if one["role"] != DEAD]
    read_all(stage, serials)
    stage.kill("gateway")
    copy = stage.folder / "copy"
    shutil.copytree(stage.data, copy)
    for _ in range(2):
        stage.start_gateway(runtime)
        read_all(stage, serials)
        stage.kill("gateway")
    used = numbers(stage, serials)
    shutil.rmtree(stage.data)
    shutil.copytree(copy, stage.data)
    stage.start_gateway(runtime)
    store = stage.store()

    def events() -> list[str]:
        return [each.name for each in store.reports.events()]

    stage.wait_for("the HES to notice", 300, lambda: EVENT in events())
    stage.wait_for("the gateway to notice", 300, lambda: stage.said("gateway", "folder"))
    assert all(
        number > before for number, before in zip(numbers(stage, serials), used, strict=True)
    )
    store.close()
    read_all(stage, serials)
