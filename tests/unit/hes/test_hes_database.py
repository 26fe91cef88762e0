"""The database on both engines: what may be given as --db, and what a transaction promises."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from tests.postgresql import Cluster
from tests.unit.hes.orders import package
from tools.hes.__main__ import main
from tools.hes.store.database import Database
from tools.hes.store.problems import DatabaseTrouble, StoreProblem
from tools.hes.store.schema import events, positions
from tools.hes.store.store import Store

BOTH = True  # engines, see conftest.py
EVENT = {"concentrator": "c", "time": 1, "name": "n", "detail": ""}


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(events)).scalar_one())


def test_a_file_is_durable_and_held_to_its_keys(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.sqlite")
    with database.writing() as connection:
        found = [
            connection.exec_driver_sql("PRAGMA " + name).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]
    database.close()


@pytest.mark.parametrize(
    "where",
    ["mysql://x/y", "postgresql+asyncpg://x/y", "://", "http://x", "postgresql+psycopg//x:"],
)
def test_what_is_no_database_of_ours(where: str) -> None:
    if "://" in where:
        with pytest.raises(StoreProblem, match="expected --db to be a file, or a URL such as"):
            Database(where)
    else:
        with pytest.raises(StoreProblem, match="cannot be used as the HES's database"):
            Database(where)


@pytest.mark.parametrize(
    "where",
    [
        "",
        "sqlite://",
        "postgresql://hes:s3cret@127.0.0.1:port/hes",
        "postgresql://hes:p@s3cret@127.0.0.1:1/hes",
        "postgresql:/hes:s3cret@127.0.0.1:1/hes",
        "mysql://hes:s3cret@127.0.0.1:1/hes",
    ],
)
def test_what_would_keep_nothing_or_show_a_password(where: str, capsys: Any) -> None:
    assert main(["--db", where, "list"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ami-hes: expected --db to be a file, or a URL such as postgresql")
    assert "s3cret" not in said and len(said.splitlines()) == 1


def test_a_password_among_the_options_of_a_url_is_not_shown(capsys: Any) -> None:
    assert main(["--db", "postgresql://127.0.0.1:1/hes?password=s3cret", "list"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ami-hes: postgresql+psycopg://127.0.0.1:1/hes: cannot be used")
    assert said.endswith("; start the server, or correct the URL in --db\n")
    assert "s3cret" not in said


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_kept_in_a_file_that_was_removed_meanwhile(
    tmp_path: Path, replaced: bool
) -> None:
    path = tmp_path / "hes.sqlite"
    store = Store(path)
    store.line.add_event("c", "before", "")
    path.rename(tmp_path / "moved")
    if replaced:
        path.write_bytes((tmp_path / "moved").read_bytes())
    said = "hes.sqlite: the file was removed or replaced while it was in use; stop `ami-hes serve`"
    with pytest.raises(DatabaseTrouble, match=said):
        store.line.add_event("c", "alone", "")
    with pytest.raises(DatabaseTrouble, match=said), store.line.together():
        store.line.add_event("c", "with others", "")
    path.unlink(missing_ok=True)
    (tmp_path / "moved").rename(path)
    store.line.add_event("c", "after", "")
    assert [event.name for event in store.reports.events()] == ["after", "before"]
    store.close()


def test_one_serve_a_file_by_whatever_name(tmp_path: Path) -> None:
    first = Database(tmp_path / "a.sqlite")
    (tmp_path / "b.sqlite").symlink_to("a.sqlite")
    second = Database(tmp_path / "b.sqlite")
    with first.alone(), pytest.raises(StoreProblem, match="already running on"):
        with second.alone():
            pass
    first.close()
    second.close()


def test_a_copy_beside_the_log_of_another_file_is_noticed(tmp_path: Path) -> None:
    """SQLite mixes the two without a word. The log that a killed `serve` has left is played."""
    file, log = tmp_path / "a.sqlite", tmp_path / "a.sqlite-wal"
    copy = tmp_path / "copy"
    store = Store(file)
    store.close()
    copy.write_bytes(file.read_bytes())
    store = Store(file)
    store.orders.add_package(bytes(200_000), "name", "1")
    store.close()
    store = Store(file)
    store.orders.add_package(bytes(100_000), "name", "2")
    left = log.read_bytes()
    store.close()
    store = Store(file)  # a log of its own is nothing to complain of
    store.line.add_event("c", "n", "y")
    with Store(file).line.alone():
        pass
    store.close()
    file.write_bytes(copy.read_bytes())
    log.write_bytes(left)
    with pytest.raises(StoreProblem, match="it is damaged: was a copy put here while"):
        with Store(file).line.alone():
            pass


def test_a_password_is_never_shown(capsys: Any) -> None:
    where = "postgresql://hes:s3cret@127.0.0.1:1/hes"
    assert main(["--db", where, "list"]) == 1
    said = capsys.readouterr().err
    assert "postgresql+psycopg://hes:***@127.0.0.1:1/hes: cannot be used" in said
    assert "s3cret" not in said and len(said.splitlines()) == 1


def test_without_psycopg_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreProblem, match=r"needs psycopg, which is not installed; `pip install"):
        Database("postgresql://hes@127.0.0.1:1/hes")


def test_one_serve_a_database(where: str) -> None:
    first, second = Database(where), Database(where)
    with first.alone():
        with pytest.raises(StoreProblem, match="already running on"):
            with second.alone():
                pass
    with second.alone():
        pass
    first.close()
    second.close()


def test_a_reading_transaction_sees_one_moment(where: str) -> None:
    one, other = Database(where), Database(where)
    with one.reading() as connection:
        assert connection.execute(select(func.count()).select_from(events)).scalar_one() == 0
        with other.writing() as writing:
            writing.execute(insert(events), EVENT)
        assert connection.execute(select(func.count()).select_from(events)).scalar_one() == 0
    assert count(one) == 1
    one.close()
    other.close()


def test_writing_transactions_wait_for_each_other(where: str) -> None:
    """Each reads a number and writes the next one; none is lost."""
    databases = [Database(where) for _ in range(3)]
    with databases[0].writing() as connection:
        connection.execute(insert(positions), {"concentrator": "c", "epoch": 1, "number": 0})

    def count_on(database: Database) -> None:
        for _ in range(20):
            with database.writing() as connection:
                number = connection.execute(select(positions.c.number)).scalar_one()
                connection.execute(update(positions).values(number=number + 1))

    threads = [threading.Thread(target=count_on, args=(each,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    with databases[0].reading() as connection:
        assert connection.execute(select(positions.c.number)).scalar_one() == 60
    for database in databases:
        database.close()


def test_all_or_nothing(where: str) -> None:
    database = Database(where)
    with pytest.raises(ZeroDivisionError):
        with database.writing() as connection:
            connection.execute(insert(events), EVENT)
            raise ZeroDivisionError
    assert count(database) == 0
    # What the engine has against a statement is a problem of the statement.
    with pytest.raises(StoreProblem) as caught:
        with database.writing() as connection:
            connection.execute(insert(events), EVENT)
            connection.execute(insert(events), {**EVENT, "name": None})
    assert type(caught.value) is StoreProblem and "\n" not in str(caught.value)
    assert count(database) == 0
    database.close()


def test_together_all_or_nothing(where: str) -> None:
    database = Database(where)
    with pytest.raises(ZeroDivisionError):
        with database.together():
            with database.writing() as connection:
                connection.execute(insert(events), EVENT)
            assert count(database) == 1  # within
            raise ZeroDivisionError
    assert count(database) == 0
    with database.together():
        with database.writing() as connection:
            connection.execute(insert(events), EVENT)
        with pytest.raises(StoreProblem):
            with database.writing() as connection:
                connection.execute(insert(events), EVENT)
                connection.execute(insert(events), {**EVENT, "name": None})
        with database.writing() as connection:
            connection.execute(insert(events), EVENT)
    assert count(database) == 2
    with database.together():
        pass
    with database.together():
        assert count(database) == 2
    with database.writing() as connection:  # on its own again
        connection.execute(insert(events), EVENT)
    assert count(Database(where)) == 3
    database.close()


def test_commands_on_either(
    where: str, tmp_path: Path, key: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    key.save(tmp_path / "k.pem")
    (tmp_path / "a.pkg").write_bytes(package(key))
    order = ["submit", "--concentrator", "c-1", "--key", "k.pem", "--meters", "A1,A2"]
    assert main(["--db", where, *order, "--package", "a.pkg"]) == 0
    captured = capsys.readouterr()
    assert "ami-hes --db %s serve --broker" % Store(where).reports.name in captured.err
    assert main(["--db", where, "list"]) == 0
    assert captured.out[:8] in capsys.readouterr().out
    assert main(["--db", where, "cancel", "last", "--key", "k.pem"]) == 0
    assert main(["--db", where, "report", captured.out[:6]]) == 1
    shown = capsys.readouterr().out
    assert "submitted; the concentrator has not answered yet; cancel ordered" in shown


def test_a_database_of_nobody_else_is_left(cluster: Cluster, tmp_path: Path) -> None:
    """Tables of the same names that are not ours are not taken over."""
    name = cluster.new()
    cluster.ask("CREATE TABLE jobs (title text)", name)
    with pytest.raises(StoreProblem, match="cannot be used as the HES's database"):
        Store(cluster.url(name))
    cluster.ask("SELECT title FROM jobs", name)
