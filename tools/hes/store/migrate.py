"""Brings a database to today's tables when it is opened, by the numbered migrations in
`migrations/`, which are Alembic's.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

NEWEST = "0001"  # the last migration there is
FOLDER = Path(__file__).parent / "migrations"

# A SQLite file counts in `PRAGMA user_version` too, as it did before there were migrations: up to 1
# then, and 2 since, so that an ami-hes of that time leaves it alone.
USER_VERSION = 2


class Newer(Exception):
    """The database was made by a later version of this program."""


def is_newest(connection: Connection) -> bool:
    """Newer."""
    if connection.dialect.name == "sqlite":
        counted = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if counted > USER_VERSION:
            raise _newer(str(counted), str(USER_VERSION))
    version = _version(connection)
    if version is not None and version not in _known():
        raise _newer(version, NEWEST)
    return version == NEWEST


def migrate(connection: Connection) -> None:
    """All of it or, with the transaction that `connection` is in, nothing. Newer."""
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


def _newer(version: str, known: str) -> Newer:
    return Newer(
        "it was made by a later version of ami-hes (%s, this one knows %s): use that version"
        % (version, known)
    )
