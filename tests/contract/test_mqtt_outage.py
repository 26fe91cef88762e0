"""The Uplink contract through a long outage, on both runtimes."""

from __future__ import annotations

import pytest

from tests.contract.conftest import RunCase, cases


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_outage"))
def test_mqtt_outage(runtime: str, case: str, run_case: RunCase, mqtt_environment: None) -> None:
    run_case(runtime, "portable_mqtt_outage", case)
