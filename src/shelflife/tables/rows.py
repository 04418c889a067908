"""A table handed out in Arrow batches, as it lies: in any order, as often as asked, without being held in memory."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from shelflife.errors import BadInput, nearest
from shelflife.tables import doors

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Rows:
    """A table that can be read again and again in batches.

    Attributes
    ----------
    source
        What people call the table: its path, or the kind of object.
    schema
        Its columns and their types. A time column that was asked for holds timestamps, dates, or microseconds since
        1970 where it had to be read from text or numbers.
    rows
        How many rows it has.
    zoned
        Whether the times carry a time zone.
    notes
        What was inferred in reading, one sentence each.
    pieces
        Independent pieces (a Parquet file and its row groups) that other processes can read for themselves; empty
        where there are none.
    """

    source: str
    schema: pa.Schema
    rows: int
    zoned: bool
    notes: tuple[str, ...]
    pieces: tuple[tuple[str, tuple[int, ...]], ...]
    read: Callable[[Sequence[str], int], Iterator[pa.RecordBatch]]

    def batches(self, columns: Sequence[str], size: int = doors.BATCH) -> Iterator[pa.RecordBatch]:
        """All rows, `columns` only, in batches of at most about `size` rows."""
        return self.read(columns, size)

    def some(self, columns: Sequence[str], most: int) -> pa.Table:
        """About `most` rows, spread over all, and the same ones each time: all where there are no more.

        Of files of many pieces the first rows of each, so that no more is read than is wanted; of others rows drawn
        at random, since rows may repeat in a rhythm.
        """
        if self.rows > most and len(self.pieces) >= _MANY_PIECES:
            return self._beginnings(columns, most)
        chosen = np.arange(self.rows)
        if self.rows > most:
            chosen = np.sort(np.random.default_rng(0).choice(self.rows, most, replace=False, shuffle=False))
        taken, start = [], 0
        for batch in self.batches(columns):
            low, high = np.searchsorted(chosen, [start, start + batch.num_rows])
            if high > low:
                taken.append(pa.table(batch).take(pa.array(chosen[low:high] - start)))
            start += batch.num_rows
        return _together(taken, self.schema, columns)

    def _beginnings(self, columns: Sequence[str], most: int) -> pa.Table:
        step = max(1, len(self.pieces) // _MOST_PIECES)
        chosen = self.pieces[::step]
        size = max(1, most // len(chosen))
        taken = []
        for path, groups in chosen:
            first = next(iter(read_parquet(path, groups, columns, size)), None)
            if first is not None:
                taken.append(pa.table(first))
        return _together(taken, self.schema, columns)


def _together(tables: list[pa.Table], schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """One table of tables whose texts may be encoded in dictionaries of their own."""
    if not tables:
        return pa.schema([schema.field(name) for name in columns]).empty_table()
    return pa.concat_tables([_decoded(table) for table in tables])


def _decoded(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


_MANY_PIECES, _MOST_PIECES = 16, 64


@contextmanager
def open_rows(data: Any, *, time: str | None, folder: Path) -> Iterator[Rows]:
    """Open `data` for reading in batches.

    Parameters
    ----------
    data
        A path (file, folder, glob) or an object with ``__arrow_c_stream__``.
    time
        The column of times, if there is one: timestamps, dates, ISO text, or numbers since 1970.
    folder
        Where an object that can be read only once, and what DuckDB spills, go; the caller removes it.

    Raises
    ------
    BadInput
        Where `data` cannot be read, the time column is missing, or a time does not parse.
    """
    with contextlib.ExitStack() as stack:
        found = _parquet(data, time) or _memory(data, time)
        yield found or _queried(stack.enter_context(doors.connection(folder)), data, time, folder)


def _parquet(data: Any, time: str | None) -> Rows | None:
    """Parquet files of one schema whose times need no reading, straight through Arrow."""
    import pyarrow.parquet as pq

    if not isinstance(data, str | Path):
        return None
    path = Path(data)
    files = [path] if path.is_file() and path.name.lower().endswith(doors.PARQUET) else []
    if path.is_dir() and not (path / "_delta_log").is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.lower().endswith(doors.PARQUET))
    try:
        opened = [pq.ParquetFile(file) for file in files]
        schemas = [file.schema_arrow for file in opened]
    except (pa.ArrowException, OSError) as error:
        raise doors.unreadable(str(data), error) from error
    if not files or any(not schema.equals(schemas[0]) for schema in schemas):
        return None
    _check_names(schemas[0].names, str(data))
    if not _plain_time(schemas[0], time, str(data)):
        return None
    rows = sum(file.metadata.num_rows for file in opened)
    pieces = [
        (str(file), (group,))
        for file, found in zip(files, opened, strict=True)
        for group in range(found.metadata.num_row_groups)
    ]

    def read(columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        for file in files:
            yield from read_parquet(str(file), None, columns, size)

    return Rows(str(data), schemas[0], rows, _zoned(schemas[0], time), (), tuple(pieces), read)


def read_parquet(
    path: str, groups: Sequence[int] | None, columns: Sequence[str], size: int
) -> Iterator[pa.RecordBatch]:
    """Batches of one Parquet file (or some of its row groups), text as it is encoded there."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    wanted = [name for name in columns if name in schema.names]
    texts = [name for name in wanted if pa.types.is_string(schema.field(name).type)]
    # Not buffered ahead, so that memory does not grow with the row groups.
    file = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False)
    try:
        yield from file.iter_batches(size, row_groups=groups, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise doors.unreadable(path, error) from error


def _memory(data: Any, time: str | None) -> Rows | None:
    """A table that is in memory already and whose times need no reading."""
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if not isinstance(data, pa.Table):
        return None
    _check_names(data.column_names, "the pyarrow Table")
    if not _plain_time(data.schema, time, "the pyarrow Table"):
        return None

    def read(columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        have = set(data.column_names)
        kept = data.select([name for name in columns if name in have])
        yield from kept.to_batches(max_chunksize=size)

    return Rows("the pyarrow Table", data.schema, data.num_rows, _zoned(data.schema, time), (), (), read)


def _queried(connection: duckdb.DuckDBPyConnection, data: Any, time: str | None, folder: Path) -> Rows:
    """Anything else, through DuckDB."""
    source = doors.open_source(connection, data, time, None, folder)
    kinds = doors.kinds_of(connection)
    _check_names(list(kinds), source)
    notes: tuple[str, ...] = ()
    zoned = False
    chosen = {name: doors.converted(name, kind) for name, kind in kinds.items()}
    if time is not None:
        if time not in kinds:
            raise _no_time(time, list(kinds), source)
        chosen[time], notes = doors.moment_of(connection, time, kinds[time], source)
        zoned = doors.check_times(_times(connection, time, chosen[time], kinds[time]), time, kinds[time], source)
    (rows,) = connection.execute("SELECT count(*) FROM source").fetchall()[0]

    def read(columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        import duckdb

        wanted = [f"{chosen[name]} AS {doors.quoted(name)}" for name in columns if name in chosen]
        wanted = wanted or [f"true AS {doors.quoted(doors.ROW)}"]  # rows count though none of their columns does
        try:
            yield from connection.sql(f"SELECT {', '.join(wanted)} FROM source").to_arrow_reader(size)
        except (duckdb.Error, pa.ArrowException, UnicodeDecodeError) as error:
            raise doors.unreadable(source, error) from error

    listed = ", ".join(f"{written} AS {doors.quoted(name)}" for name, written in chosen.items())
    try:
        schema = connection.sql(f"SELECT {listed} FROM source LIMIT 0").to_arrow_table().schema
    except Exception as error:
        raise doors.unreadable(source, error) from error
    return Rows(source, schema, rows, zoned, notes, (), read)


def _times(connection: duckdb.DuckDBPyConnection, time: str, moment: str, kind: str) -> pa.Table:
    """Each time with its row and, where it was text, what was written; those that do not parse come first."""
    written = f"CAST({doors.quoted(time)} AS VARCHAR) AS {doors.quoted(doors.WRITTEN)}," if doors.is_text(kind) else ""
    return connection.sql(
        f"SELECT {written} {moment} AS {doors.quoted(doors.TIME)}, row_number() OVER () AS {doors.quoted(doors.ROW)}"
        f" FROM source ORDER BY {doors.quoted(doors.TIME)} IS NULL DESC, {doors.quoted(doors.ROW)}"
    ).to_arrow_table()


def _check_names(names: Sequence[str], source: str) -> None:
    if ours := [name for name in names if name.startswith(doors.OURS)]:
        raise BadInput(f"Column names must not begin with {doors.OURS!r}; found {ours[0]!r}. Rename it.")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise BadInput(f"{source} has more than one column {twice!r}. Rename one of them.")


def _no_time(time: str, names: Sequence[str], source: str) -> BadInput:
    return BadInput(f"There is no column {time!r} in {source}. {nearest(time, names)}")


def _plain_time(schema: pa.Schema, time: str | None, source: str) -> bool:
    """Whether the time column, if any, can be taken as it is."""
    if time is None:
        return True
    if time not in schema.names:
        raise _no_time(time, schema.names, source)
    kind = schema.field(time).type
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _zoned(schema: pa.Schema, time: str | None) -> bool:
    if time is None:
        return False
    kind = schema.field(time).type
    return pa.types.is_timestamp(kind) and kind.tz is not None
