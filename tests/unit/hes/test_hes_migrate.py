"""Databases that earlier versions of ami-hes made: `data/database-N.sql` are dumps of theirs, with
a configuration that ended (one meter OK, one KO) and a reading whose cancel waits to be sent.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from gateway.contract.job import Canary
from gateway.contract.window import Daily
from tests.unit.hes.orders import CONCENTRATOR, METERS
from tools.hes import report
from tools.hes.orders import order, typed
from tools.hes.store.migrate import USER_VERSION
from tools.hes.store.problems import StoreProblem
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

OLD = ["database-1.sql", "database-2.sql"]


@pytest.fixture(params=OLD)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "old.sqlite"
    db = sqlite3.connect(path)
    db.executescript((Path(__file__).parent / "data" / request.param).read_text())
    columns = [row[1] for row in db.execute("PRAGMA table_info(jobs)")]
    db.close()
    assert "daily" not in columns and "paused" not in columns
    return path


def test_nothing_is_lost_and_work_goes_on(old: Path, key: SigningKey) -> None:
    store = Store(old)
    reading, configuration = [row.id for row in store.reports.jobs()]
    made = report.build(store.reports, configuration)
    assert made["state"] == "succeeded"
    assert [(meter["serial"], meter["result"]) for meter in made["meters"]] == [
        ("AMI01", "OK"),
        ("AMI02", "KO"),
    ]
    assert [order.kind for order in store.line.orders(CONCENTRATOR)] == ["job", "cancel"]
    order.pause(store.orders, key, reading, True)

    # What came later works on what was there before.
    again = order.retry(store.orders, key, configuration, time.time())
    assert store.reports.earlier(again) == [configuration]
    now = int(time.time())
    terms = order.Terms(5, 0, now + 3600, 3, 30, Daily(79200, 18000, 0x1F), Canary(1, 90))
    attribute = typed.parse_attribute("clock 0.0.1.0.0.255 time")
    order.read(store.orders, key, CONCENTRATOR, METERS, terms, [attribute])
    store.close()


def test_once_is_enough(old: Path) -> None:
    for _ in range(2):
        store = Store(old)
        assert len(store.reports.jobs()) == 2
        store.close()
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA user_version").fetchone()[0] == USER_VERSION
    db.close()


def test_a_new_one_is_of_today(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    Store(path).close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == USER_VERSION
    db.close()


def test_one_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "later.sqlite"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = %d" % (USER_VERSION + 1))
    db.close()
    with pytest.raises(StoreProblem, match="later version"):
        Store(path)
