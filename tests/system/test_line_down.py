"""The line to the HES goes down in the middle of a job: the gateway finishes its meters meanwhile,
and everything it has to tell arrives once the line is back. So too when it restarts in between.

One meter stays silent until the line is down, so the job cannot be over before.
"""

from __future__ import annotations

import time

import pytest

from tests.mosquitto import Broker
from tests.system.orders import normal_meters, period_of, period_package, signed
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage, complaints
from tools.hes import report
from tools.hes.orders import order
from tools.hes.store.store import Store
from tools.meter.control import Control

METERS = 9
WANTED = 900  # seconds, capture period
PATIENCE = 300  # seconds; only a defect takes so long


@pytest.mark.parametrize("restart", [False, True], ids=["runs-on", "restarts"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_line_down(stage: Stage, broker: Broker, runtime: str, restart: bool) -> None:
    stage.start_meters(METERS, seed=5, loss=0.0, speed=20.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    with stage.control() as control:
        serials = normal_meters(control)
        silent, others = serials[-1], serials[:-1]
        control.fault(silent, "dead", True)
        store = stage.store()
        job = _order(stage, store, serials)
        stage.wait_for("the package on the gateway's flash", PATIENCE, lambda: _package(stage))
        broker.stop()
        if restart:
            stage.wait_for("a first meter", PATIENCE, lambda: _done(control, others))
            stage.kill("gateway")
            stage.start_gateway(runtime)
        control.fault(silent, "dead", False)
        stage.wait_for("all meters", PATIENCE, lambda: len(_done(control, serials)) == len(serials))
        during = {
            row["serial"]: row["result"] for row in report.build(store.reports, job)["meters"]
        }
        assert during[silent] == "PENDING"

        broker.start()
        stage.wait_for("the rest of the reports", PATIENCE, lambda: store.reports.finished(job))
        after = report.build(store.reports, job)
        assert after["state"] == "succeeded"
        assert {row["serial"]: row["result"] for row in after["meters"]} == dict.fromkeys(
            serials, "OK"
        )
        for serial in serials:
            assert [entry["count"] for entry in control.log(serial)] == [1]
        assert complaints(store.reports) == []  # each would be a complaint


def _order(stage: Stage, store: Store, serials: list[str]) -> bytes:
    package = signed(period_package(WANTED), stage.key)
    terms = order.Terms(5, 0, int(time.time()) + 3600, tries=10, backoff=1)
    return order.configure(store.orders, stage.key, CONCENTRATOR, serials, terms, package)


def _package(stage: Stage) -> bool:
    files = list(stage.data.glob("package-*"))
    return bool(files) and all(file.suffix != ".part" for file in files)


def _done(control: Control, serials: list[str]) -> list[str]:
    return [serial for serial in serials if period_of(control, serial) == WANTED]
