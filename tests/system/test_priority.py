"""An urgent job overtakes: it starts before the rest of a job that was there first.

All meters are on one PLC modem, which serves eight at a time. They are silent until the urgent job
is accepted, so only those in hand may come before it; what came when shows in the numbers of
the reports.
"""

from __future__ import annotations

import pytest

from tests.mosquitto import Broker
from tests.system.orders import configure_job, period_package, read_job, sign, signed
from tests.system.scripted_hes import ScriptedHes
from tools.demonstration.stage import CONCENTRATOR, RUNTIMES, Stage
from tools.meter.population import NORMAL

METERS = 64
AT_ONCE = 8  # meters_at_once of a PLC modem, gateway/settings.py


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_urgent_job_overtakes(stage: Stage, broker: Broker, runtime: str) -> None:
    stage.plain = True  # the HES is the test
    stage.start_meters(METERS, seed=5, loss=0.0, speed=20.0)
    with ScriptedHes(broker.port, CONCENTRATOR, stage.key) as hes, stage.control() as control:
        serials = [
            meter["serial"]
            for meter in control.meters()
            if meter["role"] == NORMAL and [kind for kind, _ in meter["paths"]] == ["plc"]
        ]
        routine_meters, urgent_meter = serials[:-1], serials[-1]
        assert len(routine_meters) > 3 * AT_ONCE
        for serial in serials:
            control.fault(serial, "dead", True)
        stage.start_gateway(runtime)
        hes.wait_birth()

        package = signed(period_package(900), stage.key)
        hes.serve(package)
        routine = configure_job(routine_meters, package, priority=2, max_attempts=10)
        hes.send("job", sign(routine.encode(), stage.key))
        log = stage.folder / "gateway.log"
        # All that are served at once: the first of them imports what attempts need.
        stage.wait_for(
            "the first attempts", 300, lambda: log.read_text().count("attempt 1") >= AT_ONCE
        )
        urgent = read_job([urgent_meter], priority=9, max_attempts=10)
        hes.send("job", sign(urgent.encode(), stage.key))
        hes.job(0, urgent.id, ("queued",))
        for serial in serials:
            control.fault(serial, "dead", False)

        assert hes.job(0, urgent.id).state == "succeeded"
        assert hes.job(0, routine.id).state == "succeeded"
        (urgent_end,) = [hes.number_of(meter) for meter in hes.meters(urgent.id)]
        routine_ends = [hes.number_of(meter) for meter in hes.meters(routine.id)]
        assert len(routine_ends) == len(routine_meters)
        earlier = [number for number in routine_ends if number < urgent_end]
        # Those in hand at first, and those that were quicker at its side; in the order of arrival
        # it would be all but AT_ONCE - 1.
        assert len(earlier) < 2 * AT_ONCE
