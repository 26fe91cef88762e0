"""The Uplink on both runtimes against a server that speaks MQTT badly."""

from __future__ import annotations

import pytest

from tests.contract.conftest import RunCase, cases


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_hostile"))
def test_mqtt_hostile(runtime: str, case: str, run_case: RunCase) -> None:
    run_case(runtime, "portable_mqtt_hostile", case)
