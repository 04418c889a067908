"""Any table in, one time-sorted Arrow file out.

Every door (CSV, Parquet, Arrow IPC, Delta, or an object with ``__arrow_c_stream__``) is read once by DuckDB, which
keeps only the columns in use, sorts by time out of core and spills to disk; what follows maps that file into memory
and touches only the rows of the windows that it works on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.errors import BadInput, nearest
from shelflife.tables import doors

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class SortedTable:
    """A table on disk as an uncompressed Arrow IPC file, its rows in order of time.

    Attributes
    ----------
    path
        The file. Column ``TIME`` holds microseconds since 1970 (UTC where the source had time zones), ``ROW`` the
        row's number in the source, from 1.
    source
        What people call the table: its path, or the kind of object.
    zoned
        Whether the times carried a time zone.
    untimed, unlabelled
        Rows left out because they have no time, or no target.
    left_out
        Columns of kinds that cannot be used, with their kind.
    notes
        What was inferred in reading, one sentence each.
    sha256
        Digest of the rows and columns in use, in order of time.
    """

    path: Path
    source: str
    zoned: bool
    untimed: int
    unlabelled: int
    left_out: dict[str, str]
    notes: tuple[str, ...]
    sha256: str

    def open(self) -> pa.Table:
        """The usable rows, mapped into memory: nothing is read until it is touched."""
        return open_sorted(self.path, self.untimed + self.unlabelled)

    def moment(self, microseconds: int) -> datetime:
        """A time of this table as people's `datetime`, aware where the source was."""
        moment = doors.EPOCH + timedelta(microseconds=int(microseconds))
        return moment.replace(tzinfo=UTC) if self.zoned else moment


def open_sorted(path: Path, skip: int) -> pa.Table:
    """Map a sorted table's file into memory, without its first `skip` rows."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all().slice(skip)


def sort_by_time(
    data: Any, *, time: str, target: str, features: Sequence[str] | None, drop: Sequence[str], folder: Path
) -> SortedTable:
    """Read `data`, keep the columns in use and write them to `folder` in order of time.

    Parameters
    ----------
    data
        A path (file, folder, glob) or an object with ``__arrow_c_stream__``.
    time
        The column of times: timestamps, dates, ISO text, or numbers since 1970.
    target
        The column that must have a value; rows without one are left out and counted.
    features
        The other columns to keep; None keeps all but `drop`.
    drop
        Columns to leave out.
    folder
        Where the sorted file and what DuckDB spills go; the caller removes it.

    Raises
    ------
    BadInput
        Where anything named is missing or cannot be read, or a time does not parse.
    """
    with doors.connection(folder) as connection:
        source = doors.open_source(
            connection, data, time, None if features is None else [time, target, *features], folder
        )
        kinds = doors.kinds_of(connection)
        for column in [time, target, *(features or ()), *drop]:
            if column not in kinds:
                raise BadInput(f"There is no column {column!r} in {source}. {nearest(column, kinds)}")
        _check_roles(time, target, features, drop, kinds)
        kept = [c for c in (kinds if features is None else features) if c not in {target, *drop}]
        kept = [c for c in kept if features is not None or c != time]
        left_out = {c: kinds[c] for c in kept if not doors.usable(kinds[c])}
        columns = [target, *(c for c in dict.fromkeys(kept) if c not in left_out)]
        if not doors.usable(kinds[target]):
            raise BadInput(f"Column {target!r} holds {kinds[target]}, which cannot be a target.")
        moment, notes = doors.moment_of(connection, time, kinds[time], source)
        path = folder / "sorted.arrow"
        query = _sorted_query(moment, time, kinds, columns)
        rows = _write(connection, query, path, source)
    if rows == 0:
        raise BadInput(f"{source} has no rows. Give a table with a row for each past prediction and its outcome.")
    table = open_sorted(path, 0)
    zoned = doors.check_times(table, time, kinds[time], source)
    untimed = table[doors.TIME].null_count
    unlabelled = table[target].slice(untimed).null_count
    digest = _digest(table.slice(untimed + unlabelled))
    (folder / doors.SPOOL).unlink(missing_ok=True)
    return SortedTable(path, source, zoned, untimed, unlabelled, left_out, notes, digest)


def _digest(table: pa.Table) -> str:
    """SHA-256 of the values, column by column; what lies in memory behind a missing value is not defined."""
    digest = hashlib.sha256()
    for name in table.column_names:
        if name == doors.ROW:
            continue
        digest.update(f"{name}\0{table.schema.field(name).type}\0".encode())
        for start in range(0, len(table), doors.BATCH):
            some = table[name].slice(start, doors.BATCH).combine_chunks()
            some = some.combine_chunks() if isinstance(some, pa.ChunkedArray) else some
            digest.update(np.packbits(some.is_valid().to_numpy(zero_copy_only=False)).tobytes())
            if _is_text(some.type):
                digest.update(pc.fill_null(pc.binary_length(some), 0).to_numpy(zero_copy_only=False).tobytes())
                digest.update("".join(some.drop_null().to_pylist()).encode())
            else:
                plain = some.cast(pa.int8()) if pa.types.is_boolean(some.type) else some.view(_bits(some.type))
                digest.update(pc.fill_null(plain, 0).to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _bits(kind: pa.DataType) -> pa.DataType:
    return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]


def _check_roles(
    time: str, target: str, features: Sequence[str] | None, drop: Sequence[str], kinds: dict[str, str]
) -> None:
    if time == target:
        raise BadInput(f"Column {time!r} cannot be both the time and the target.")
    if target in drop or target in (features or ()):
        option = "left out" if target in drop else "learnt from"
        raise BadInput(f"Column {target!r} is the target; it cannot be {option} as well.")
    if ours := [column for column in kinds if column.startswith(doors.OURS)]:
        raise BadInput(f"Column names must not begin with {doors.OURS!r}; found {ours[0]!r}. Rename it.")


def _sorted_query(moment: str, time: str, kinds: dict[str, str], columns: list[str]) -> str:
    target = columns[0]
    chosen = [f"{doors.converted(column, kinds[column])} AS {doors.quoted(column)}" for column in columns]
    at, row, written = (doors.quoted(name) for name in (doors.TIME, doors.ROW, doors.WRITTEN))
    as_written = f"CAST({doors.quoted(time)} AS VARCHAR) AS {written}," if doors.is_text(kinds[time]) else ""
    return f"""
        WITH rows AS (
            SELECT {moment} AS {at}, row_number() OVER () AS {row}, {as_written} {", ".join(chosen)} FROM source)
        SELECT * FROM rows
        ORDER BY {at} IS NULL DESC, {doors.quoted(target)} IS NULL DESC, {at}, {row}"""


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path, source: str) -> int:
    import duckdb

    rows = 0
    try:
        reader = connection.sql(query).to_arrow_reader(doors.BATCH)
        with pa.ipc.new_file(str(path), reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
    except (duckdb.Error, pa.ArrowException, UnicodeDecodeError) as error:
        raise doors.unreadable(source, error) from error
    return rows
