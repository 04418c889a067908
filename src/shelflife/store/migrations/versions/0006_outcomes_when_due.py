"""Watching: until when outcomes were due, and how many came in time; lifelines with errors as large as they are."""

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
        table.add_column(sa.Column("told", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("late", sa.BigInteger(), nullable=False, server_default="0"))
        table.drop_column("waits")
    op.execute('UPDATE watches SET due = "end"')
    with op.batch_alter_table("watches") as table:
        table.alter_column("due", existing_type=sa.BigInteger(), nullable=False)
        for counted in ("told", "late"):
            table.alter_column(counted, existing_type=sa.BigInteger(), server_default=None)
    # What has none was cut at a bound of its reference, and is not shown.
    op.add_column("lifelines", sa.Column("squares", sa.Double(), nullable=True))
    waiting = sa.text("done IS NULL")
    op.create_index("ix_batches_waiting", "batches", ["system"], sqlite_where=waiting, postgresql_where=waiting)
