"""The SQL database: SQLite in a file by default, PostgreSQL by its URL; opened, brought up to date, written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from shelflife.errors import BadInput
from shelflife.store.schema import FORM

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY = 30.0  # seconds that a writer waits for another one before it gives up
_CACHE = 64_000  # kilobytes of a SQLite file that a connection may hold in memory
_LOCK = 7_331_001  # the advisory lock under which PostgreSQL migrates: any number, always the same


class Database:
    """Connections to one database, by two ways in: `reading` and `writing`.

    Parameters
    ----------
    url
        An SQLAlchemy URL: ``sqlite:///path`` or ``postgresql://user@host/name``.

    Raises
    ------
    BadInput
        Where the URL cannot be used or nothing answers there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.engine = _engine(url)
            with self.engine.connect():
                pass
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise BadInput(
                f"The database is to be sqlite:///FILE or postgresql://USER@HOST/NAME; found {_hidden(url)}: {error}."
            ) from error
        except DBAPIError as error:
            raise BadInput(f"The database {_hidden(url)} does not answer: {str(error.orig).strip()}.") from error

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

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
        """A transaction: all of it happens, or none."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def migrate(self, *, made: Callable[[Connection], object] | None = None) -> None:
        """Bring the tables to the newest form; a database from a newer Shelflife is refused and left alone.

        Parameters
        ----------
        made
            Called where there were no tables, in the transaction that makes them: of two that begin at once by one.
        """
        with self.reading() as connection:
            if self._revision(connection) == FORM:  # as nearly always; what migrates takes long to load
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
                    f"The workspace {_hidden(self.url)} was written by a newer Shelflife (its form is {found}). Install"
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


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        # psycopg 3, also where the URL names none
        return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Readers do not wait for the writer (WAL); what is committed survives a power cut (FULL).
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={int(_BUSY * 1000)}",
                       f"cache_size=-{_CACHE}"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that will write takes the lock at once; one that took it later could fail halfway.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _hidden(url: str) -> str:
    from sqlalchemy import make_url

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url)
