"""Alarms that meters have raised, and outages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def _itself() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def upgrade() -> None:
    op.create_table(
        "alarms",
        _itself(),
        sa.Column("concentrator", sa.Text, nullable=False),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("bits", sa.JSON, nullable=False),
        sa.Column("happened", sa.BigInteger, nullable=False),
        sa.Column("noticed", sa.BigInteger, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
    )
    op.create_index("alarms_by_concentrator", "alarms", ["concentrator", "id"])
    op.create_index("alarms_open", "alarms", ["acknowledged", "id"])
    op.create_table(
        "outages",
        _itself(),
        sa.Column("concentrator", sa.Text, nullable=False),
        sa.Column("over", sa.Boolean, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=False),
        sa.Column("meters", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("serials", sa.JSON, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
    )
    op.create_index("outages_by_concentrator", "outages", ["concentrator", "id"])
