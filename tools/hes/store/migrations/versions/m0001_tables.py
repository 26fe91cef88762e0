"""The tables; and what a SQLite file of before the migrations holds is taken over.

Such a file has the same tables by name (some of them, if it is old) with fewer columns, and its
jobs and numbered messages are in the order of their rowid.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# What columns hold that an old file lacks, if they may not be empty.
ABSENT = {"daily": "'null'", "canary": "'null'", "paused": "0"}


def words(name: str, default: str | None = None, **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default, **more)


def count(name: str, default: str | None = None, **more: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default, **more)


def octets(name: str, **more: Any) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, **{"nullable": False, **more})


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def listed(name: str, none_as_null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(none_as_null=none_as_null), nullable=none_as_null)


def numbers_itself(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def of_job(**more: Any) -> sa.Column[bytes]:
    return sa.Column("job", sa.LargeBinary, sa.ForeignKey("jobs.id"), nullable=False, **more)


def key(make: Any, name: str) -> Any:
    return make(name, primary_key=True)


metadata = sa.MetaData()

sa.Table(
    "packages",
    metadata,
    key(octets, "digest"),
    words("name"),
    words("version"),
    octets("content"),
)

sa.Table(
    "jobs",
    metadata,
    numbers_itself("number"),
    octets("id", unique=True),
    words("concentrator"),
    words("kind"),
    count("submitted"),
    count("priority"),
    count("not_before"),
    count("not_after"),
    count("tries"),
    count("backoff"),
    sa.Column("package", sa.LargeBinary, sa.ForeignKey("packages.digest")),
    listed("attributes"),
    octets("envelope"),
    octets("digest"),
    words("state"),
    words("reason", ""),
    words("detail", ""),
    count("updated"),
    octets("cancel", nullable=True),
    octets("cancel_digest", nullable=True),
    words("cancel_state", ""),
    words("cancel_reason", ""),
    listed("daily"),
    listed("canary"),
    sa.Column("retry_of", sa.LargeBinary, sa.ForeignKey("jobs.id")),
    flag("paused"),
    sa.Index("jobs_by_concentrator", "concentrator", "submitted"),
    sa.Index("jobs_by_state", "state"),
    sa.Index("jobs_by_cancel_state", "cancel_state"),
    sa.Index("jobs_by_digest", "digest"),
)

sa.Table(
    "meters",
    metadata,
    of_job(primary_key=True),
    count("position"),
    key(words, "serial"),
    words("state"),
    words("outcome", ""),
    words("reason", ""),
    words("detail", ""),
    count("attempts", "0"),
    words("path", ""),
    count("duration_ms", "0"),
    listed("value", none_as_null=True),
    count("updated", "0"),
    sqlite_with_rowid=False,
)

sa.Table(
    "pauses",
    metadata,
    of_job(primary_key=True),
    flag("paused"),
    count("issued"),
    octets("envelope"),
    octets("digest"),
    words("state"),
    words("reason", ""),
    sqlite_with_rowid=False,
)

sa.Table(
    "progress",
    metadata,
    of_job(primary_key=True),
    count("time"),
    words("phase"),
    count("permille"),
    count("queued"),
    count("in_hand"),
    count("done"),
    listed("waiting"),
    count("ends"),
    sqlite_with_rowid=False,
)

sa.Table(
    "positions",
    metadata,
    key(words, "concentrator"),
    count("epoch", primary_key=True, autoincrement=False),
    count("number"),
    sqlite_with_rowid=False,
)

sa.Table(
    "concentrators",
    metadata,
    key(words, "id"),
    flag("online"),
    count("session"),
    count("epoch"),
    words("firmware"),
    words("runtime"),
    count("jobs_open"),
    count("meters_known"),
    count("meters_reachable"),
    count("seen"),
)

sa.Table(
    "events",
    metadata,
    numbers_itself("id"),
    words("concentrator"),
    count("time"),
    words("name"),
    words("detail"),
)

sa.Table(
    "standing",
    metadata,
    key(words, "concentrator"),
    count("trust"),
    count("keys"),
    count("records"),
    octets("head"),
)

sa.Table(
    "numbered",
    metadata,
    numbers_itself("id"),
    words("topic"),
    words("concentrator"),
    count("number"),
    words("what"),
    octets("envelope"),
    octets("digest"),
    words("state"),
    words("reason", ""),
    words("detail", ""),
    count("submitted"),
    count("updated"),
    sa.Index("numbered_by_state", "state"),
)

sa.Table(
    "staged_trust",
    metadata,
    key(words, "concentrator"),
    key(octets, "kid"),
    octets("public", nullable=True),
    count("purposes"),
    sqlite_with_rowid=False,
)

sa.Table(
    "modems",
    metadata,
    key(words, "concentrator"),
    count("place", primary_key=True, autoincrement=False),
    words("kind"),
    flag("up"),
    count("nodes"),
    listed("counters"),
    count("told"),
    sqlite_with_rowid=False,
)

sa.Table(
    "ways",
    metadata,
    key(words, "concentrator"),
    key(words, "serial"),
    count("place", primary_key=True, autoincrement=False),
    words("kind"),
    count("state"),
    count("since"),
    count("heard"),
    count("delivery"),
    count("silent"),
    count("changes"),
    flag("registered"),
    count("told"),
    sqlite_with_rowid=False,
)

sa.Table(
    "way_changes",
    metadata,
    key(words, "concentrator"),
    key(words, "serial"),
    key(words, "kind"),
    count("since", primary_key=True, autoincrement=False),
    count("state"),
    sqlite_with_rowid=False,
)

sa.Table(
    "asks",
    metadata,
    key(words, "concentrator"),
    words("after"),
    count("sent"),
    sqlite_with_rowid=False,
)

sa.Table(
    "service",
    metadata,
    sa.Column(
        "one", sa.Integer, sa.CheckConstraint("one = 1", name="service_is_one"), primary_key=True
    ),
    words("broker"),
    words("status"),
    sa.Column("beat", sa.Float, nullable=False),
)


def upgrade() -> None:
    bind = op.get_bind()
    old = [name for name in sa.inspect(bind).get_table_names() if name in metadata.tables]
    for name in old:
        for index in sa.inspect(bind).get_indexes(name):
            op.drop_index(str(index["name"]), name)
        op.rename_table(name, "old_" + name)
    metadata.create_all(bind)
    for table in metadata.sorted_tables:
        if table.name in old:
            take_over(table)
    for table in reversed(metadata.sorted_tables):
        if table.name in old:
            op.drop_table("old_" + table.name)


def take_over(table: sa.Table) -> None:
    had = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("old_" + table.name)]
    taken = {column.name: column.name for column in table.columns if column.name in had}
    absent = {name: value for name, value in ABSENT.items() if name in table.c and name not in had}
    taken.update(absent)
    order = " ORDER BY rowid" if table.name in ("jobs", "numbered") else ""
    op.execute(
        "INSERT INTO %s (%s) SELECT %s FROM old_%s%s"
        % (table.name, ", ".join(taken), ", ".join(taken.values()), table.name, order)
    )
