"""A store, a signing key, and a real Mosquitto that can be stopped and started again.

A module with `BOTH = True` has its stores on SQLite and on PostgreSQL, each test on both; the
others on SQLite.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto
from tests.postgresql import Cluster
from tools import programs
from tools.hes.store.schema import metadata
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

ENGINES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames and getattr(metafunc.module, "BOTH", False):
        metafunc.parametrize("engine", ENGINES, indirect=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if programs.find("postgres") is None:
        pytest.skip(programs.why_not("postgres"))
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def of_today(cluster: Cluster) -> str:
    """A database on it, with today's tables."""
    name = cluster.new()
    Store(cluster.url(name)).close()
    return name


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def where(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database of today, empty: a file or a URL."""
    if engine == "sqlite":
        return str(tmp_path / "hes.sqlite")
    cluster, name = request.getfixturevalue("cluster"), request.getfixturevalue("of_today")
    cluster.empty(name, list(metadata.tables))
    return str(cluster.url(name))


@pytest.fixture
def store(where: str) -> Iterator[Store]:
    store = Store(where)
    yield store
    store.close()


@pytest.fixture
def now() -> list[float]:
    """The clock of `clocked`, to be set."""
    return [1_800_000_000.0]


@pytest.fixture
def clocked(where: str, now: list[float]) -> Iterator[Store]:
    """A store whose time stands still."""
    store = Store(where, lambda: now[0])
    yield store
    store.close()


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()
