"""A store, a signing key, and a real Mosquitto that can be stopped and started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto
from tools.hes.store.store import Store
from tools.package.keys import SigningKey


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "hes.sqlite")
    yield store
    store.close()


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()
