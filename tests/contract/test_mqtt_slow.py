"""The Uplink contract at 2 and 4 kbit/s on both runtimes, through a slow line to a real Mosquitto.

4 kbit/s where the keepalive time is short: Mosquitto does not count what comes of a packet's last
1000 octets as a sign of life before they are complete.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.conftest import RunCase, cases
from tests.mosquitto import Broker
from tests.system.faulty_line import FaultyLine

SLOW, SLOWEST = 4000, 2000  # bit/s
KEEPALIVE_S = 2
OCTETS = 6000  # 12 seconds


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("case", cases("portable_mqtt_slow"))
def test_mqtt_slow(
    runtime: str,
    case: str,
    run_case: RunCase,
    broker: Broker,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyLine(broker.port) as line, FaultyLine(broker.tls_port, tls=True) as tls:
        line.bits_per_second, tls.bits_per_second = SLOW, SLOWEST
        for name, value in (
            ("MQTT_PORT", line.port),
            ("MQTT_TLS_PORT", tls.port),
            ("MQTT_CERTIFICATES", certificates),
            ("MQTT_FAST_PORT", broker.port),
            ("MQTT_KEEPALIVE_S", KEEPALIVE_S),
            ("MQTT_OCTETS", OCTETS),
        ):
            monkeypatch.setenv(name, str(value))
        run_case(runtime, "portable_mqtt_slow", case)
