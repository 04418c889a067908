"""The SQL database: SQLite in a file by default, PostgreSQL by its URL; opened, brought up to date, written to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InternalError, NoSuchModuleError, OperationalError

from shelflife.errors import Away, BadInput
from shelflife.store.schema import FORM

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY = 30.0  # seconds that a writer waits for another one before it gives up
_CACHE = 64_000  # kilobytes of a SQLite file that a connection may hold in memory
# Seconds for which a transaction may do nothing in PostgreSQL: one whose process was halted ends, and others go on.
# Longer than an object store takes for the rows of a batch, which are written within one.
_IDLE = 600
_LOCK = 7_331_001  # the advisory lock under which PostgreSQL migrates: any number, always the same


class Database:
    """Connections to one database, by two ways in: `reading` and `writing`.

    Parameters
    ----------
    url
        An SQLAlchemy URL, ``sqlite:///path`` or ``postgresql://user@host/name``; or the path of a SQLite file.
    read_only
        Whether nothing can be written where the SQLite file lies.

    Raises
    ------
    BadInput
        Where the URL cannot be used.
    Away
        Where nothing answers there.
    """

    def __init__(self, url: str | Path, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.name = str(url) if isinstance(url, Path) else _hidden(url)
        try:
            self.engine = _engine(_url(url, read_only), read_only)
            with self.reading() as connection:
                self._form = self._revision(connection)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise BadInput(
                f"The database is to be sqlite:///FILE or postgresql://USER@HOST/NAME; found {self.name}: {error}."
            ) from error
        except DBAPIError as error:
            raise Away(f"The database {self.name} does not answer: {str(error.orig).strip()}.") from error

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was in it when it was opened."""
        return self._form is None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that changes nothing and sees one state of the database, that of its first query, to its end.

        A lock that it takes to wait for others comes before that query, or it does not see what they did.
        """
        with self.engine.connect() as connection:
            if not self.is_sqlite:  # whose transactions are so anyway
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it happens, or none.

        Raises
        ------
        OperationalError
            Of SQLAlchemy, where the database is away, or did not wait any longer for a transaction that stood still.
        """
        if self.read_only:
            raise BadInput(f"Nothing can be written to {self.name}: it, or its folder, can only be read.")
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE}s'"))
            try:
                yield connection
            except InternalError as error:  # which is how psycopg tells of it
                if not error.connection_invalidated or error.orig is None:
                    raise
                raise OperationalError(error.statement, error.params, error.orig) from error

    def migrate(self, *, made: Callable[[Connection], object] | None = None) -> None:
        """Bring the tables to the newest form; a database from a newer Shelflife is refused and left alone.

        Parameters
        ----------
        made
            Called where there were no tables, in the transaction that makes them: of two that begin at once by one.
        """
        if self._form == FORM:  # as nearly always; what migrates takes long to load
            return
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with self.writing() as connection:
            if not self.is_sqlite:  # SQLite's write lock is held already
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            found = self._revision(connection)
            if found is not None and found not in known:
                raise BadInput(
                    f"The workspace {self.name} was written by a newer Shelflife (its form is {found}). Install"
                    " that version, or restore a back-up."
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if found is None and made is not None:
                made(connection)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @staticmethod
    def _revision(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _url(url: str | Path, read_only: bool) -> URL:
    if isinstance(url, str):
        found = make_url(url)
        # psycopg 3, also where the URL names none
        return found.set(drivername="postgresql+psycopg") if found.drivername == "postgresql" else found
    if not read_only:
        return URL.create("sqlite", database=str(url))
    options = {"uri": "true", "mode": "ro"}
    log = Path(f"{url}-wal")
    if not (log.exists() and log.stat().st_size):
        options["immutable"] = "1"  # else SQLite would make the files beside it by which readers and writers agree
    return URL.create("sqlite", database=url.as_uri(), query=options)


def _engine(url: URL, read_only: bool) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, json_serializer=_json)
    engine = create_engine(url, json_serializer=_json, connect_args={"timeout": _BUSY, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Readers do not wait for the writer (WAL); what is committed survives a power cut (FULL).
        durable = () if read_only else ("journal_mode=WAL", "synchronous=FULL")
        for pragma in (*durable, "foreign_keys=ON", f"busy_timeout={int(_BUSY * 1000)}", f"cache_size=-{_CACHE}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that will write takes the lock at once; one that took it later could fail halfway.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def finite(value: Any) -> Any:
    """The same with None for numbers that JSON cannot say, which PostgreSQL refuses: NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    return json.dumps(finite(value))


def _hidden(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):  # of a port that is no number
        return repr(url)
