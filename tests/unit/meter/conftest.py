"""A meter whose time stands still until a test moves it."""

from __future__ import annotations

import pytest

from tools.meter.device import build_meter, derive_test_keys
from tools.meter.model import Meter

SERIAL = "AMI0000000001"


class Time:
    """Unix seconds: 2025-06-02 (a Monday) 12:00:00 UTC, 08:00:00 in Chile."""

    def __init__(self) -> None:
        self.now = 1748865600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def meter(time: Time) -> Meter:
    return build_meter(SERIAL, keys=derive_test_keys(7, SERIAL), source=time)
