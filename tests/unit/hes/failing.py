"""A SQLite that fails at the n-th call."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

LOCKED = sqlite3.OperationalError("database is locked")
FULL = sqlite3.OperationalError("database or disk is full")
IO_ERROR = sqlite3.OperationalError("disk I/O error")
DAMAGED = sqlite3.DatabaseError("database disk image is malformed")

real_connect = sqlite3.connect


class Trouble:
    """`calls` counts; those numbered in `at` (from 1), and all while `always`, raise `error`."""

    def __init__(self) -> None:
        self.calls = 0
        self.at: set[int] = set()
        self.always = False
        self.error: sqlite3.Error = LOCKED
        self.raised = 0

    def pass_by(self) -> None:
        self.calls += 1
        if self.always or self.calls in self.at:
            self.raised += 1
            raise self.error


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """SQLite connections opened meanwhile have the trouble."""
    trouble = Trouble()

    class FailingCursor(sqlite3.Cursor):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            trouble.pass_by()
            return super().execute(*arguments)

        def executemany(self, *arguments: Any) -> sqlite3.Cursor:
            trouble.pass_by()
            return super().executemany(*arguments)

    class FailingConnection(sqlite3.Connection):
        def cursor(self, factory: Any = FailingCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            trouble.pass_by()
            super().commit()

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return real_connect(*arguments, factory=FailingConnection, **options)

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3.dbapi2, "connect", connect)
        yield trouble
