"""All SQL tables; each has one writer, named beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)  # fmt: skip

FORM = "0001"  # the newest migration, which makes what stands here

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A moment with UTC as its zone, also where the database knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC, without its zone for SQLite, which would drop it unseen."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"A moment is to carry its zone; found {value!r}.")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given to all
        """UTC, with its zone."""
        if value is None:
            return None
        found: datetime = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return found


# SQLite counts rows up by itself only for INTEGER.
_Counted = BigInteger().with_variant(Integer, "sqlite")

systems = Table(  # written by shelflife.plan's apply, in system.py
    "systems",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("title", Text, nullable=False),
    Column("since", Moment, nullable=False),
)

plans = Table(  # written by the same
    "plans",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
)

ledger = Table(  # written by shelflife.ledger
    "ledger",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(63), nullable=False),
    Column("system", String(63)),
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Index(None, "system", "number"),
)

heads = Table(  # written by shelflife.ledger: its last event, in a single row
    "heads",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

tokens = Table(  # written by shelflife.tokens
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("may", JSON, nullable=False),
    Column("systems", JSON),
    Column("since", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("expires", Moment),
    Column("revoked", Moment),
)

batches = Table(  # written by shelflife.observe: rows on their way from a log or a file to a Delta table
    "batches",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("source", String(200), nullable=False),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("started", Moment, nullable=False),
    Column("done", Moment),
    UniqueConstraint("source", "system", "kind"),
    Index(None, "system", "kind", "number"),
    sqlite_autoincrement=True,
)

delta_tables = Table(  # written by shelflife.observe: a number for each Delta table, which is shorter than its name
    "delta_tables",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("kind", String(16), nullable=False),
    UniqueConstraint("system", "kind"),
)

observed = Table(  # written by shelflife.observe: every id of a Delta table once, so that no row is kept twice
    "observed",
    metadata,
    Column("delta_table", Integer, primary_key=True, autoincrement=False),
    Column("id", LargeBinary(16), primary_key=True),
    Column("time", BigInteger),
    Column("batch", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # the key is the table
)

pulls = Table(  # written by shelflife.observe: how far each feed was read
    "pulls",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("feed", String(63), primary_key=True),
    Column("mark", JSON, nullable=False),
    Column("rows", BigInteger, nullable=False),
)

tasks = Table(  # written by shelflife.loop: when each thing that is done again and again was last done
    "tasks",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("failed", Text),
)

leases = Table(  # written by shelflife.loop: who does what only one process may do, and until when
    "leases",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("holder", String(63), nullable=False),
    Column("until", Moment, nullable=False),
)

snapshots = Table(  # written by shelflife.observe: rows that a model was trained on, and how to read them again
    "snapshots",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("start", Moment),
    Column("end", Moment),
    Column("columns", JSON, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("versions", JSON, nullable=False),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
)
