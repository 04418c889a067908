"""Any table in, one time-sorted Arrow file out.

Every door (CSV, Parquet, Arrow IPC, Delta, or an object with ``__arrow_c_stream__``) is read once by DuckDB, which
keeps only the columns in use, sorts by time out of core and spills to disk; what follows maps that file into memory
and touches only the rows of the windows that it works on.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.errors import BadInput, nearest

if TYPE_CHECKING:
    import duckdb

# No column of the user's can have these names: any with this beginning is refused.
_OURS = "shelflife:"
TIME, ROW, WRITTEN = (_OURS + name for name in ("time", "row", "written"))
_EPOCH = datetime(1970, 1, 1)
_BATCH = 65_536
_SPOOL = "spool.arrow"
_MEMORY = "2GB"  # beyond this DuckDB spills to disk

_CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".feather", ".ipc", ".arrows")
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]

_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_NUMBERS = _WHOLE | {"FLOAT", "DOUBLE"}
_AS_DOUBLE = ("DECIMAL", "HUGEINT", "UHUGEINT", '"NULL"')
_USABLE = _NUMBERS | {"BOOLEAN", "VARCHAR", "DATE", "UUID"}
_ZONED = "TIMESTAMP WITH TIME ZONE"
# From the largest number on it is a time of that unit after 1973; smaller ones are years, hours or counts.
_EPOCH_UNITS = (
    (1e17, "nanoseconds", 1e-3),
    (1e14, "microseconds", 1),
    (1e11, "milliseconds", 1e3),
    (1e8, "seconds", 1e6),
)
_OFFSET = r"[T ]\d{1,2}:\d{2}.*?\s*(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)$"


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
        moment = _EPOCH + timedelta(microseconds=int(microseconds))
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
    with _connection(folder) as connection:
        source = _open(connection, data, time, None if features is None else [time, target, *features], folder)
        kinds = _kinds(connection)
        for column in [time, target, *(features or ()), *drop]:
            if column not in kinds:
                raise BadInput(f"There is no column {column!r} in {source}. {nearest(column, kinds)}")
        _check_roles(time, target, features, drop, kinds)
        kept = [c for c in (kinds if features is None else features) if c not in {target, *drop}]
        kept = [c for c in kept if features is not None or c != time]
        left_out = {c: kinds[c] for c in kept if not _usable(kinds[c])}
        columns = [target, *(c for c in dict.fromkeys(kept) if c not in left_out)]
        if not _usable(kinds[target]):
            raise BadInput(f"Column {target!r} holds {kinds[target]}, which cannot be a target.")
        moment, notes = _moment(connection, time, kinds[time], source)
        path = folder / "sorted.arrow"
        query = _sorted_query(moment, time, kinds, columns)
        rows = _write(connection, query, path, source)
    if rows == 0:
        raise BadInput(f"{source} has no rows. Give a table with a row for each past prediction and its outcome.")
    table = open_sorted(path, 0)
    zoned = _check_times(table, time, kinds[time], source)
    untimed = table[TIME].null_count
    unlabelled = table[target].slice(untimed).null_count
    digest = _digest(table.slice(untimed + unlabelled))
    (folder / _SPOOL).unlink(missing_ok=True)
    return SortedTable(path, source, zoned, untimed, unlabelled, left_out, notes, digest)


def _digest(table: pa.Table) -> str:
    """SHA-256 of the values, column by column; what lies in memory behind a missing value is not defined."""
    digest = hashlib.sha256()
    for name in table.column_names:
        if name == ROW:
            continue
        digest.update(f"{name}\0{table.schema.field(name).type}\0".encode())
        for start in range(0, len(table), _BATCH):
            some = table[name].slice(start, _BATCH).combine_chunks()
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
    if ours := [column for column in kinds if column.startswith(_OURS)]:
        raise BadInput(f"Column names must not begin with {_OURS!r}; found {ours[0]!r}. Rename it.")


@contextmanager
def _connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb  # here, so that workers, which only map what it wrote, need not load it

    connection = duckdb.connect(config={"temp_directory": str(folder / "spill"), "autoinstall_known_extensions": False})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        yield connection
    finally:
        connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return {row[0]: str(row[1]) for row in connection.execute("DESCRIBE source").fetchall()}


def _usable(kind: str) -> bool:
    if kind.endswith("]"):
        return False
    return kind in _USABLE or kind.startswith(("TIMESTAMP", "ENUM", *_AS_DOUBLE))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


def _open(connection: duckdb.DuckDBPyConnection, data: Any, time: str, columns: list[str] | None, folder: Path) -> str:
    """Make `data` the view ``source`` and return what to call it in messages."""
    if isinstance(data, str | Path):
        return _open_path(connection, str(data), time)
    if not hasattr(data, "__arrow_c_stream__"):
        raise BadInput(
            f"A table is asked for: a path, or an object that speaks Arrow (pandas, polars, pyarrow, DuckDB); found"
            f" {type(data).__module__}.{type(data).__name__}. A lazy frame must be collected first."
        )
    name = f"the {type(data).__module__.split('.')[0]} {type(data).__name__}"
    _check_zones_of_objects(data, time, name)
    spool = folder / _SPOOL
    try:
        reader = pa.RecordBatchReader.from_stream(data)
        kept = [i for i, column in enumerate(reader.schema.names) if columns is None or column in columns]
        schema = pa.schema([reader.schema.field(i) for i in kept])
        with reader, pa.ipc.new_file(str(spool), schema) as writer:
            for batch in reader:
                writer.write_batch(batch.select(kept))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInput(f"Cannot read {name} as a table: {_first_line(error)}") from error
    _register_arrow(connection, spool)
    return name


def _check_zones_of_objects(data: Any, time: str, name: str) -> None:
    # Arrow takes naive and aware datetimes of one pandas object column for the same thing.
    column = data[time] if hasattr(data, "dtypes") and time in getattr(data, "columns", ()) else ()
    if str(getattr(column, "dtype", "")) == "object":
        zones = {str(value.utcoffset()) for value in column if isinstance(value, datetime)}
        if "None" in zones and len(zones) > 1:
            raise BadInput(f"The time column {time!r} of {name} mixes time zones: some times have none.")


def _register_arrow(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    import pyarrow.dataset as ds

    connection.register("source", ds.dataset(str(path), format="ipc"))


def _open_path(connection: duckdb.DuckDBPyConnection, path: str, time: str) -> str:
    if any(sign in path for sign in "*?[") and not Path(path).exists():
        files = sorted(glob.glob(path, recursive=True))
        if not files:
            raise BadInput(f"No file matches {path!r}.")
    elif Path(path).is_dir():
        if (Path(path) / "_delta_log").is_dir():
            return _open_delta(connection, path)
        files = sorted(str(f) for f in Path(path).rglob("*") if f.name.lower().endswith(_PARQUET))
        if not files:
            raise BadInput(f"The folder {path!r} holds no Parquet files and is not a Delta table.")
    elif Path(path).is_file():
        files = [path]
    else:
        folder = Path(path).parent
        near = nearest(Path(path).name, sorted(f.name for f in folder.iterdir())) if folder.is_dir() else ""
        raise BadInput(f"There is no file {path!r}. {near}".strip())
    for file in files:
        if Path(file).stat().st_size == 0:
            raise BadInput(f"The file {file!r} is empty.")
    import duckdb

    try:
        _open_files(connection, files, time)
    except (duckdb.Error, pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return path


def _unreadable(source: str, error: Exception) -> BadInput:
    said = str(error)
    if re.search(r"utf-?8|unicode|encod", said, re.IGNORECASE):
        return BadInput(f"{source} is not UTF-8 text. Convert it first, for instance: iconv -f latin1 -t utf-8.")
    return BadInput(f"Cannot read {source}: {_first_line(error)}")


def _open_files(connection: duckdb.DuckDBPyConnection, files: list[str], time: str) -> None:
    ending = files[0].lower()
    with Path(files[0]).open("rb") as file:
        magic = file.read(6)
    if magic[:4] == b"PAR1" or ending.endswith(_PARQUET):
        listed = ", ".join(map(_text, files))
        connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet([{listed}], union_by_name = true)")
    elif magic == b"ARROW1":
        import pyarrow.dataset as ds

        connection.register("source", ds.dataset(files, format="ipc"))
    elif ending.endswith(_ARROW):
        connection.register("source", pa.concat_tables([pa.ipc.open_stream(file).read_all() for file in files]))
    elif ending.endswith(_CSV):
        _open_csv(connection, files, time)
    else:
        raise BadInput(
            f"Cannot tell the format of {files[0]!r}. Readable are CSV ({' '.join(_CSV[:2])}, also .gz), Parquet, Arrow"
            " IPC (.arrow, .feather) and Delta tables."
        )


def _open_csv(connection: duckdb.DuckDBPyConnection, files: list[str], time: str) -> None:
    listed = ", ".join(map(_text, files))
    missing = ", ".join(map(_text, _MISSING))
    # The whole file decides the kinds, not its head: a late odd value must not change the meaning of a column.
    read = (
        f"read_csv([{listed}], sample_size = -1, header = true, skip = 0, nullstr = [{missing}], union_by_name = true"
    )
    connection.execute(f"CREATE VIEW source AS SELECT * FROM {read})")
    kinds = _kinds(connection)
    only = next(iter(kinds))
    if len(kinds) == 1 and any(sign in only for sign in ",;\t|"):
        raise BadInput(
            f"Cannot split {files[0]} into columns: its rows do not all have as many as its first line {only!r}."
        )
    if kinds.get(time) == _ZONED:
        # Keep what was written, so that mixed zones are seen.
        connection.execute(
            f"CREATE OR REPLACE VIEW source AS SELECT * FROM {read}, types = {{{_text(time)}: 'VARCHAR'}})"
        )


def _open_delta(connection: duckdb.DuckDBPyConnection, path: str) -> str:
    try:
        import deltalake
    except ImportError as error:
        raise BadInput(
            f"{path} is a Delta table; reading it needs the extra: pip install 'shelflife[delta]'."
        ) from error
    try:
        connection.register("source", deltalake.DeltaTable(path).to_pyarrow_dataset())
    except Exception as error:
        raise BadInput(f"Cannot read the Delta table {path}: {_first_line(error)}") from error
    return path


def _moment(connection: duckdb.DuckDBPyConnection, time: str, kind: str, source: str) -> tuple[str, tuple[str, ...]]:
    """The SQL expression of the time in microseconds since 1970, and what had to be inferred."""
    column = _quoted(time)
    if kind == _ZONED:
        return f"epoch_us({column})", ()
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"epoch_us(CAST({column} AS TIMESTAMP))", ()
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return f"epoch_us(TRY_CAST(CAST({column} AS VARCHAR) AS TIMESTAMPTZ))", ()
    if kind in _NUMBERS:
        largest = connection.execute(f"SELECT max(abs({column})) FROM source").fetchall()[0][0] or 0
        for least, unit, factor in _EPOCH_UNITS:
            if largest >= least:
                note = f"Column {time!r} holds numbers, read as {unit} since 1970."
                return f"CAST({column} * {factor} AS BIGINT)", (note,)
    raise BadInput(
        f"The time column {time!r} of {source} holds {kind} that is no time; asked for are timestamps, dates, text such"
        " as 2026-05-01 13:00, or numbers since 1970 (seconds or finer, after 1973)."
    )


def _sorted_query(moment: str, time: str, kinds: dict[str, str], columns: list[str]) -> str:
    target = columns[0]
    chosen = [f"{_converted(column, kinds[column])} AS {_quoted(column)}" for column in columns]
    written = "VARCHAR" in kinds[time] or kinds[time].startswith("ENUM")
    return f"""
        WITH rows AS (
            SELECT {moment} AS {_quoted(TIME)}, row_number() OVER () AS {_quoted(ROW)},
                   {f"CAST({_quoted(time)} AS VARCHAR) AS {_quoted(WRITTEN)}," if written else ""}
                   {", ".join(chosen)}
            FROM source)
        SELECT * FROM rows
        ORDER BY {_quoted(TIME)} IS NULL DESC, {_quoted(target)} IS NULL DESC, {_quoted(TIME)}, {_quoted(ROW)}"""


def _converted(column: str, kind: str) -> str:
    quoted = _quoted(column)
    if kind.startswith(_AS_DOUBLE):
        return f"CAST({quoted} AS DOUBLE)"
    if kind in {"FLOAT", "DOUBLE"}:
        return f"CASE WHEN isnan({quoted}) THEN NULL ELSE {quoted} END"
    return f"CAST({quoted} AS VARCHAR)" if kind == "UUID" or kind.startswith("ENUM") else quoted


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path, source: str) -> int:
    import duckdb

    rows = 0
    try:
        reader = connection.sql(query).to_arrow_reader(_BATCH)
        with pa.ipc.new_file(str(path), reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
    except (duckdb.Error, pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(source, error) from error
    return rows


def _check_times(table: pa.Table, time: str, kind: str, source: str) -> bool:
    """Whether the times are zoned; raises for times that do not parse, mix zones or lie beyond the calendar."""
    times = table[TIME]
    untimed = times.null_count
    zoned = kind == _ZONED
    if WRITTEN in table.column_names:
        _check_parsed(table.slice(0, untimed), time, source)
        zoned = _check_zones(table.slice(untimed), time, source)
    if untimed == len(times):
        raise BadInput(f"The time column {time!r} of {source} has no values.")
    first, last = (pc.min_max(times)[end].as_py() for end in ("min", "max"))
    least, most = ((datetime(year, 1, 1) - _EPOCH) // timedelta(microseconds=1) for year in (1, 9999))
    if first < least or last >= most:
        raise BadInput(f"The time column {time!r} of {source} has times outside the years 1 to 9998.")
    return zoned


def _check_parsed(untimed: pa.Table, time: str, source: str) -> None:
    bad = untimed.filter(pc.is_valid(untimed[WRITTEN]))
    if len(bad):
        first = pc.min(bad[ROW]).as_py()
        written = bad.filter(pc.equal(bad[ROW], first))[WRITTEN][0].as_py()
        raise BadInput(
            f"The time column {time!r} of {source} does not parse: row {first} holds {written!r}. Write times"
            " as 2026-05-01 or 2026-05-01 13:00:00, with an offset such as +02:00 on all rows or on none."
        )


def _check_zones(timed: pa.Table, time: str, source: str) -> bool:
    zones = pc.struct_field(pc.extract_regex(timed[WRITTEN], _OFFSET), "zone")
    first_rows = (
        pa.table({"zone": pc.fill_null(zones, ""), "row": timed[ROW]}).group_by("zone").aggregate([("row", "min")])
    )
    found = sorted(zip(first_rows["row_min"].to_pylist(), first_rows["zone"].to_pylist(), strict=True))
    minutes = {_offset_minutes(zone) for _, zone in found if zone}
    # Two offsets an hour apart are one zone's winter and summer time; anything else is a mixture.
    one_zone = len(minutes) < 2 or (len(minutes) == 2 and max(minutes) - min(minutes) == 60)
    if (minutes and any(not zone for _, zone in found)) or not one_zone:
        shown = ", ".join(f"{zone or 'no zone'} from row {row}" for row, zone in found[:4])
        raise BadInput(
            f"The time column {time!r} of {source} mixes time zones: {shown}. Convert all to one, such as UTC."
        )
    return bool(minutes)


def _offset_minutes(zone: str) -> int:
    if zone in {"Z", "UTC"}:
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:]))
