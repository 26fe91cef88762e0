"""One database, SQLite in a file or PostgreSQL by URL, behind the same transactions.

A writing transaction waits for the other ones: SQLite knows no other way, on PostgreSQL a lock of
our own does it. What is written is durable when the transaction has ended (SQLite: WAL with
synchronous=FULL). A reading transaction sees one moment.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from tools.hes.store import migrate
from tools.hes.store.problems import DatabaseTrouble, StoreProblem

POSTGRESQL = "postgresql+psycopg"
LOCKED_S = 30  # so long a transaction waits for another one
MIXED = (
    "it is damaged: was a copy put here while hes.sqlite-wal of the one before stood beside it?"
    " Then stop all that use it, remove that and hes.sqlite-shm, and put the copy here again"
)
_WRITES = 0x616D6901  # PostgreSQL's advisory locks: the writing transactions
_SERVES = 0x616D6902  # and `ami-hes serve`

# About the statement, not about the database: the same again would fail again.
_OF_THE_STATEMENT = (DataError, IntegrityError, NotSupportedError, ProgrammingError)

T = TypeVar("T")


class Database:
    def __init__(self, where: str | Path, now: Callable[[], float] = time.time) -> None:
        """Opens it, made if absent, and brings an older one up to date. `where` is a file,
        ":memory:" or a URL. StoreProblem when it is not ours or cannot be opened.
        """
        self.where = str(where)
        self._now = now
        self._grouped = threading.local()
        self._url = _url(self.where)
        # for people, without a password
        self.name = self.where
        if "://" in self.where:
            self.name = self._url.set(query={}).render_as_string()
        self._file: tuple[int, int] | None = None
        # Somebody has it open, or did not end in order.
        self._left_open = _left_open(self._url)
        try:
            self._engine = _engine(self._url)
            self._reads, self._writes = _both_ways(self._engine)
            with self._engine.connect() as connection:
                newest = migrate.is_newest(connection)
            if not newest:
                with self._writes.begin() as connection:
                    migrate.migrate(connection)
            self._file = self._file_now()
        except (SQLAlchemyError, sqlite3.Error, migrate.NotOurs) as error:
            then = "start the server, or correct the URL in --db"
            if self._url.drivername != POSTGRESQL:
                then = "give another file with --db"
            raise StoreProblem(
                "%s: cannot be used as the HES's database (%s); %s" % (self.name, said(error), then)
            ) from None
        except ModuleNotFoundError as error:
            raise StoreProblem(
                "%s: this needs %s, which is not installed; `pip install 'psycopg[binary]'`"
                % (self.name, error.name)
            ) from None

    def close(self) -> None:
        self._engine.dispose()

    def now(self) -> float:
        """Unix seconds."""
        return self._now()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """DatabaseTrouble; StoreProblem."""
        grouped = getattr(self._grouped, "connection", None)
        with self._told_as_ours():
            if grouped is not None:
                yield grouped
                return
            with self._reads.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All of it or nothing; durable when this ends. DatabaseTrouble; StoreProblem."""
        with self._told_as_ours():
            if not hasattr(self._grouped, "connection"):
                with self._writes.begin() as connection:
                    yield connection
                    self._be_there()
                return
            if self._grouped.connection is None:
                self._grouped.connection = self._writes.connect()
                self._grouped.connection.begin()
            with self._grouped.connection.begin_nested():
                yield self._grouped.connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """The transactions of this thread meanwhile are committed as one when this ends, or not at
        all if it ends by an exception. One that fails alone takes back what it did itself.
        """
        self._grouped.connection = None
        try:
            yield
            if self._grouped.connection is not None:
                with self._told_as_ours():
                    self._be_there()
                    self._grouped.connection.commit()
        finally:
            connection = self._grouped.connection
            del self._grouped.connection
            if connection is not None:
                connection.close()  # rolls back what was not committed

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One `serve` a database: two would answer everything twice. StoreProblem."""
        if self._engine.dialect.name == "sqlite":
            with open("%s.lock" % os.path.realpath(str(self._url.database)), "w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise self._already_served() from None
                if self._left_open:
                    self._be_whole()
                yield
            return
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.detach()  # the lock is the connection's: it ends with this, for good
            lock = text("SELECT pg_try_advisory_lock(:key)")
            if not connection.execute(lock, {"key": _SERVES}).scalar_one():
                raise self._already_served()
            yield

    def _already_served(self) -> StoreProblem:
        return StoreProblem("`ami-hes serve` is already running on %s" % self.name)

    def _be_whole(self) -> None:
        """StoreProblem for a file with pages of another one, such as a copy that was put beside
        the log of what it takes the place of: SQLite cannot tell the one from the other.
        """
        try:
            with self._reads.connect() as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StoreProblem("%s: %s" % (self.name, said(error))) from error
        if found != "ok":
            raise StoreProblem("%s: %s" % (self.name, MIXED))

    def _be_there(self) -> None:
        """DatabaseTrouble if the file that is open was removed or replaced: what is written to it
        would be lost.
        """
        if self._file_now() != self._file:
            raise DatabaseTrouble(
                "%s: the file was removed or replaced while it was in use; stop `ami-hes serve`,"
                " put the right file there, and start it again" % self.name
            )

    def _file_now(self) -> tuple[int, int] | None:
        """(device, inode) of what stands at the file's path, None for other databases."""
        if self._url.drivername == POSTGRESQL or self._url.database == ":memory:":
            return None
        try:
            found = os.stat(str(self._url.database))
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    @contextmanager
    def _told_as_ours(self) -> Iterator[None]:
        try:
            yield
        except _OF_THE_STATEMENT as error:
            raise StoreProblem("%s: %s" % (self.name, said(error))) from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise DatabaseTrouble("%s: %s" % (self.name, said(error))) from error


def said(error: BaseException) -> str:
    """What the engine said, in one line: no statement, and no values, which may be long."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if getattr(origin, "sqlite_errorname", "").startswith("SQLITE_CORRUPT"):
        return MIXED
    return " ".join(str(origin).split()) or type(origin).__name__


def _left_open(url: URL) -> bool:
    """Whether a log stands beside the file (SQLite's WAL)."""
    try:
        return url.drivername != POSTGRESQL and os.stat("%s-wal" % url.database).st_size > 0
    except OSError:
        return False


def _url(where: str) -> URL:
    if where and "://" not in where and not re.match(r"(postgres\w*|sqlite)(\+\w+)?:", where):
        return URL.create("sqlite", database=where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # ValueError: the port
        url = None
    if url is not None and url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername=POSTGRESQL)
    if (
        url is None
        or url.drivername not in (POSTGRESQL, "sqlite")
        or (url.drivername == "sqlite" and not url.database)  # it would forget everything
        or "@" in (url.host or "")  # the end of a password
    ):
        raise StoreProblem(
            "expected --db to be a file, or a URL such as %s://user@host/hes; in a password @ is"
            " written %%40, / %%2F and : %%3A" % POSTGRESQL
        )
    return url


def _engine(url: URL) -> Engine:
    if url.drivername == POSTGRESQL:
        return create_engine(url, pool_pre_ping=True)
    more: dict[str, Any] = {"poolclass": StaticPool} if url.database == ":memory:" else {}
    connect = {"timeout": LOCKED_S, "check_same_thread": False, "isolation_level": None}
    engine = create_engine(url, connect_args=connect, **more)
    event.listen(engine, "connect", _as_we_want_it)
    return engine


def _as_we_want_it(connection: sqlite3.Connection, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _both_ways(engine: Engine) -> tuple[Engine, Engine]:
    """The same database for reading and for writing transactions."""
    event.listen(engine, "begin", _begin)
    if engine.dialect.name == "sqlite":
        return engine, engine.execution_options(writes=True)
    reads = engine.execution_options(isolation_level="REPEATABLE READ")
    return reads, engine.execution_options(writes=True)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    if connection.dialect.name == "sqlite":
        # The driver begins no transaction itself (isolation_level None): it would be too late.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%d)" % _WRITES)
