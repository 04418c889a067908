"""Lifelines: of each bucket how often predictions were wrong, and were expected to be."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; what was watched before has no lifeline."""
    op.create_table(
        "lifelines",
        sa.Column("reference", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("known", sa.Double(), nullable=False),
        sa.Column("wrong", sa.Double(), nullable=False),
        sa.Column("scored", sa.Double(), nullable=False),
        sa.Column("expected", sa.Double(), nullable=False),
        sa.Column("limit", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["reference"], ["references.number"], name=op.f("fk_lifelines_reference_references")),
        sa.PrimaryKeyConstraint("reference", "bucket", name=op.f("pk_lifelines")),
    )
