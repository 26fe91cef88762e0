"""A whole stage for each test: real Mosquitto, meters, HES; the test starts the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import broker, certificates
from tests.mosquitto import Broker
from tools.demonstration.stage import Stage

__all__ = ["broker", "certificates"]


@pytest.fixture
def stage(tmp_path: Path, broker: Broker, micropython: str) -> Iterator[Stage]:
    folder = tmp_path / "stage"
    folder.mkdir()
    with Stage(folder) as stage:
        stage.start_broker("mqtt://board:open%%20sesame@127.0.0.1:%d" % broker.port)
        yield stage
