"""Renewal: versions and what they were, routes, renewals and their steps, approvals."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "pointers",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("system", sa.String(length=63), nullable=False),
        sa.Column("alias", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["system"], ["systems.name"], name=op.f("fk_pointers_system_systems")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_pointers")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_pointers_system_alias_number"), "pointers", ["system", "alias", "number"], unique=False)
    op.create_table(
        "renewals",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("system", sa.String(length=63), nullable=False),
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=True),
        sa.Column("challenger", sa.Integer(), nullable=True),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("says", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["system"], ["systems.name"], name=op.f("fk_renewals_system_systems")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_renewals")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_renewals_system_number"), "renewals", ["system", "number"], unique=False)
    op.create_table(
        "aliases",
        sa.Column("system", sa.String(length=63), nullable=False),
        sa.Column("alias", sa.String(length=16), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("kept", sa.String(length=40), nullable=True),
        sa.Column("found", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["system"], ["systems.name"], name=op.f("fk_aliases_system_systems")),
        sa.PrimaryKeyConstraint("system", "alias", name=op.f("pk_aliases")),
    )
    op.create_table(
        "routes",
        sa.Column("system", sa.String(length=63), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=True),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("shadow", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["system"], ["systems.name"], name=op.f("fk_routes_system_systems")),
        sa.PrimaryKeyConstraint("system", "revision", name=op.f("pk_routes")),
    )
    op.create_table(
        "approvals",
        sa.Column("renewal", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("report", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminded", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=True),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["renewal"], ["renewals.number"], name=op.f("fk_approvals_renewal_renewals")),
        sa.PrimaryKeyConstraint("renewal", name=op.f("pk_approvals")),
    )
    op.create_table(
        "renewal_steps",
        sa.Column("renewal", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["renewal"], ["renewals.number"], name=op.f("fk_renewal_steps_renewal_renewals")),
        sa.PrimaryKeyConstraint("renewal", "place", name=op.f("pk_renewal_steps")),
    )
    op.create_table(
        "versions",
        sa.Column("system", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("registered", sa.String(length=40), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("snapshot", sa.String(length=16), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["snapshot"], ["snapshots.id"], name=op.f("fk_versions_snapshot_snapshots")),
        sa.ForeignKeyConstraint(["system"], ["systems.name"], name=op.f("fk_versions_system_systems")),
        sa.PrimaryKeyConstraint("system", "number", name=op.f("pk_versions")),
        sa.UniqueConstraint("system", "key", name=op.f("uq_versions_system_key")),
    )
