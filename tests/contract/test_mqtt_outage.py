"""The Uplink contract through a long outage, on both runtimes."""

from __future__ import annotations

import pytest

from tests.contract.conftest import RunCase, cases

LAYOUTS = ("0", "208", "5008")  # octets allocated before all else


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_outage"))
def test_mqtt_outage(
    runtime: str,
    case: str,
    run_case: RunCase,
    mqtt_environment: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MicroPython's collector takes whatever looks like an address for one, so in one layout of the
    heap a stale word may hold a chain of what is dead. A leak is there in every layout."""
    for layout in LAYOUTS:
        monkeypatch.setenv("HEAP_LAYOUT", layout)
        try:
            run_case(runtime, "portable_mqtt_outage", case)
            return
        except AssertionError as error:
            if runtime == "cpython" or layout == LAYOUTS[-1] or "octets more" not in str(error):
                raise
