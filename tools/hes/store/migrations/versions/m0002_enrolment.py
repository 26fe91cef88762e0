"""Which board each concentrator is, and who knocks without being it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "enrolled",
        sa.Column("concentrator", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("sign", sa.LargeBinary),
        sa.Column("line_key", sa.LargeBinary),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("agreed", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "knocks",
        sa.Column("concentrator", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
