"""Plans: what they say as JSON, beside their text."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; plans that were applied before are read from their text."""
    op.add_column("plans", sa.Column("said", sa.Text(), nullable=True))
