"""The protected line on both runtimes, each case against a Mosquitto of its own."""

from __future__ import annotations

import pytest

from tests.contract.conftest import RunCase, cases


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_line"))
def test_mqtt_line(runtime: str, case: str, run_case: RunCase, mqtt_environment: None) -> None:
    run_case(runtime, "portable_mqtt_line", case)
