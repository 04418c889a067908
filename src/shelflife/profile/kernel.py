"""The one kernel: Arrow batches in, additive counts out. Every engine runs this on the batches that it hands out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife import durations
from shelflife.errors import BadInput
from shelflife.profile import counts as counting
from shelflife.profile import moment
from shelflife.profile.category import names
from shelflife.profile.counts import Profile
from shelflife.profile.layout import Layout, Part
from shelflife.profile.runs import Counted, Ints, Runs

# Long pieces, so that threads wait little for each other; fewer rows of a wide table, to 64 MB of numbers.
_MOST_VALUES = 1 << 23
_MOST_ROWS = 98_304
_MONDAY = 4 * durations.DAY  # weeks begin on Monday; 1970 began on a Thursday


class Kernel:
    """Counts batches into groups of bucket and segment, column by column, on this machine's cores.

    Parameters
    ----------
    layout
        What to count.
    threads
        How many columns are counted at once; as many as this process may use by default.
    """

    def __init__(self, layout: Layout, threads: int | None = None) -> None:
        self.layout = layout
        self.untimed = 0
        self._threads = threads or _cores()
        self._groups: dict[tuple[int, int], int] = {}
        self._rows = np.zeros(0, dtype=np.int64)
        self._columns = [_Column(part) for part in layout.parts]

    def count(self, batches: Iterable[pa.RecordBatch]) -> Profile:
        """The profile of all rows of `batches`; each is dropped once it is counted."""
        with ThreadPoolExecutor(self._threads) as pool, ThreadPoolExecutor(1) as ahead:
            waiting = iter(batches)
            coming = ahead.submit(next, waiting, None)
            # The next batch is read while this one is counted.
            while (batch := coming.result()) is not None:
                coming = ahead.submit(next, waiting, None)
                for piece in self._pieces(batch):
                    self._add(piece, pool)
        return self._profile()

    def _pieces(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        batch = _fitting(batch, self.layout)
        most = rows_at_once(batch.num_columns)
        for start in range(0, batch.num_rows, most):
            yield batch.slice(start, most)

    def _add(self, batch: pa.RecordBatch, pool: ThreadPoolExecutor) -> None:
        buckets: Ints = np.zeros(batch.num_rows, dtype=np.int64)
        if self.layout.time is not None:
            clock = batch.column(self.layout.time)
            if clock.null_count:
                self.untimed += clock.null_count
                batch = batch.filter(pc.is_valid(clock))
                clock = batch.column(self.layout.time)
            buckets = start_of_buckets(_ticks(clock), self.layout.bucket or durations.DAY)
        if batch.num_rows == 0:
            return
        if (np.diff(buckets) < 0).any():
            order = np.argsort(buckets, kind="stable")
            batch, buckets = batch.take(pa.array(order)), buckets[order]
        self._add_groups(batch, buckets, np.zeros(len(buckets), dtype=np.int64), pool)
        for column in dict.fromkeys(segment.column for segment in self.layout.segments):
            self._add_segments(column, batch, buckets, pool)

    def _add_segments(self, column: str, batch: pa.RecordBatch, buckets: Ints, pool: ThreadPoolExecutor) -> None:
        places = {s.value: i + 1 for i, s in enumerate(self.layout.segments) if s.column == column}
        found = pc.index_in(names(batch.column(column)), value_set=pa.array(list(places), pa.string()))
        of_rows = np.append(np.array(list(places.values())), 0)[pc.fill_null(found, -1).to_numpy(zero_copy_only=False)]
        order = np.lexsort((buckets, of_rows))
        order = order[np.searchsorted(of_rows[order], 1) :]  # rows of no segment come first
        if len(order):
            self._add_groups(batch.take(pa.array(order)), buckets[order], of_rows[order], pool)

    def _add_groups(self, batch: pa.RecordBatch, buckets: Ints, segments: Ints, pool: ThreadPoolExecutor) -> None:
        fresh = np.flatnonzero((np.diff(buckets) != 0) | (np.diff(segments) != 0)) + 1
        runs = Runs(np.append(0, fresh), batch.num_rows)
        keys = zip(segments[runs.starts].tolist(), buckets[runs.starts].tolist(), strict=True)
        groups = np.array([self._groups.setdefault(key, len(self._groups)) for key in keys])
        self._rows = _long(self._rows, len(self._groups))
        self._rows[groups] += runs.lengths

        def add(column: _Column) -> None:
            column.add(batch, runs, groups, len(self._groups))

        # One after the other where the work is small: handing it out would take longer.
        if len(self._columns) * batch.num_rows < 20_000:
            for column in self._columns:
                add(column)
        else:
            list(pool.map(add, self._columns))

    def _profile(self) -> Profile:
        if not self._groups:
            return counting.empty(self.layout)
        size = len(self._groups)
        keys = np.array(list(self._groups), dtype=np.int64)
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        counts, sums, extremes = self.layout.widths
        widths = {"counts": counts, "sums": sums, "lows": extremes, "highs": extremes}
        arrays: list[Any] = []
        for name, width in widths.items():
            whole = np.empty((size, width), dtype=np.int64 if name == "counts" else np.float64)
            start = 0
            for column in self._columns:
                found = getattr(column, name)
                whole[:, start : start + found.shape[1]] = found[:size][order]
                start += found.shape[1]
                setattr(column, name, found[:0])  # one copy of everything is enough
            arrays.append(whole)
        return Profile(self.layout, keys[order, 0], keys[order, 1], self._rows[:size][order], *arrays)


class _Column:
    """What one part has counted so far, one row a group."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.counts = np.zeros((0, part.cells), dtype=np.int64)
        self.sums = np.zeros((0, part.sums))
        self.lows = np.zeros((0, part.extremes))
        self.highs = np.zeros((0, part.extremes))

    def add(self, batch: pa.RecordBatch, runs: Runs, groups: Ints, size: int) -> None:
        found = self._counted(batch, runs)
        self.counts = _long(self.counts, size)
        self.sums = _long(self.sums, size)
        self.counts[groups] += found.counts
        self.sums[groups] += found.sums
        self.lows = _long(self.lows, size, np.inf)
        self.highs = _long(self.highs, size, -np.inf)
        if self.part.extremes:
            self.lows[groups] = np.minimum(self.lows[groups], found.lows)
            self.highs[groups] = np.maximum(self.highs[groups], found.highs)

    def _counted(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        try:
            return self.part.count(batch, runs)
        except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
            kinds = ", ".join(f"{column!r} ({batch.schema.field(column).type})" for column in self.part.columns)
            raise BadInput(
                f"The reference counts {self.part.name!r} as {self.part.kind}; found {kinds}, which cannot be read as"
                f" that. Convert it, or leave it out with --exclude."
            ) from error


def rows_at_once(columns: int) -> int:
    """How many rows of so many columns are taken at once."""
    return max(256, min(_MOST_ROWS, _MOST_VALUES // max(1, columns)))


def start_of_buckets(ticks: Ints, bucket: int) -> Ints:
    """The start of each time's bucket, in microseconds: whole multiples of `bucket`, weeks from Monday."""
    offset = _MONDAY if bucket % durations.WEEK == 0 else 0
    return (ticks - offset) // bucket * bucket + offset


def _ticks(clock: pa.Array) -> Ints:
    kind = clock.type
    if pa.types.is_timestamp(kind) and kind.unit in {"us", "ns"}:
        clock = clock.cast(pa.int64())
    if pa.types.is_int64(clock.type):  # microseconds since 1970, as the doors hand them out
        found: Ints = clock.to_numpy(zero_copy_only=False)
        # Whole numbers: a float would round the last nanoseconds of a bucket into the next.
        return found // 1_000 if pa.types.is_timestamp(kind) and kind.unit == "ns" else found
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return moment.microseconds(clock).astype(np.int64)
    raise BadInput(f"The time column holds {kind}; asked for are timestamps or dates.")


def _fitting(batch: pa.RecordBatch, layout: Layout) -> pa.RecordBatch:
    """The columns that are counted, those that are absent as missing values."""
    have = set(batch.schema.names)
    if layout.time is not None and layout.time not in have:
        raise BadInput(f"The reference counts by the time column {layout.time!r}, which these rows do not have.")
    columns = [batch.column(name) if name in have else pa.nulls(batch.num_rows) for name in layout.columns]
    columns = [plain(c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c) for c in columns]
    if not columns:  # nothing to count but rows
        return pa.RecordBatch.from_arrays([pa.nulls(batch.num_rows)], names=[""])
    return pa.RecordBatch.from_arrays(columns, names=list(layout.columns))


def plain(array: pa.Array) -> pa.Array:
    """Text views, as Polars hands out, as text: Arrow takes and decodes no views."""
    kind = array.type
    if pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
        return pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.string()))
    return array


def _long(array: Any, size: int, filled: float = 0) -> Any:
    """`array` with room for `size` rows, growing by half so that adding a group costs little."""
    if len(array) >= size:
        return array
    made = np.full((max(size, len(array) * 3 // 2), *array.shape[1:]), filled, dtype=array.dtype)
    made[: len(array)] = array
    return made


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
