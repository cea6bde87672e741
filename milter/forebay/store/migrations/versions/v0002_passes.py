"""What was released is let through by the doors that would hold it again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table, and have PostgreSQL tell of its changes."""
    op.create_table(
        "pass",
        sa.Column("entry", sa.String(40), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("exact", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("at", "expires")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER pass_tell AFTER INSERT OR UPDATE OR DELETE ON pass "
            "FOR EACH STATEMENT EXECUTE FUNCTION forebay_tell()"
        )
