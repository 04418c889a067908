"""From what programs send to typed columns: each row that cannot be used is told why, the others are kept."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.errors import BadInput, nearest
from shelflife.observe.shapes import MOMENT, SERVED, Shape
from shelflife.observe.values import READERS, family, shown

LONGEST_ID = 200
_ANCIENT = datetime(1900, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)  # how far a clock of another machine may be ahead of ours
_IGNORED = 20  # names of unknown columns that are told


@dataclass
class Read:
    """Rows as they were read.

    Attributes
    ----------
    table
        The rows that can be used, in the columns of their shape.
    places
        Shape (rows of `table`,): the place of each among those that were given, from 0.
    rejected
        Why, by the place of each row that cannot be used.
    ignored
        Names of what was given and is not known.
    """

    table: pa.Table
    places: Any
    rejected: dict[int, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def from_json(rows: Sequence[Any], shape: Shape, *, now: datetime) -> Read:
    """Rows that are JSON objects: ``{"id": …, "time": …, "inputs": {…}, "prediction": …}``.

    What stands beside these under a name of the plan's, as in a table, is understood; what stands in its place counts
    before it.
    """
    reading = _Reading(len(rows))
    good: list[Any] = list(rows)
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            reading.reject(place, f"a row is to be an object of names and values; found {shown(row)}")
            good[place] = {}
    known = {column.name: column.type for column in shape.schema}
    strange = {name for row in good for name in row.keys() - known.keys()}
    if not strange.isdisjoint(shape.places):
        good = [_in_place(row, shape) for row in good]
        strange = {name for row in good for name in row.keys() - known.keys()}
    reading.ignore(strange)
    arrays = [
        _nested(good, column, reading) if pa.types.is_struct(column.type) else
        _converted([row.get(column.name) for row in good], column.name, column.type, reading)
        for column in shape.schema
    ]  # fmt: skip
    for name, kind in known.items():
        if pa.types.is_struct(kind):
            inner = {kind.field(i).name for i in range(kind.num_fields)}
            reading.ignore(
                f"{name}.{key}" for row in good if isinstance(row.get(name), dict) for key in row[name].keys() - inner
            )
    return _finished(pa.table(arrays, schema=shape.schema), shape, reading, now)


def from_arrow(table: pa.Table, shape: Shape, *, now: datetime, columns: Mapping[str, str] | None = None) -> Read:
    """Rows of a table, flat or with ``inputs`` as a struct.

    Parameters
    ----------
    columns
        Its name for each of ours that differs. Where ours is absent, the name that the plan gives it is looked for.

    Raises
    ------
    BadInput
        Where there is no column that was named.
    """
    reading = _Reading(len(table))
    named = dict(columns or {})
    for ours, theirs in shape.called.items():
        if ours not in table.column_names and theirs in table.column_names:
            named.setdefault(ours, theirs)
    known: set[str] = set()
    # A flat table's column of such a name is an input where the plan has one.
    inputs = set() if "inputs" in table.column_names else _input_names(shape)

    def take(name: str) -> pa.ChunkedArray | None:
        source = named.get(name, name)
        if name in named and source not in table.column_names:
            raise BadInput(f"There is no column {source!r} for {name!r}. {nearest(source, table.column_names)}")
        if source not in table.column_names:
            return None
        known.add(source)
        return table[source]

    arrays = []
    for column in shape.schema:
        if pa.types.is_struct(column.type):
            arrays.append(_struct_of(column, take, reading, len(table)))
        else:
            given = None if column.name in SERVED and column.name in inputs else take(column.name)
            arrays.append(_cast(given, column.name, column.type, reading, len(table)))
    reading.ignore(name for name in table.column_names if name not in known)
    return _finished(pa.table(arrays, schema=shape.schema), shape, reading, now)


def check_columns(names: Sequence[str], shape: Shape, columns: Mapping[str, str] | None) -> None:
    """Raise `BadInput` where a table lacks a column without which none of its rows can be kept."""
    named = dict(columns or {})
    ours = list(dict.fromkeys([*shape.schema.names, *(one.name for part in shape.schema for one in _inner(part))]))
    for name in named:
        if name not in ours:
            raise BadInput(f"{shape.kind.capitalize()} have no column {name!r}. {nearest(name, ours)}")
    own = {"id"} if shape.kind == "kpis" else set()  # which are named by their time
    for name in [name for name in ours if name in shape.needed - own]:
        if not {named.get(name, name), shape.called.get(name)} & set(names):
            there = ", ".join(list(names)[:_IGNORED])
            raise BadInput(
                f"Rows of {shape.kind} need {name!r}, and the table has no such column; say which one it is:"
                f" {name}=COLUMN (`--columns`, or `columns` of a feed). It has {there}."
            )


# ----------------------------------------------------------------------------------------------------------------------


def _input_names(shape: Shape) -> set[str]:
    return {one.name for part in shape.schema if part.name == "inputs" for one in _inner(part)}


def _inner(column: pa.Field) -> list[pa.Field]:
    return list(column.type) if pa.types.is_struct(column.type) else []


class _Reading:
    """Rows on their way, and what is wrong with some."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.rejected: dict[int, str] = {}
        self.unknown: dict[str, None] = {}

    def reject(self, place: int, why: str) -> None:
        self.rejected.setdefault(place, why)

    def ignore(self, names: Any) -> None:
        for name in names:
            if len(self.unknown) >= _IGNORED:
                return
            self.unknown[str(name)[:100]] = None


def _in_place(row: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """A row with what has a name of the plan's where it belongs, if nothing is there."""
    placed = dict(row)
    for name in row.keys() & shape.places.keys() - set(shape.schema.names):
        for column, part in shape.places[name]:
            there = placed.get(column)
            if part is None and there is None:
                placed[column] = row[name]
            elif part is not None and (there is None or (isinstance(there, dict) and there.get(part) is None)):
                placed[column] = {**(there or {}), part: row[name]}
            else:
                continue
            placed.pop(name, None)
    return placed


def _nested(rows: list[Any], column: pa.Field, reading: _Reading) -> pa.Array:
    inner = []
    for place, row in enumerate(rows):
        value = row.get(column.name)
        if value is not None and not isinstance(value, dict):
            reading.reject(place, f"`{column.name}` is to be an object of names and values; found {shown(value)}")
            value = None
        inner.append(value or {})
    fields = [column.type.field(i) for i in range(column.type.num_fields)]
    arrays = [
        _converted([row.get(one.name) for row in inner], f"{column.name}.{one.name}", one.type, reading)
        for one in fields
    ]
    return pa.StructArray.from_arrays(arrays, fields=fields)


def _struct_of(column: pa.Field, take: Any, reading: _Reading, rows: int) -> pa.Array:
    fields = [column.type.field(i) for i in range(column.type.num_fields)]
    whole = take(column.name)
    if whole is not None and pa.types.is_struct(whole.type):
        given = whole.combine_chunks()
        have = {given.type.field(i).name for i in range(given.type.num_fields)}
        reading.ignore(f"{column.name}.{name}" for name in have - {one.name for one in fields})
        parts = [pc.struct_field(given, one.name) if one.name in have else None for one in fields]
    else:
        parts = [take(one.name) for one in fields]
    arrays = [
        _cast(part, f"{column.name}.{one.name}", one.type, reading, rows)
        for one, part in zip(fields, parts, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, fields=fields)


def _converted(values: list[Any], name: str, kind: pa.DataType, reading: _Reading) -> pa.Array:
    """Values of JSON as one type; values that are of another one are rejected with their rows."""
    if not (pa.types.is_timestamp(kind) or pa.types.is_list(kind)) and not _mixed(values, kind):
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            pass
    elif pa.types.is_timestamp(kind):
        try:
            return pa.array(values, pa.string()).cast(kind)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            pass
    found: list[Any] = []
    for place, value in enumerate(values):
        try:
            found.append(None if value is None else READERS[family(kind)](value))
        except (TypeError, ValueError, OverflowError) as error:
            reading.reject(place, f"`{name}` is to be {error}; found {shown(value)}")
            found.append(None)
    return pa.array(found, kind)


def _mixed(values: list[Any], kind: pa.DataType) -> bool:
    # Arrow takes true for 1; a number that is a truth value is a mistake.
    return pa.types.is_floating(kind) and any(value is True or value is False for value in values)


def _cast(
    column: pa.ChunkedArray | pa.Array | None, name: str, kind: pa.DataType, reading: _Reading, rows: int
) -> pa.Array:
    if column is None:
        return pa.nulls(rows, kind)
    given = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    given = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    if pa.types.is_dictionary(given.type):
        given = given.dictionary_decode()
    same = family(given.type) == family(kind)
    if pa.types.is_null(given.type) or (same and not (pa.types.is_timestamp(kind) and _zoneless(given.type))):
        try:
            return given.cast(kind)
        except pa.ArrowException:
            pass
    # Of a table text is a time in UTC as well where it names no zone.
    zoned = _zoned if pa.types.is_timestamp(kind) else _json
    return _converted([zoned(value) for value in given.to_pylist()], name, kind, reading)


def _zoneless(kind: pa.DataType) -> bool:
    return not pa.types.is_timestamp(kind) or kind.tz is None


def _zoned(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return _json(datetime.fromisoformat(value))
    return _json(value)


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        # A table's times without a zone are UTC: columns have one meaning, and no writer could mark one row.
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    if hasattr(value, "isoformat"):
        return f"{value.isoformat()}T00:00:00Z"
    return float(value) if type(value).__name__ == "Decimal" else value


def _finished(table: pa.Table, shape: Shape, reading: _Reading, now: datetime) -> Read:
    if shape.kind == "kpis":
        table = _named_kpis(table)
    if "time" not in shape.needed:
        table = _set(table, "time", pc.fill_null(table["time"], pa.scalar(now, MOMENT)))
    for name in [name for name in shape.schema.names if name in shape.needed]:
        for place in _places(pc.is_null(table[name])):
            reading.reject(place, f"`{name}` is missing")
    times = table["time"]
    for place in _places(pc.greater(times, pa.scalar(now + _AHEAD, MOMENT))):
        reading.reject(place, f"`time` lies in the future: {_calendar(times[place])}")
    for place in _places(pc.less(times, pa.scalar(_ANCIENT, MOMENT))):
        reading.reject(place, f"`time` lies before 1900: {_calendar(times[place])}")
    if shape.keeps is not None:  # what was removed for its age is not taken in again
        for place in _places(pc.less(times, pa.scalar(now - shape.keeps, MOMENT))):
            reading.reject(place, f"`time` lies before what the plan keeps: {_calendar(times[place])}")
    lengths = pc.utf8_length(table["id"])
    for place in _places(pc.or_(pc.greater(lengths, LONGEST_ID), pc.equal(lengths, 0))):
        reading.reject(place, f"`id` is to have 1 to {LONGEST_ID} characters; found {lengths[place].as_py()}")
    for name, words in shape.words.items():
        for place in _places(pc.invert(pc.is_in(table[name], value_set=pa.array(words, pa.string())))):
            found = table[name][place].as_py()
            reading.reject(place, f"`{name}` is to be one of {', '.join(words) or 'none'}; found {shown(found)}")
    for name, (least, most) in shape.between.items():
        _check_between(table[name], name, least, most, reading)
    kept = np.delete(np.arange(reading.rows), list(reading.rejected))
    if len(kept) < reading.rows:
        table = table.take(pa.array(kept))
    if shape.private:
        table = _hidden(table, shape)
    return Read(table, kept, dict(sorted(reading.rejected.items())), tuple(sorted(reading.unknown)))


def _check_between(column: Any, name: str, least: float, most: float, reading: _Reading) -> None:
    """Reject the rows in which a number lies outside."""
    if pa.types.is_struct(column.type):
        for place, part in enumerate(column.type):
            _check_between(pc.struct_field(column, [place]), f"{name}.{part.name}", least, most, reading)
        return
    asked = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
    for place in _places(pc.or_(pc.less(column, least), pc.greater(column, most))):
        reading.reject(place, f"`{name}` is to be {asked}; found {shown(column[place].as_py())}")


def _hidden(table: pa.Table, shape: Shape) -> pa.Table:
    """Digests in place of the values of private inputs: what is equal stays equal, and nothing else is known of it."""
    place = table.column_names.index("inputs")
    given = table["inputs"].combine_chunks()
    given = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    wanted = shape.kept.field(place)
    parts = []
    for one in (wanted.type.field(i) for i in range(wanted.type.num_fields)):
        values = pc.struct_field(given, one.name)
        if one.name in shape.private:
            values = pa.array(
                [None if value is None else hashlib.sha256(str(value).encode()).hexdigest()[:32]
                 for value in values.to_pylist()], pa.string(),
            )  # fmt: skip
        parts.append(values)
    return table.set_column(place, wanted, pa.StructArray.from_arrays(parts, fields=list(wanted.type)))


def _calendar(moment: Any) -> str:
    """A moment as people write it, also where it lies beyond the years that a `datetime` knows."""
    return f"{np.datetime_as_string(np.datetime64(moment.value, 'us'), unit='s')}Z"


def _named_kpis(table: pa.Table) -> pa.Table:
    """A KPI at a moment is one fact, whoever tells it: without an id it is named by both."""
    seconds = pc.cast(table["time"], pa.timestamp("s", tz="UTC"), safe=False)
    said = pc.binary_join_element_wise(
        pc.fill_null(table["kpi"], ""), pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%S"), "@"
    )
    return _set(table, "id", pc.coalesce(table["id"], said))


def _set(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), table.schema.field(name), values)


def _places(mask: Any) -> list[int]:
    filled = pc.fill_null(mask, False)
    return np.flatnonzero(filled.to_numpy(zero_copy_only=False) if len(filled) else []).tolist()
