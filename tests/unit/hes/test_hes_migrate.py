"""Databases that earlier versions of ami-hes made: `data/database-N.sql` are dumps of theirs.

1 and 2 hold a configuration that ended (one meter OK, one KO) and a reading whose cancel waits to
be sent. 3 is of the last version before there were migrations, and holds something in every table;
4 is the same after migration 0001, 5 after 0002 and so on, up to 13 after 0010, each with something
in the tables that its migration has made.
"""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, String, Table, create_engine, inspect, select

from gateway.contract.job import Canary
from gateway.contract.messages import Hello
from gateway.contract.window import Daily
from tests.postgresql import Cluster
from tests.unit.hes.orders import CONCENTRATOR, METERS
from tools.hes import report
from tools.hes.orders import order, security, typed
from tools.hes.orders import task as tasks
from tools.hes.store import migrate
from tools.hes.store.database import Database
from tools.hes.store.migrate import USER_VERSION
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import Modem, Progress, StagedKey, Way, WayChange
from tools.hes.store.schema import metadata
from tools.hes.store.store import Store
from tools.hes.validation.row import WENT_BACK
from tools.package.keys import SigningKey

OLD = ["database-1.sql", "database-2.sql"]
MIGRATED = ["database-%d.sql" % number for number in range(4, 14)]
NOW = 1_790_000_000  # when database-3 was made


def load(name: str, path: Path) -> Path:
    db = sqlite3.connect(path)
    db.executescript((Path(__file__).parent / "data" / name).read_text())
    db.close()
    return path


@pytest.fixture(params=OLD)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = load(request.param, tmp_path / "old.sqlite")
    db = sqlite3.connect(path)
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


@pytest.fixture
def last(tmp_path: Path) -> Store:
    return Store(load("database-3.sql", tmp_path / "last.sqlite"), lambda: NOW + 100.0)


def test_jobs_of_the_last_version_before_migrations(last: Store, key: SigningKey) -> None:
    dry, image, reading, again, first = [row.id for row in last.reports.jobs()]  # newest first
    made = report.build(last.reports, first)
    assert (made["state"], made["reason"], made["finished"]) == ("failed", "ended", True)
    assert [(m["serial"], m["result"], m["reason"], m["updated"]) for m in made["meters"]] == [
        ("AMI01", "OK", "applied", NOW + 2),
        ("AMI02", "KO", "no-answer", NOW + 3),
    ]
    assert made["canary"] == {"meters": 1, "percent": 90}
    assert made["daily"].startswith("20:00-03:00 UTC on mon, tue, wed, thu, fri, from 2026-10-25")
    assert (made["priority"], made["tries"], made["backoff_s"]) == (7, 2, 60)
    assert made["package"]["name"] == "measurement-interval"

    made = report.build(last.reports, again)
    assert (made["state"], made["reason"]) == ("rejected", "no-room")
    assert made["meters"][0]["earlier"][0]["reason"] == "no-answer"
    assert last.reports.job(again).retry_of == first

    made = report.build(last.reports, reading)
    assert (made["state"], made["paused"], made["pause"]) == ("in-progress", True, "")
    assert made["cancel"] == "submitted"
    assert made["meters"][0]["values"][0]["text"].startswith("octet-string 2026-11-23")

    assert last.reports.progress(image) == Progress(
        NOW + 30, "blocks", 431, 1, 2, 0, [["activation-waits", 1]], NOW + 30 + 4800
    )
    assert last.reports.job(dry).kind == "compare"
    assert {(each.kind, each.job) for each in last.line.orders(CONCENTRATOR)} == {
        ("cancel", reading),
        ("job", dry),
    }
    last.close()


def test_the_rest_of_the_last_version_before_migrations(last: Store, key: SigningKey) -> None:
    assert last.line.position(CONCENTRATOR, 0xABCD) == 9
    (there,) = last.reports.concentrators()
    assert (there.id, there.online, there.session, there.epoch) == (CONCENTRATOR, True, 7, 0xABCD)
    assert (there.meters_known, there.meters_reachable, there.seen) == (3, 2, NOW + 30)
    assert last.street.modems(CONCENTRATOR) == [
        Modem("plc", True, 7, {"recovery-kick": 2}, NOW),
        Modem("ip", True, 0, {}, NOW),
    ]
    way = Way("AMI01", 0, "plc", 1, NOW - 50, NOW - 5, 97, 0, 3, True, NOW + 30)
    assert last.street.ways(CONCENTRATOR)[0] == way
    assert [each.serial for each in last.street.ways(CONCENTRATOR)] == ["AMI01", "AMI02"]
    assert last.street.way_changes(CONCENTRATOR, "AMI01") == [
        WayChange("plc", NOW - 90, 2),
        WayChange("plc", NOW - 50, 1),
    ]
    assert [each.what for each in last.street.strangers(CONCENTRATOR)] == ["plc 0080e1000009"]
    assert last.line.asks() == [(CONCENTRATOR, "AMI02")]

    standing = last.trust.standing(CONCENTRATOR)
    assert standing is not None
    assert (standing.trust, standing.keys, standing.records) == (1, 0, 12)
    assert standing.head == bytes(range(32))
    found = last.trust.numbered(CONCENTRATOR, ("submitted", "sent", "taken"))
    assert [(each.number, each.state) for each in found] == [(1, "taken"), (2, "submitted")]
    ((staged),) = last.trust.staged(CONCENTRATOR)
    assert isinstance(staged, StagedKey) and staged.public is None
    assert security.send_trust(last.trust, key, CONCENTRATOR, NOW) == 3
    service = last.reports.service()
    assert service is not None
    assert (service.broker, service.status, service.silent) == (
        "mqtt://broker:1883",
        "connected",
        70.0,
    )
    # What is new is numbered after what was there.
    last.line.add_event(CONCENTRATOR, "new", "")
    assert [event.name for event in last.reports.events()] == ["new", "stranger"]
    last.close()


def _rows(path: Path) -> dict[str, list[dict[str, object]]]:
    """By table; but for the number of the migration, and what is empty."""
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables.remove("alembic_version")
    found = {each: [dict(row) for row in db.execute("SELECT * FROM " + each)] for each in tables}
    db.close()
    return {name: rows for name, rows in found.items() if rows}


@pytest.mark.parametrize("name", MIGRATED)
def test_every_row_is_there_as_it_was(name: str, tmp_path: Path) -> None:
    path = load(name, tmp_path / "a.sqlite")
    before = _rows(path)
    Store(path).close()
    after = _rows(path)
    assert list(after) == list(before)
    for table, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[table]]
        assert kept == rows, table


def test_the_newest_dump_holds_something_in_every_table(tmp_path: Path) -> None:
    found = _rows(load(MIGRATED[-1], tmp_path / "a.sqlite"))
    assert sorted(found) == sorted(metadata.tables)
    db = sqlite3.connect(tmp_path / "a.sqlite")
    assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (migrate.NEWEST,)
    db.close()


@pytest.mark.parametrize("name", MIGRATED[3:])
def test_what_was_known_of_a_folder_still_counts(name: str, tmp_path: Path) -> None:
    """One that goes back across the migration is named; one that goes on is not."""
    store = Store(load(name, tmp_path / "a.sqlite"), lambda: NOW + 100.0)
    known = {"records": 12, "head": bytes(range(32)), "trust": 1}
    for starts, used, named in ((2, 100, 1), (5, 100, 1), (6, 1, 2)):
        hello = Hello(9, NOW, [], epoch=0xABCD, first=5, next=10, starts=starts, used=used, **known)
        memory = store.line.remember(CONCENTRATOR, hello)
        store.line.take_hello(CONCENTRATOR, hello)
        assert memory is not None and memory.records == 12
        events = [each.name for each in store.reports.events()]
        assert events.count("folder-rolled-back") == named
        assert events.count("audit-trail-cut") == 1  # which is in the dump
    assert store.line.position(CONCENTRATOR, 0xABCD) == 9
    store.close()


@pytest.mark.parametrize("name", MIGRATED[4:])
def test_certificates_and_how_far_a_receiver_was_told_are_kept(name: str, tmp_path: Path) -> None:
    store = Store(load(name, tmp_path / "a.sqlite"), lambda: NOW + 100.0)
    (line,) = store.trust.certificates()
    assert (line.concentrator, line.told, line.until) == (CONCENTRATOR, NOW + 40, 1_797_000_000)
    assert (line.digest, line.broker, line.request) == (
        bytes(range(32)),
        1_798_000_000,
        b"a request",
    )
    assert store.security.told("tls://siem:6514") == 1
    store.close()


def test_what_was_seen_and_counted_before_still_counts(tmp_path: Path) -> None:
    store = Store(load("database-9.sql", tmp_path / "a.sqlite"), lambda: NOW + 4000.0)
    standing = store.trust.standing(CONCENTRATOR)
    assert standing is not None
    assert (standing.epoch, standing.first, standing.next) == (0xABCD, 5, 10)
    assert standing.models == [["acme-1", 3]]
    store.line.tell_counted()
    assert store.reports.events(1)[0].detail == "and 7 more of the kind within 60 minutes"
    for session in (9, 8):  # 8 had been heard of
        store.line.take_hello(CONCENTRATOR, Hello(session, NOW, [], epoch=0xABCD, first=5, next=10))
    assert "same-identity" in [each.name for each in store.reports.events()]
    store.close()


@pytest.mark.parametrize("name", MIGRATED[6:])
def test_tasks_and_what_they_came_to_are_kept(name: str, tmp_path: Path) -> None:
    store = Store(load(name, tmp_path / "a.sqlite"), lambda: NOW + 100.0)
    (task,) = tasks.kept(store.trust, CONCENTRATOR)
    assert (task.name, task.state) == ("night", "taken")
    assert store.trust.next_number("change", CONCENTRATOR) == 2
    (run,) = store.reports.runs(CONCENTRATOR)
    assert (run.due, run.began, run.ended) == (NOW + 60, NOW + 61, NOW + 90)
    assert (run.meters, run.complete, run.rows, run.gaps) == (3, 2, 192, [["no-answer", 1]])
    store.close()


@pytest.mark.parametrize("name", MIGRATED[7:])
def test_readings_are_kept(name: str, tmp_path: Path) -> None:
    store = Store(load(name, tmp_path / "a.sqlite"), lambda: NOW + 100.0)
    standing = store.trust.standing(CONCENTRATOR)
    assert standing is not None
    assert (standing.readings_epoch, standing.readings_next) == (0x5EED, 9)
    assert store.line.reading_position(CONCENTRATOR, 0x5EED) in (5, 6)
    (each,) = store.readings.series(serial="AMI01")
    midnight = NOW - NOW % 86400
    found = list(store.readings.rows(each.id, 0, NOW + 86400))
    assert [(row.time, row.values, row.reasons) for _, row in found] == [
        (midnight + 900 * at, [1000 + 50 * at], 0) for at in range(3)
    ]
    assert found[0][0].columns[0].scaler == -1
    value, *later = store.readings.values(CONCENTRATOR, "AMI01", 0, NOW + 100)
    assert (value.data.hex(), value.unit, value.reasons) == ("06000003e8", 30, 0)
    assert [each.reasons for each in later] == ([WENT_BACK] if name in MIGRATED[8:] else [])
    (gap,) = store.readings.gaps()
    assert (gap.start, gap.reason) == (midnight - 3600, "overwritten")
    (again,) = store.readings.rereads().values()
    assert again.series == each.id and (again.start, again.times, again.job) == (
        midnight - 7200,
        1,
        bytes(range(16)),
    )
    assert [each.record for each in store.readings.unread()] == [b"\x01"]
    store.close()


@pytest.mark.parametrize("name", [*OLD, "database-3.sql", *MIGRATED, ""])
def test_all_lead_to_the_same_tables(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    if name:
        load(name, path)
    Store(path).close()
    Store(tmp_path / "new.sqlite").close()
    found = []
    for each in (path, tmp_path / "new.sqlite"):
        db = sqlite3.connect(each)
        found.append(db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall())
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        db.close()
    assert found[0] == found[1]


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = load("database-3.sql", tmp_path / "a.sqlite")
    dump = lambda: list(sqlite3.connect(path).iterdump())  # noqa: E731
    before = dump()
    monkeypatch.setattr(migrate, "USER_VERSION", "x)")  # the very last statement fails
    monkeypatch.setattr(migrate, "is_newest", lambda connection: False)
    with pytest.raises((StoreProblem, TypeError)):
        Store(path)
    monkeypatch.undo()
    assert dump() == before
    Store(path).close()


def _differences(where: str | Path) -> list[object]:
    database = Database(where)
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, metadata)
    database.close()
    return list(found)


def test_the_migrations_lead_to_the_schema(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert _differences(tmp_path / "new.sqlite") == []
    cluster: Cluster = request.getfixturevalue("cluster")
    assert _differences(cluster.url(cluster.new())) == []


def test_the_newest_migration_is_the_one_that_is_looked_for() -> None:
    scripts = ScriptDirectory(str(migrate.FOLDER))
    assert scripts.get_heads() == [migrate.NEWEST]
    for each in scripts.walk_revisions():
        assert re.fullmatch(r"m%s_\w+\.py" % each.revision, Path(each.path).name)
        assert each.revision in migrate._known()


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


@pytest.mark.parametrize("table", ["jobs", "bookmarks"])
def test_one_of_another_program_is_left_alone(table: str, tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE %s (x)" % table)
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreProblem, match="another program's: it has a table %s" % table):
        Store(path)
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [(table,)]
    assert db.execute("PRAGMA user_version").fetchone()[0] == 0
    db.close()
    assert len(path.read_bytes()) == len(before)


def test_on_postgresql_tables_of_others_are_left_alone(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cluster: Cluster = request.getfixturevalue("cluster")
    for table, ours in (("bookmarks", True), ("jobs", False)):
        url = cluster.url(cluster.new())
        engine = create_engine(url)
        Table(table, MetaData(), Column("x", String)).create(engine)
        if ours:
            Store(url).close()
        else:
            with pytest.raises(StoreProblem, match="another program's: it has a table jobs"):
                Store(url)
        assert "x" in [column["name"] for column in inspect(engine).get_columns(table)]
        engine.dispose()


def test_one_with_a_migration_of_a_later_version_is_refused_by_name(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cluster: Cluster = request.getfixturevalue("cluster")
    name = cluster.new()
    for where in (str(tmp_path / "later.sqlite"), cluster.url(name)):
        store = Store(where)
        version = Table("alembic_version", MetaData(), Column("version_num", String))
        with store.line._db.writing() as connection:
            connection.execute(version.update().values(version_num="0999"))
        store.close()
        said = "made by a later version of ami-hes \\(0999, this one knows %s\\): use that version"
        with pytest.raises(StoreProblem, match=said % migrate.NEWEST):
            Store(where)
        database = store.line._db
        with database.reading() as connection:
            assert connection.execute(select(version)).scalar_one() == "0999"
        database.close()
