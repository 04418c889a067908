"""A reference: learnt once from data, it says what is counted and is what later profiles are compared with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife import durations
from shelflife.errors import BadInput
from shelflife.profile import category, expected, moment, numeric, residual, roles, text, vector
from shelflife.profile.counts import Profile
from shelflife.profile.kernel import Kernel, plain, rows_at_once
from shelflife.profile.layout import Layout, Part, Segment
from shelflife.profile.roles import Roles

# Rows from which edges, vocabularies and meanings are learnt; all rows are then counted with them.
SAMPLE = 100_000
_MOST_SAMPLED = 1 << 24
_TEXTS = 20_000
_MOST_SEGMENTS = 20


class Source(Protocol):
    """Rows that can be read again: what `shelflife.tables.open_rows` opens, and what a table in memory becomes."""

    @property
    def source(self) -> str: ...
    @property
    def schema(self) -> pa.Schema: ...
    @property
    def rows(self) -> int: ...
    def batches(self, columns: Sequence[str], size: int = ...) -> Iterator[pa.RecordBatch]: ...
    def some(self, columns: Sequence[str], most: int) -> pa.Table: ...


@dataclass(frozen=True)
class Reference:
    """What profiles are compared with: the layout that it fixed, and its own counts by bucket.

    Attributes
    ----------
    layout
        What is counted, and in which cell.
    profile
        The reference's own rows, counted.
    notes
        What was inferred or left out, one sentence each.

    Examples
    --------
    >>> import pyarrow as pa
    >>> reference = Reference.learn(pa.table({"seats": [1, 2, 3, 4], "plan": ["pro", "pro", "free", "pro"]}))
    >>> reference.count(pa.table({"seats": [2, 9], "plan": ["pro", "team"]}))
    <Profile of 2 rows in 1 buckets, ...>
    """

    layout: Layout
    profile: Profile
    notes: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        data: Any,
        *,
        time: str | None = None,
        bucket: str = "1d",
        prediction: str | None = None,
        score: Sequence[str] | str = (),
        outcome: str | None = None,
        segments: Sequence[str] = (),
        exclude: Sequence[str] = (),
        kinds: Mapping[str, str] | None = None,
        task: Any = None,
        counting: Callable[[Layout], tuple[Profile, int]] | None = None,
    ) -> Reference:
        """Learn a reference from a table and count the table with it.

        Parameters
        ----------
        data
            A table in memory (anything with ``__arrow_c_stream__``), or rows opened by `shelflife.tables.open_rows`.
        time
            Column of times; without it all rows are one bucket.
        bucket
            Length of a bucket, as ``1h``, ``1d`` or ``1w``; weeks begin on Monday, all in UTC.
        prediction, score, outcome
            Columns of what was said, how surely, and what turned out true; one score per class where several.
        segments
            Columns by whose commonest values rows are also counted apart.
        exclude
            Columns that are not counted.
        kinds
            Kinds by column, where types and values do not say them: numeric, category, boolean, text, time, vector.
        task
            ``classification`` or ``regression``, where the values do not say it.
        counting
            Counts all rows with a layout, and those without a time, where that is not to be done here.

        Raises
        ------
        BadInput
            Where a column named is not there, or a role, kind or bucket makes no sense.
        """
        source = as_source(data)
        scores = (score,) if isinstance(score, str) else tuple(score)
        asked = Roles(time, prediction, outcome, scores, tuple(dict.fromkeys(segments)), tuple(exclude), kinds, task)
        length = durations.parse(bucket, option="--bucket")
        if length < durations.MINUTE:
            raise BadInput(f"--bucket asks for at least a minute; found {bucket!r}.")
        asked.check(source.schema.names, source.source)
        if source.rows == 0:
            raise BadInput(f"The reference ({source.source}) has no rows. Give a table of what was good.")
        # Whole numbers are microseconds where the doors made them so; of others nobody knows the unit.
        _check_types(source.schema, asked, ticking=not isinstance(source, _InMemory))
        layout, notes = _layout(source, asked, length)
        if counting is None:
            kernel = Kernel(layout)
            profile = kernel.count(source.batches(layout.columns, rows_at_once(len(layout.columns))))
            untimed = kernel.untimed
        else:
            profile, untimed = counting(layout)
        if untimed:
            notes.append(f"{untimed:,} rows without a time were left out of {source.source}.")
        return cls(layout, profile, tuple(notes))

    def count(self, data: Any) -> Profile:
        """The profile of other rows, in this reference's cells; a column that they lack counts as missing.

        Parameters
        ----------
        data
            As for `learn`, or an iterable of Arrow batches (which is read once).
        """
        found = as_source(data) if hasattr(data, "__arrow_c_stream__") else data
        if isinstance(found, _InMemory) and self.layout.time in found.schema.names:
            _check_time(found.schema, self.layout.time, ticking=False)
        return Kernel(self.layout).count(batches_of(found, self.layout.columns))

    def save(self, path: str | Path) -> None:
        """Write the reference as one compressed Arrow file; it is also a profile."""
        self.profile.save(path, notes=json.dumps(self.notes))

    @classmethod
    def open(cls, path: str | Path) -> Reference:
        """Read what `save` wrote (or a profile, whose rows are then the reference)."""
        profile, notes = Profile.open_with_notes(path)
        return cls(profile.layout, profile, tuple(json.loads(notes)) if notes else ())


@dataclass(frozen=True)
class _InMemory:
    """A table in memory as a source."""

    table: pa.Table
    source: str

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    def batches(self, columns: Sequence[str], size: int = 65_536) -> Iterator[pa.RecordBatch]:
        have = set(self.table.column_names)
        kept = self.table.select([name for name in columns if name in have])
        yield from kept.to_batches(max_chunksize=size)

    def some(self, columns: Sequence[str], most: int) -> pa.Table:
        kept = self.table.select(list(columns))
        if self.rows <= most:
            return kept
        # Drawn rather than every n-th: rows may repeat in a rhythm.
        chosen = np.random.default_rng(0).choice(self.rows, most, replace=False, shuffle=False)
        return kept.take(pa.array(np.sort(chosen)))


def as_source(data: Any) -> Source:
    """`data` as rows that can be read again."""
    if hasattr(data, "batches") and hasattr(data, "schema") and hasattr(data, "rows"):
        found: Source = data
        return found
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if not hasattr(data, "__arrow_c_stream__"):
        raise BadInput(
            "A table is asked for: an object that speaks Arrow (pandas, polars, pyarrow, DuckDB), or rows opened by"
            f" shelflife.tables.open_rows; found {type(data).__module__}.{type(data).__name__}."
        )
    try:
        table = data if isinstance(data, pa.Table) else pa.table(data)
    except (pa.ArrowException, TypeError) as error:
        raise BadInput(
            f"Cannot read the {type(data).__module__.split('.')[0]} {type(data).__name__}: {error}"
        ) from error
    return _InMemory(table, f"the {type(data).__module__.split('.')[0]} {type(data).__name__}")


def batches_of(data: Any, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
    """Batches of `data`, of `columns` where it is a table; an iterable of batches as it is."""
    if isinstance(data, pa.RecordBatch):
        return [data]
    if hasattr(data, "batches") or hasattr(data, "__arrow_c_stream__"):
        return as_source(data).batches(columns, rows_at_once(len(columns)))
    found: Iterable[pa.RecordBatch] = data
    return found


def _check_types(schema: pa.Schema, asked: Roles, *, ticking: bool) -> None:
    """Raise `BadInput` where a column that plays a part holds what cannot be read."""
    for name in (asked.prediction, asked.outcome, *asked.scores, *asked.segments):
        kind = None if name is None else schema.field(name).type
        if kind is not None and not pa.types.is_null(kind) and roles.family(kind) in {None, "vector"}:
            raise BadInput(f"Column {name!r} holds {kind}, which cannot be a prediction, score, outcome or segment.")
    if asked.time is not None:
        _check_time(schema, asked.time, ticking=ticking)


def _check_time(schema: pa.Schema, time: str | None, *, ticking: bool) -> None:
    kind = schema.field(time).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or (pa.types.is_int64(kind) and ticking)):
        raise BadInput(
            f"The time column {time!r} holds {kind}; asked for are timestamps or dates. Convert it, or read the rows"
            " with shelflife.tables.open_rows."
        )


def _layout(source: Source, asked: Roles, bucket: int) -> tuple[Layout, list[str]]:
    notes: list[str] = []
    usable, left_out = [], {}
    for field in source.schema:
        if field.name in {asked.time, *asked.exclude}:
            continue
        said = (asked.kinds or {}).get(field.name)
        if roles.family(field.type) is None and not pa.types.is_null(field.type):
            left_out[field.name] = str(field.type)
        elif said is not None and not roles.fits(said, field.type):
            raise BadInput(f"Column {field.name!r} holds {field.type}, which cannot be counted as {said}.")
        else:
            usable.append(field.name)
    if left_out:
        shown = ", ".join(f"{name} ({kind})" for name, kind in list(left_out.items())[:5])
        notes.append(f"Columns of types that cannot be counted were left out: {shown}.")
    sample, tallies = _sample(source, asked, usable)
    parts: list[Part] = []
    for name in usable:
        if name == asked.outcome:
            continue
        part = _part(name, sample[name], tallies, sample, asked)
        if part is None:
            notes.append(f"Column {name!r} holds times; without --time there is nothing to compare them with.")
        else:
            parts.append(part)
    if asked.prediction or asked.scores:
        part, inferred = _outcome(asked, sample)
        notes.extend(inferred)
        if isinstance(part, residual.Residual):
            part = expected.with_model(part, parts, sample)
        parts.append(part)
    segments = [Segment(column, value) for column in asked.segments for value in _commonest(sample[column], column)]
    return Layout(
        tuple(parts), asked.time, bucket if asked.time else None, tuple(segments), _zoned(source, asked.time)
    ), notes


def _zoned(source: Source, time: str | None) -> bool:
    """Whether the times carry a zone: as the doors read them, or as their type says."""
    if time is None:
        return False
    kind = source.schema.field(time).type
    return bool(getattr(source, "zoned", False) or (pa.types.is_timestamp(kind) and kind.tz is not None))


def _sample(source: Source, asked: Roles, usable: list[str]) -> tuple[pa.Table, dict[str, category.Tally]]:
    """Some rows, spread over all, and of columns of names the values of all rows."""
    columns = list(dict.fromkeys([*([asked.time] if asked.time else []), *usable, *asked.segments]))
    most = max(1_000, min(SAMPLE, _MOST_SAMPLED // max(1, len(columns))))
    said = asked.kinds or {}
    tallies = {
        name: category.Tally()
        for name in usable
        if said.get(name, roles.family(source.schema.field(name).type)) in {"category", "boolean"}
    }
    if tallies:
        for batch in source.batches(list(tallies), rows_at_once(len(tallies))):
            for name, tally in tallies.items():
                tally.add(batch.column(name))
    found = source.some(columns, most)
    # Dictionaries may differ from batch to batch, and a sample is small.
    arrays = [plain(column.combine_chunks()) for column in found.columns]
    arrays = [a.dictionary_decode() if pa.types.is_dictionary(a.type) else a for a in arrays]
    return pa.table(dict(zip(found.column_names, arrays, strict=True))), tallies


def _part(
    name: str, values: pa.ChunkedArray, tallies: dict[str, category.Tally], sample: pa.Table, asked: Roles
) -> Part | None:
    kind = (asked.kinds or {}).get(name)
    if kind is None:
        kind = roles.family(values.type) or "category"
        if kind == "category" and not pa.types.is_null(values.type) and roles.is_text(values):
            kind = "text"
    if kind == "numeric":
        return numeric.learn(name, _finite(values))
    if kind == "time":
        if asked.time is None:
            return None
        lags = moment.lag(values.combine_chunks(), sample[asked.time].combine_chunks())
        return moment.learn(name, _finite(pa.chunked_array([lags])), asked.time)
    if kind == "vector":
        return vector.learn(name, values.combine_chunks())
    if kind == "text":
        return text.learn(name, values.slice(0, _TEXTS) if len(values) <= _TEXTS else _spread(values, _TEXTS))
    tally = tallies.get(name)
    if tally is None:
        tally = category.Tally()
        for chunk in values.chunks:
            tally.add(chunk)
    odd = [word for word in tally.counts if word not in {"0", "1"}]
    if kind == "boolean" and odd:
        raise BadInput(f"Column {name!r} is to be counted as boolean; found {odd[0]!r}. Count it as a category.")
    return category.learn(name, tally, kind=kind)


def _spread(values: pa.ChunkedArray, most: int) -> pa.ChunkedArray:
    places = np.sort(np.random.default_rng(1).choice(len(values), most, replace=False, shuffle=False))
    return values.take(pa.array(places))


def _finite(values: pa.ChunkedArray) -> Any:
    found, missing = numeric.to_floats(values.combine_chunks())
    kept = np.isfinite(found) if missing is None else np.isfinite(found) & ~missing
    return found[kept]


def _outcome(asked: Roles, sample: pa.Table) -> tuple[Part, list[str]]:
    task, said = roles.task_of(asked, sample)
    notes = [said] if said else []
    if task == "classification":
        part, inferred = roles.joint_of(asked, sample)
        return part, [*notes, *inferred]
    if asked.prediction is None:
        raise BadInput("A regression needs --prediction: the column of predicted numbers.")
    for column in (asked.prediction, asked.outcome):
        if column is not None and not roles.fits("numeric", sample[column].type):
            raise BadInput(f"A regression compares numbers; column {column!r} holds {sample[column].type}.")
    said_, absent = residual.finite(sample[asked.prediction].combine_chunks())
    if asked.outcome is None:
        return residual.learn(asked.prediction, None, said_[~absent], said_[~absent]), notes
    true, unknown = residual.finite(sample[asked.outcome].combine_chunks())
    known = ~(absent | unknown)
    return residual.learn(asked.prediction, asked.outcome, said_[known], true[known]), notes


def _commonest(values: pa.ChunkedArray, column: str) -> list[str]:
    counts = pc.value_counts(category.names(values.combine_chunks()).drop_null())
    ranked = sorted((-pair["counts"].as_py(), pair["values"].as_py()) for pair in counts)
    if len(ranked) > 10 * _MOST_SEGMENTS:
        raise BadInput(f"--segments names {column!r}, which has {len(ranked):,} different values; choose one with few.")
    return [value for _, value in ranked[:_MOST_SEGMENTS]]
