"""Rows of a query, from any database that SQLAlchemy speaks to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from shelflife.errors import BadInput, first_line

_ROWS = 20_000  # in one table: as values of Python they take far more room than as columns
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")  # what SQLAlchemy would take for one; a query of a plan has none


class Sql:
    """A query.

    Parameters
    ----------
    url
        An SQLAlchemy URL.
    query
        A SELECT; it is wrapped in one that asks for the rows since the mark, in its order.
    """

    def __init__(self, url: str, query: str) -> None:
        try:
            self._engine = create_engine(_only_read(make_url(url)), poolclass=NullPool)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise BadInput(
                f"The feed's `sql` is to be an SQLAlchemy URL whose driver is installed: {error}."
            ) from error
        self._query = _PARAMETER.sub(r"\\:", query.strip().rstrip(";"))

    def read(self, mark: str, since: Any | None) -> Iterator[pa.Table]:
        """See `Connector.read`."""
        name = self._engine.dialect.identifier_preparer.quote(mark)
        which = f"{name} IS NOT NULL" if since is None else f"{name} >= :since"
        asked = text(f"SELECT * FROM ({self._query}) pulled WHERE {which} ORDER BY {name}")  # noqa: S608 - the plan's own
        try:
            with self._engine.connect() as connection:
                found = connection.execution_options(yield_per=_ROWS).execute(
                    asked, {} if since is None else {"since": since}
                )
                names = list(found.keys())
                for rows in found.partitions(_ROWS):  # of a text it does not know how many without
                    yield pa.table({one: _column([row[place] for row in rows]) for place, one in enumerate(names)})
        except SQLAlchemyError as error:
            said = first_line(getattr(error, "orig", None) or error)
            raise BadInput(f"The feed's query cannot be run at {self._engine.url!r}: {said}.") from error


def _only_read(url: URL) -> URL:
    """The address by which a SQLite file is read and not made where it is missing; any other as it is."""
    file = url.database
    if url.get_backend_name() != "sqlite" or not file or file == ":memory:" or file.startswith("file:"):
        return url
    if not Path(file).is_file():
        raise BadInput(f"There is no SQLite file {file!r}, which the feed's `sql` names (from {Path.cwd()}).")
    path = quote(str(Path(file).resolve()))
    return url.set(database=f"file:{path}", query={**url.query, "mode": "ro", "uri": "true"})


def _column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):  # of several types, or of one Arrow has not
        return pa.array([None if value is None else str(value) for value in values], pa.string())
