"""The Uplink contract at 4 kbit/s on both runtimes, through a slow line to a real Mosquitto.

No slower with a keepalive time this short: Mosquitto does not count what comes of a packet's last
1000 octets as a sign of life before they are complete.
"""

from __future__ import annotations

import pytest

from tests.contract.conftest import RunCase, cases
from tests.mosquitto import Broker
from tests.system.faulty_line import FaultyLine

BITS_PER_SECOND = 4000
KEEPALIVE_S = 2
OCTETS = 6000  # 12 seconds


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_slow"))
def test_mqtt_slow(
    runtime: str, case: str, run_case: RunCase, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyLine(broker.port) as line:
        line.bits_per_second = BITS_PER_SECOND
        for name, value in (
            ("MQTT_PORT", line.port),
            ("MQTT_FAST_PORT", broker.port),
            ("MQTT_KEEPALIVE_S", KEEPALIVE_S),
            ("MQTT_OCTETS", OCTETS),
        ):
            monkeypatch.setenv(name, str(value))
        run_case(runtime, "portable_mqtt_slow", case)
