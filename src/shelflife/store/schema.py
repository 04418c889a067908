"""All SQL tables; each has one writer, named beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
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
    text,
)  # fmt: skip

FORM = "0008"  # the newest migration, which makes what stands here

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
    Column("said", Text),  # what it says, as JSON: reading its YAML takes hundreds of times as long
    Column("sha256", String(64), nullable=False),  # of what it says
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

accounts = Table(  # written by shelflife.accounts
    "accounts",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("email", Text),
    Column("hash", Text),
    Column("since", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("closed", Moment),
)

links = Table(  # written by shelflife.accounts: by which a password is chosen, once
    "links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account", ForeignKey("accounts.name")),
    Column("since", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
)

sessions = Table(  # written by shelflife.accounts: who is signed in, and until when
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account", ForeignKey("accounts.name"), nullable=False),
    Column("since", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Index(None, "account"),
)

attempts = Table(  # written by shelflife.accounts: who tried to sign in how often, lately
    "attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("at", Moment, nullable=False),
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
    Index("ix_batches_waiting", "system", sqlite_where=text("done IS NULL"), postgresql_where=text("done IS NULL")),
    sqlite_autoincrement=True,
)

delta_tables = Table(  # written by shelflife.observe: a number for each Delta table, which is shorter than its name
    "delta_tables",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("newest", BigInteger),
    UniqueConstraint("system", "kind"),
)

volumes = Table(  # written by shelflife.observe: how many rows each hour has
    "volumes",
    metadata,
    Column("delta_table", Integer, primary_key=True, autoincrement=False),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("rows", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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
    Column("since", Moment),
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

references = Table(  # written by shelflife.watch: what live rows are compared with
    "references",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("start", Moment),
    Column("end", Moment),
    Column("source", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Index(None, "system", "number"),
    sqlite_autoincrement=True,
)

watches = Table(  # written by shelflife.watch: how far each system was watched, and the evidence so far
    "watches",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("reference", ForeignKey("references.number"), nullable=False),
    Column("promise", String(64), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("batch", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False),
    Column("detector", LargeBinary, nullable=False),
    Column("at", Moment, nullable=False),
)

profiles = Table(  # written by shelflife.watch: counts of each bucket, of predictions and of those with an outcome
    "profiles",
    metadata,
    Column("reference", ForeignKey("references.number"), primary_key=True),
    Column("of", String(8), primary_key=True),
    Column("bucket", BigInteger, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

lifelines = (
    Table(  # written by shelflife.watch: how often predictions of each bucket were wrong, and were expected to be
        "lifelines",
        metadata,
        Column("reference", ForeignKey("references.number"), primary_key=True),
        Column("bucket", BigInteger, primary_key=True, autoincrement=False),
        Column("known", Double, nullable=False),
        Column("wrong", Double, nullable=False),
        Column("squares", Double),
        Column("scored", Double, nullable=False),
        Column("expected", Double, nullable=False),
        Column("limit", Double),
    )
)

findings = Table(  # written by shelflife.watch
    "findings",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("code", String(8), nullable=False),
    Column("key", Text, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", Moment),
    Column("opened", Moment, nullable=False),
    Column("seen", Moment, nullable=False),
    Column("ended", Moment),
    Column("until", Moment),
    Column("reason", Text),
    Column("by", Text),
    Column("says", Text, nullable=False),
    Column("promised", Text, nullable=False),
    Column("plan", Integer, nullable=False),
    Column("line", Integer),
    Column("estimated", Boolean, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("recent", JSON, nullable=False),
    Index(None, "system", "state"),
    sqlite_autoincrement=True,
)

versions = Table(  # written by shelflife.renew.registry: every registered version of a system's model
    "versions",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", String(200), nullable=False),  # of what asked for it, so that it is registered once
    Column("model", Text, nullable=False),  # its name and number in the MLflow registry
    Column("registered", String(40), nullable=False),
    Column("source", Text, nullable=False),  # where its artifact lies
    Column("digest", String(64), nullable=False),  # of the artifact
    Column("plan", Integer, nullable=False),
    Column("snapshot", ForeignKey("snapshots.id")),
    Column("record", JSON, nullable=False),  # code, environment, parameters, seed, window, metrics: what made it
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    UniqueConstraint("system", "key"),
)

pointers = Table(  # written by shelflife.renew.registry: which version was what, from when to when, by whose decision
    "pointers",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("alias", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    Index(None, "system", "alias", "number"),
    sqlite_autoincrement=True,
)

aliases = Table(  # written by shelflife.renew.registry: what each alias in MLflow was last set to, and found at since
    "aliases",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("alias", String(16), primary_key=True),
    Column("model", Text, nullable=False),
    Column("kept", String(40)),
    Column("found", String(40)),  # where somebody else moved it; empty where they removed it
)

routes = Table(  # written by shelflife.renew.rollout: who answers which share of requests; the newest revision counts
    "routes",
    metadata,
    Column("system", ForeignKey("systems.name"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("champion", Integer, nullable=False),
    Column("canary", Integer),
    Column("share", Double, nullable=False),  # of the canary
    Column("shadow", Integer),
    Column("at", Moment, nullable=False),
)

changes = Table(  # written by shelflife.observe.changes: what changes in the business
    "changes",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("what", Text, nullable=False),
    Column("effective", Moment, nullable=False),
    Column("recorded", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("withdrawn", Moment),
    Index(None, "system", "effective"),
    sqlite_autoincrement=True,
)

renewals = Table(  # written by shelflife.renew.run
    "renewals",
    metadata,
    Column("number", _Counted, primary_key=True),
    Column("system", ForeignKey("systems.name"), nullable=False),
    Column("plan", Integer, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("champion", Integer),
    Column("challenger", Integer),
    Column("started", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("ended", Moment),
    Column("says", Text, nullable=False),
    Index(None, "system", "number"),
    sqlite_autoincrement=True,
)

renewal_steps = Table(  # written by shelflife.renew.run: what each step of a renewal did
    "renewal_steps",
    metadata,
    Column("renewal", ForeignKey("renewals.number"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("name", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("started", Moment, nullable=False),
    Column("ended", Moment),
    Column("evidence", JSON, nullable=False),
)

approvals = Table(  # written by shelflife.renew.approval: who was asked for a decision, bound to what, and what it was
    "approvals",
    metadata,
    Column("renewal", ForeignKey("renewals.number"), primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),  # of the artifact
    Column("plan", Integer, nullable=False),
    Column("report", String(64), nullable=False),  # the digest of what the gates said
    Column("asked", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("reminded", Moment),
    Column("decision", String(16)),
    Column("by", Text),
    Column("at", Moment),
    Column("reason", Text),
)
