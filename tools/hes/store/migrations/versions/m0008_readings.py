"""Readings: how far each concentrator's stream is here, what its rows look like, and the rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _count(name: str, **more: object) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, **more)  # type: ignore[arg-type]


def _key(name: str, kind: type = sa.Text) -> sa.Column[object]:
    if kind is sa.BigInteger:
        return sa.Column(name, kind, primary_key=True, autoincrement=False)
    return sa.Column(name, kind, primary_key=True)


def _itself() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _octets(name: str, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=nullable)


def _series() -> sa.Column[int]:
    return sa.Column(
        "series",
        sa.BigInteger,
        sa.ForeignKey("series.id"),
        primary_key=True,
        autoincrement=False,
    )


def upgrade() -> None:
    with op.batch_alter_table("standing") as table:
        for name in ("readings_epoch", "readings_first", "readings_next"):
            table.add_column(_count(name, server_default="0"))
    op.create_table(
        "reading_positions",
        _key("concentrator"),
        _key("epoch", sa.BigInteger),
        _count("number"),
        _count("moved", server_default="0"),
        sqlite_with_rowid=False,
    )
    op.create_table("layouts", _key("id", sa.LargeBinary), _octets("content"))
    op.create_table(
        "series",
        _itself(),
        _words("concentrator"),
        _words("serial"),
        _count("class_id"),
        _octets("obis"),
        _octets("layout"),
        _count("last"),
        _count("read"),
    )
    named = ["concentrator", "serial", "class_id", "obis"]
    op.create_index("series_by_concentrator", "series", named, unique=True)
    op.create_index("series_by_serial", "series", ["serial"])
    op.create_table(
        "reading_days",
        _series(),
        _key("day", sa.BigInteger),
        _key("layout", sa.LargeBinary),
        _count("rows"),
        _count("times"),
        _count("doubtful"),
        _count("invalid"),
        _octets("content"),
        sqlite_with_rowid=False,
    )
    op.create_index("reading_days_by_day", "reading_days", ["day"])
    op.create_table(
        "reading_values",
        _itself(),
        _words("concentrator"),
        _words("serial"),
        _words("task"),
        _count("time"),
        _count("class_id"),
        _octets("obis"),
        _count("attribute"),
        _octets("data"),
        sa.Column("scaler", sa.Integer, nullable=True),
        sa.Column("unit", sa.Integer, nullable=True),
    )
    op.create_index("reading_values_by_serial", "reading_values", ["serial", "time"])
    op.create_index("reading_values_by_concentrator", "reading_values", ["concentrator", "time"])
    op.create_table(
        "reading_gaps",
        _key("concentrator"),
        _key("serial"),
        _key("class_id", sa.BigInteger),
        _key("obis", sa.LargeBinary),
        _key("start", sa.BigInteger),
        _count("end"),
        _words("reason"),
        _count("told"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unread",
        _itself(),
        _words("concentrator"),
        _octets("layout", nullable=True),
        _words("why"),
        _octets("record"),
        _count("told"),
    )
    op.create_index("unread_by_concentrator", "unread", ["concentrator", "layout"])
    op.create_table(
        "rereads",
        _series(),
        _key("start", sa.BigInteger),
        _count("times"),
        _count("ordered"),
        _octets("job"),
        sqlite_with_rowid=False,
    )
