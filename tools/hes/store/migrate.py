"""Brings a database to today's tables when it is opened, by the numbered migrations in
`migrations/`, which are Alembic's.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

from tools.hes.store.schema import metadata

NEWEST = "0010"  # the last migration there is
FOLDER = Path(__file__).parent / "migrations"

# A SQLite file counts in `PRAGMA user_version` too, as it did before there were migrations: up to 1
# then, and 2 since, so that an ami-hes of that time leaves it alone.
USER_VERSION = 2


class NotOurs(Exception):
    """The database is not one of this program, or of a later version of it."""


def is_newest(connection: Connection) -> bool:
    """NotOurs."""
    if connection.dialect.name == "sqlite":
        counted = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if counted > USER_VERSION:
            raise _newer(str(counted), str(USER_VERSION))
    version = _version(connection)
    if version is not None and version not in _known():
        raise _newer(version, NEWEST)
    if version is None:
        _check_old(connection)
    return version == NEWEST


def migrate(connection: Connection) -> None:
    """All of it or, with the transaction that `connection` is in, nothing. NotOurs."""
    if is_newest(connection):
        return  # another process was here meanwhile
    # Only here, for it takes its time to load.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA user_version = %d" % USER_VERSION)


def _check_old(connection: Connection) -> None:
    """What has no version is empty, or of before there were migrations. NotOurs."""
    found = inspect(connection)
    if connection.dialect.name == "sqlite":
        ours = found.has_table("jobs") and "envelope" in [
            column["name"] for column in found.get_columns("jobs")
        ]
        others = [] if ours else found.get_table_names()
    else:
        others = [name for name in found.get_table_names() if name in metadata.tables]
    if others:
        raise NotOurs("it is another program's: it has a table %s" % others[0])


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalar_one_or_none()
    return found


def _known() -> list[str]:
    """The numbers of all migrations; each file's name begins with its own."""
    return [path.name[1:5] for path in (FOLDER / "versions").glob("m[0-9]*.py")]


def _newer(version: str, known: str) -> NotOurs:
    return NotOurs(
        "it was made by a later version of ami-hes (%s, this one knows %s): use that version"
        % (version, known)
    )
