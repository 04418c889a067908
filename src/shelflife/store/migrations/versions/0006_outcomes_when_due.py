"""Watching: until which predictions outcomes were due, in place of how long those wait that came early."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was watched stays as it was counted; outcomes that are still to come of it are shown and no evidence."""
    with op.batch_alter_table("watches") as table:
        table.add_column(sa.Column("due", sa.BigInteger(), nullable=True))
        table.drop_column("waits")
    op.execute('UPDATE watches SET due = "end"')
    with op.batch_alter_table("watches") as table:
        table.alter_column("due", existing_type=sa.BigInteger(), nullable=False)
    waiting = sa.text("done IS NULL")
    op.create_index("ix_batches_waiting", "batches", ["system"], sqlite_where=waiting, postgresql_where=waiting)
