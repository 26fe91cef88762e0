"""The gateway is killed in the middle of a job, again and again; every meter still ends as it must,
and nothing is written twice.
"""

from __future__ import annotations

import time

import pytest

from gateway.uplink import envelope
from tools import judge
from tools.hes import order, report
from tools.package.__main__ import EXAMPLES
from tools.package.compile import compile_file
from tools.stage import CONCENTRATOR, RUNTIMES, Stage

METERS = 12
KILLS = (1, 4, 7)  # when so many meters have their result


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sigkill_mid_job(stage: Stage, runtime: str) -> None:
    package = compile_file(EXAMPLES / "tariff-calendar.yaml")  # many steps, one of them a method
    raw = envelope.sign(package.to_payload(), stage.key.kid, stage.key.sign)
    stage.start_meters(METERS, seed=5, loss=0.05, speed=8.0)
    stage.start_hes()
    stage.start_gateway(runtime)
    store = stage.store()
    with stage.control() as control:
        serials = [meter["serial"] for meter in control.meters()]
        terms = order.Terms(5, 0, int(time.time()) + 3600, tries=3, backoff=1)
        job = order.configure(store, stage.key, CONCENTRATOR, serials, terms, raw)

        def ended() -> int:
            return METERS - int(report.build(store, job)["summary"]["pending"])

        for count in KILLS:
            stage.wait_for("%d results" % count, 120, lambda count=count: ended() >= count)
            stage.kill("gateway")
            stage.start_gateway(runtime)
        stage.wait_for("the job's end", 150, lambda: store.finished(job))
        found = judge.complaints(report.build(store, job), package, control)
    assert found == []
