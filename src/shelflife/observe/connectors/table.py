"""Rows of files or of a Delta table, here or in an object store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from shelflife.errors import BadInput, nearest
from shelflife.observe.connectors import ROWS
from shelflife.tables import doors


class Table:
    """A table.

    Parameters
    ----------
    path
        A file, a pattern of files, a folder of Parquet, a Delta table or the URL of one (``s3://bucket/table``; the
        environment tells how to get in).
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, mark: str, since: Any | None) -> Iterator[pa.Table]:
        """See `Connector.read`."""
        import duckdb

        with tempfile.TemporaryDirectory(prefix="shelflife-") as folder, doors.connection(Path(folder)) as connection:
            doors.open_source(connection, self._path, None, None, Path(folder))
            columns = list(doors.kinds_of(connection))
            if mark not in columns:
                raise BadInput(f"There is no column {mark!r} in {self._path}. {nearest(mark, columns)}")
            name = doors.quoted(mark)
            which = f"{name} IS NOT NULL" if since is None else f"{name} >= $since"
            try:
                found = connection.sql(
                    f"SELECT * FROM source WHERE {which} ORDER BY {name}",  # noqa: S608 - quoted
                    params={} if since is None else {"since": since},
                )
                for batch in found.to_arrow_reader(ROWS):
                    if batch.num_rows:
                        yield pa.Table.from_batches([batch])
            except duckdb.Error as error:
                raise doors.unreadable(self._path, error) from error
