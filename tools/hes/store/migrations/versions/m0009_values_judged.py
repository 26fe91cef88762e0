"""Why a single value is not simply valid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("reading_values") as table:
        table.add_column(sa.Column("reasons", sa.BigInteger, nullable=False, server_default="0"))
