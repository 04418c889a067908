"""Category and boolean columns: counts of the reference's commonest values, of its others, and of never-seen ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.profile.runs import Counted, Ints, Runs, counted

TOP = 64
# Beyond so many different values a column names things rather than sorts them: a new value is then no news.
MOST_KNOWN = 10_000
_MOST_COUNTED = 100_000

NULL = 0


@dataclass(frozen=True)
class Category:
    """Counts of one column of names over the values of the reference.

    Attributes
    ----------
    name
        The column.
    values
        The reference's commonest values, as text, the commonest first; each has a cell.
    others
        Its other values, which share a cell.
    open
        Whether the reference has too many values to list them; what is not among `values` is then *other*.
    novelty
        Rows of the reference and how many of them hold a value that no other row holds: the chance that a further
        row's value is new (Good & Turing).
    kind
        ``category`` or ``boolean``.
    """

    name: str
    values: tuple[str, ...]
    others: tuple[str, ...]
    open: bool
    novelty: tuple[int, int]
    kind: str = "category"

    sums: ClassVar[int] = 0
    extremes: ClassVar[int] = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def cells(self) -> int:
        """Missing, each value, other known ones, never seen."""
        return len(self.values) + 3

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Counts of the column in each run."""
        return counted(runs.tally(self.cells_of(batch.column(self.name)), self.cells))

    def cells_of(self, array: pa.Array) -> Ints:
        """The cell of each value, shape (rows,)."""
        codes, words = encoded(array)
        top, size = self._known, len(self.values)
        if len(words) == 0:
            return np.full(len(array), NULL)
        places = pc.fill_null(pc.index_in(words, value_set=top), -1).to_numpy(zero_copy_only=False)
        unknown = size + 1 if self.open else size + 2
        cell = np.where(places < 0, unknown, np.where(places < size, places + 1, size + 1))
        found: Ints = np.take(np.append(cell, NULL), codes, mode="wrap")
        return found

    @cached_property
    def _known(self) -> pa.Array:
        return pa.array([*self.values, *self.others], pa.string())


def encoded(array: pa.Array) -> tuple[Ints, pa.Array]:
    """Each row's place among the distinct values (-1 where it is missing), and those values as text."""
    if not pa.types.is_dictionary(array.type):
        if pa.types.is_string_view(array.type):
            array = array.cast(pa.string())
        if pa.types.is_boolean(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
            array = names(array)
        array = array.dictionary_encode()
    words = names(array.dictionary)
    codes = array.indices
    if words.null_count or pc.count_distinct(words).as_py() < len(words):
        # Two values with one text, or a value that is missing: let the text decide.
        again = words.dictionary_encode()
        words = again.dictionary
        places = pc.fill_null(again.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        kept = pc.fill_null(codes.cast(pa.int64()), len(places)).to_numpy(zero_copy_only=False)
        return np.append(places, -1)[kept], words
    if codes.null_count:
        codes = pc.fill_null(codes.cast(pa.int64()), -1)
    return codes.to_numpy(zero_copy_only=False), words


def names(array: pa.Array) -> pa.Array:
    """Values as text, so that 1, 1.0 and true are one name wherever they come from.

    Examples
    --------
    >>> names(pa.array([1.0, 0.0, None])).to_pylist(), names(pa.array([True])).to_pylist()
    (['1', '0', None], ['1'])
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return names(array.dictionary_decode())
    if pa.types.is_boolean(kind):
        return array.cast(pa.int8()).cast(pa.string())
    if pa.types.is_decimal(kind):
        array, kind = array.cast(pa.float64()), pa.float64()
    if pa.types.is_floating(kind):
        if pa.types.is_float16(kind):
            array, kind = array.cast(pa.float32()), pa.float32()
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
        whole = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), 2.0**53))
        if pc.all(whole, skip_nulls=True, min_count=0).as_py():
            array = array.cast(pa.int64())
        else:
            plain = pc.if_else(whole, array, pa.scalar(None, kind)).cast(pa.int64()).cast(pa.string())
            return pc.coalesce(plain, array.cast(pa.string()))
    return array.cast(pa.string())


class Tally:
    """How often each value occurs, of any number of batches, in bounded memory.

    Beyond a hundred thousand different values only those that occur more than once are kept, and the column counts as
    open.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.rows = 0
        self.pruned = False
        self._singles = 0

    def add(self, array: pa.Array) -> None:
        """Count the values of one batch."""
        codes, words = encoded(array)
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        present = np.flatnonzero(counts)
        self.rows += int(counts.sum())
        for word, count in zip(words.take(pa.array(present)).to_pylist(), counts[present].tolist(), strict=True):
            self.counts[word] = self.counts.get(word, 0) + count
        if len(self.counts) > _MOST_COUNTED:
            before = len(self.counts)
            self.counts = {word: count for word, count in self.counts.items() if count > 1}
            if len(self.counts) > _MOST_COUNTED // 2:
                ranked = sorted(self.counts, key=lambda word: (-self.counts[word], word))
                self.counts = {word: self.counts[word] for word in ranked[: _MOST_COUNTED // 2]}
            self._singles += before - len(self.counts)
            self.pruned = True

    @property
    def singles(self) -> int:
        """Values that only one row holds."""
        return self._singles + sum(count == 1 for count in self.counts.values())


def tallied(array: pa.ChunkedArray) -> Tally:
    """The tally of one column."""
    tally = Tally()
    for chunk in array.chunks:
        tally.add(chunk)
    return tally


def learn(name: str, tally: Tally, *, top: int = TOP, kind: str = "category") -> Category:
    """The values of a reference column, the commonest first.

    Parameters
    ----------
    name
        The column.
    tally
        How often each of its values occurs.
    top
        How many values have a cell of their own.
    kind
        ``category`` or ``boolean``.

    Examples
    --------
    >>> part = learn("plan", tallied(pa.chunked_array([["pro", "free", "pro", None]])))
    >>> part.values, part.novelty
    (('pro', 'free'), (3, 1))
    """
    counts = tally.counts
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    is_open = tally.pruned or len(ranked) > MOST_KNOWN or tally.singles * 2 > tally.rows > 1
    if kind == "boolean":
        ranked, is_open = ["0", "1"], False
    values, others = ranked[:top], [] if is_open else ranked[top:]
    return Category(name, tuple(values), tuple(others), is_open, (tally.rows, tally.singles), kind)


def part(plain: dict[str, Any]) -> Category:
    """The part that a layout's plain form names."""
    return Category(
        plain["name"],
        tuple(plain["values"]),
        tuple(plain["others"]),
        plain["open"],
        (plain["novelty"][0], plain["novelty"][1]),
        plain["kind"],
    )
