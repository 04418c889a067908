"""Every door into one: CSV, Parquet, Arrow IPC, Delta, or an object with ``__arrow_c_stream__``, read by DuckDB."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from shelflife.errors import BadInput, first_line, nearest

if TYPE_CHECKING:
    import duckdb

# No column of the user's can have these names: any with this beginning is refused.
OURS = "shelflife:"
TIME, ROW, WRITTEN = (OURS + name for name in ("time", "row", "written"))
EPOCH = datetime(1970, 1, 1)
BATCH = 65_536
SPOOL = "spool.arrow"
_MEMORY = "2GB"  # beyond this DuckDB spills to disk

_CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".feather", ".ipc", ".arrows")
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]

_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
NUMBERS = _WHOLE | {"FLOAT", "DOUBLE"}
_AS_DOUBLE = ("DECIMAL", "HUGEINT", "UHUGEINT", '"NULL"')
_USABLE = NUMBERS | {"BOOLEAN", "VARCHAR", "DATE", "UUID"}
ZONED = "TIMESTAMP WITH TIME ZONE"
_ZONED_FINER = "TIMESTAMPTZ_NS"  # what pandas writes; the same to all who ask for kinds
# From the largest number on it is a time of that unit after 1973; smaller ones are years, hours or counts.
_EPOCH_UNITS = (
    (1e17, "nanoseconds", 1e-3),
    (1e14, "microseconds", 1),
    (1e11, "milliseconds", 1e3),
    (1e8, "seconds", 1e6),
)
_OFFSET = r"[T ]\d{1,2}:\d{2}.*?\s*(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)$"


@contextmanager
def connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection in UTC that spills into `folder`, closed at the end."""
    import duckdb  # here, so that workers, which only map what it wrote, need not load it

    connection = duckdb.connect(config={"temp_directory": str(folder / "spill"), "autoinstall_known_extensions": False})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        yield connection
    finally:
        connection.close()


def quoted(name: str) -> str:
    """A column's name in a query."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in a query."""
    return "'" + value.replace("'", "''") + "'"


def kinds_of(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Columns of the view ``source`` and their DuckDB types."""
    described = {row[0]: str(row[1]) for row in connection.execute("DESCRIBE source").fetchall()}
    return {name: ZONED if kind == _ZONED_FINER else kind for name, kind in described.items()}


def is_text(kind: str) -> bool:
    """Whether a DuckDB type holds text."""
    return "VARCHAR" in kind or kind.startswith("ENUM")


def usable(kind: str) -> bool:
    """Whether a learner can use a DuckDB type: numbers, text, times and truth values."""
    if kind.endswith("]"):
        return False
    return kind in _USABLE or kind.startswith(("TIMESTAMP", "ENUM", *_AS_DOUBLE))


def open_source(
    connection: duckdb.DuckDBPyConnection, data: Any, time: str | None, columns: list[str] | None, folder: Path
) -> str:
    """Make `data` the view ``source`` and return what to call it in messages."""
    if isinstance(data, str | Path):
        return _open_path(connection, str(data), time)
    if not hasattr(data, "__arrow_c_stream__"):
        raise BadInput(
            f"A table is asked for: a path, or an object that speaks Arrow (pandas, polars, pyarrow, DuckDB); found"
            f" {type(data).__module__}.{type(data).__name__}. A lazy frame must be collected first."
        )
    name = f"the {type(data).__module__.split('.')[0]} {type(data).__name__}"
    if not len(getattr(data, "columns", "some")):
        raise BadInput(f"There are no columns in {name}. Give a table of what is to be compared.")
    _check_zones_of_objects(data, time, name)
    spool = folder / SPOOL
    try:
        reader = pa.RecordBatchReader.from_stream(data)
        kept = [i for i, column in enumerate(reader.schema.names) if columns is None or column in columns]
        schema = pa.schema([reader.schema.field(i) for i in kept])
        with reader, pa.ipc.new_file(str(spool), schema) as writer:
            for batch in reader:
                writer.write_batch(batch.select(kept))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInput(f"Cannot read {name} as a table: {first_line(error)}") from error
    _register_arrow(connection, spool)
    return name


def _check_zones_of_objects(data: Any, time: str | None, name: str) -> None:
    # Arrow takes naive and aware datetimes of one pandas object column for the same thing.
    column = data[time] if hasattr(data, "dtypes") and time in getattr(data, "columns", ()) else ()
    if str(getattr(column, "dtype", "")) == "object":
        zones = {str(value.utcoffset()) for value in column if isinstance(value, datetime)}
        if "None" in zones and len(zones) > 1:
            raise BadInput(f"The time column {time!r} of {name} mixes time zones: some times have none.")


def _register_arrow(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    import pyarrow.dataset as ds

    connection.register("source", ds.dataset(str(path), format="ipc"))


def _open_path(connection: duckdb.DuckDBPyConnection, path: str, time: str | None) -> str:
    if "://" in path:
        return _open_delta(connection, path)
    if any(sign in path for sign in "*?[") and not Path(path).exists():
        files = sorted(glob.glob(path, recursive=True))
        if not files:
            raise BadInput(f"No file matches {path!r}.")
    elif Path(path).is_dir():
        if (Path(path) / "_delta_log").is_dir():
            return _open_delta(connection, path)
        files = sorted(str(f) for f in Path(path).rglob("*") if f.name.lower().endswith(PARQUET))
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
        raise unreadable(path, error) from error
    return path


def unreadable(source: str, error: Exception) -> BadInput:
    """The error for what a library could not read."""
    said = str(error)
    if re.search(r"utf-?8|unicode|encod", said, re.IGNORECASE):
        return BadInput(f"{source} is not UTF-8 text. Convert it first, for instance: iconv -f latin1 -t utf-8.")
    return BadInput(f"Cannot read {source}: {first_line(error)}")


def _open_files(connection: duckdb.DuckDBPyConnection, files: list[str], time: str | None) -> None:
    ending = files[0].lower()
    with Path(files[0]).open("rb") as file:
        magic = file.read(6)
    if magic[:4] == b"PAR1" or ending.endswith(PARQUET):
        listed = ", ".join(map(text, files))
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


def _open_csv(connection: duckdb.DuckDBPyConnection, files: list[str], time: str | None) -> None:
    listed = ", ".join(map(text, files))
    missing = ", ".join(map(text, _MISSING))
    # The whole file decides the kinds, not its head: a late odd value must not change the meaning of a column.
    read = (
        f"read_csv([{listed}], sample_size = -1, header = true, skip = 0, nullstr = [{missing}], union_by_name = true"
    )
    connection.execute(f"CREATE VIEW source AS SELECT * FROM {read})")
    kinds = kinds_of(connection)
    only = next(iter(kinds))
    if len(kinds) == 1 and any(sign in only for sign in ",;\t|"):
        raise BadInput(
            f"Cannot split {files[0]} into columns: its rows do not all have as many as its first line {only!r}."
        )
    # What was written is kept where a kind would change what it says: of mixed zones, and of words as `yes` and `no`.
    written = [name for name, kind in kinds.items() if kind == "BOOLEAN" and _are_words(connection, read, name)]
    if time is not None and kinds.get(time) == ZONED:
        written.append(time)
    if written:
        types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in written)
        connection.execute(f"CREATE OR REPLACE VIEW source AS SELECT * FROM {read}, types = {{{types}}})")


def _are_words(connection: duckdb.DuckDBPyConnection, read: str, name: str) -> bool:
    """Whether a column that could be read as true and false says so in other words."""
    column = f"lower(trim({quoted(name)}))"
    found = connection.execute(
        f"SELECT bool_or({column} NOT IN ('true', 'false')) FROM {read}, types = {{{text(name)}: 'VARCHAR'}})"
    ).fetchall()
    return bool(found[0][0])


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
        raise BadInput(f"Cannot read the Delta table {path}: {first_line(error)}") from error
    return path


def moment_of(connection: duckdb.DuckDBPyConnection, time: str, kind: str, source: str) -> tuple[str, tuple[str, ...]]:
    """The SQL expression of the time in microseconds since 1970, and what had to be inferred."""
    column = quoted(time)
    if kind == ZONED:
        return f"epoch_us(CAST({column} AS TIMESTAMPTZ))", ()
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"epoch_us(CAST({column} AS TIMESTAMP))", ()
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return f"epoch_us(TRY_CAST(CAST({column} AS VARCHAR) AS TIMESTAMPTZ))", ()
    if kind in NUMBERS:
        largest = connection.execute(f"SELECT max(abs({column})) FROM source").fetchall()[0][0] or 0
        for least, unit, factor in _EPOCH_UNITS:
            if largest >= least:
                note = f"Column {time!r} holds numbers, read as {unit} since 1970."
                return f"CAST({column} * {factor} AS BIGINT)", (note,)
    raise BadInput(
        f"The time column {time!r} of {source} holds {kind} that is no time; asked for are timestamps, dates, text such"
        " as 2026-05-01 13:00, or numbers since 1970 (seconds or finer, after 1973)."
    )


def converted(column: str, kind: str) -> str:
    """The expression of a column, as a type that everything after knows; not a number counts as missing."""
    name = quoted(column)
    if kind.startswith(_AS_DOUBLE):
        return f"CAST({name} AS DOUBLE)"
    if kind == "INTERVAL":  # what pandas' timedelta becomes
        return f"epoch({name})"
    if kind in {"FLOAT", "DOUBLE"}:
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END"
    return f"CAST({name} AS VARCHAR)" if kind == "UUID" or kind.startswith("ENUM") else name


def check_times(table: pa.Table, time: str, kind: str, source: str) -> bool:
    """Whether the times are zoned; raises for times that do not parse, mix zones or lie beyond the calendar."""
    times = table[TIME]
    if not len(times):
        return kind == ZONED
    untimed = times.null_count
    zoned = kind == ZONED
    if WRITTEN in table.column_names:
        _check_parsed(table.slice(0, untimed), time, source)
        zoned = _check_zones(table.slice(untimed), time, source)
    if untimed == len(times):
        raise BadInput(f"The time column {time!r} of {source} has no values.")
    first, last = (pc.min_max(times)[end].as_py() for end in ("min", "max"))
    least, most = ((datetime(year, 1, 1) - EPOCH) // timedelta(microseconds=1) for year in (1, 9999))
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
