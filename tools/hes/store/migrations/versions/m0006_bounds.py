"""How far claims may move what is durable: positions with their time, sessions seen, what the last
hello claimed; and how many events of each sort there were.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("positions") as table:
        table.add_column(sa.Column("moved", sa.BigInteger, nullable=False, server_default="0"))
    with op.batch_alter_table("standing") as table:
        for name in ("epoch", "first", "next"):
            table.add_column(sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("models", sa.JSON, nullable=False, server_default="[]"))
    op.create_index("events_by_concentrator", "events", ["concentrator", "id"])
    op.create_table(
        "sightings",
        sa.Column("concentrator", sa.Text, primary_key=True),
        sa.Column("session", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_counts",
        sa.Column("concentrator", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("kept", sa.BigInteger, nullable=False),
        sa.Column("more", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
