"""Brings a database that an earlier version made to today's columns, when it is opened.

Tables that are new are made by the schema itself. A column that is new has a step here; `PRAGMA
user_version` counts the steps a file has had.
"""

from __future__ import annotations

import sqlite3

# Files from before user_version was kept have 0, with these columns or without.
_STEPS = (
    (
        ("jobs", "daily", "TEXT NOT NULL DEFAULT 'null'"),
        ("jobs", "canary", "TEXT NOT NULL DEFAULT 'null'"),
        ("jobs", "retry_of", "BLOB REFERENCES jobs"),
        ("jobs", "paused", "INTEGER NOT NULL DEFAULT 0"),
    ),
)
VERSION = len(_STEPS)


class Newer(Exception):
    """The file was made by a later version of this program."""


def migrate(db: sqlite3.Connection) -> None:
    """All of it or, if the power fails, nothing. `db` is in autocommit mode, its tables are there.
    Newer; sqlite3.Error.
    """
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # another process may have been here meanwhile
        if version > VERSION:
            raise Newer("made by a later version (%d, this one knows %d)" % (version, VERSION))
        for step in _STEPS[version:]:
            for table, column, kind in step:
                if column not in _columns(db, table):
                    db.execute("ALTER TABLE %s ADD COLUMN %s %s" % (table, column, kind))
        db.execute("PRAGMA user_version = %d" % VERSION)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute("PRAGMA table_info(%s)" % table)]
