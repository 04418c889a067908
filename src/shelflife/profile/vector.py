"""Columns of vectors (embeddings): counts of their length and along a few fixed random directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.profile import numeric
from shelflife.profile.numeric import Numeric
from shelflife.profile.runs import Counted, Floats, Runs

DIRECTIONS = 8
BINS = 16


@dataclass(frozen=True)
class Vector:
    """Projections of one column of vectors, each counted as a numeric column is.

    Attributes
    ----------
    name
        The column.
    size
        Numbers in each vector; one of another size counts as missing.
    along
        How the vector's length and its projections are counted; the directions depend on the size alone.
    """

    name: str
    size: int
    along: tuple[Numeric, ...]

    kind: ClassVar[str] = "vector"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def cells(self) -> int:
        return sum(part.cells for part in self.along)

    @property
    def sums(self) -> int:
        return sum(part.sums for part in self.along)

    @property
    def extremes(self) -> int:
        return sum(part.extremes for part in self.along)

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Counts, sums and extremes of the length and of each projection in each run."""
        projected, missing = projections(batch.column(self.name), self._directions)
        found = [
            part.count_array(pa.array(values, mask=missing), runs)
            for part, values in zip(self.along, projected.T, strict=True)
        ]
        return Counted(
            np.concatenate([one.counts for one in found], axis=1),
            np.concatenate([one.sums for one in found], axis=1),
            np.concatenate([one.lows for one in found], axis=1),
            np.concatenate([one.highs for one in found], axis=1),
        )

    @cached_property
    def _directions(self) -> Floats:
        return directions(self.size)


def directions(size: int) -> Floats:
    """Random directions that depend on the size of the vectors alone, shape (size, DIRECTIONS)."""
    found: Floats = np.random.default_rng(size).normal(size=(size, DIRECTIONS)) / np.sqrt(size)
    return found


def projections(array: pa.Array, along: Floats) -> tuple[Floats, Any]:
    """Length and projections of each vector, shape (rows, 1 + DIRECTIONS), and which vectors are missing or odd."""
    size = len(along)
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(pa.float64()))
    lengths = pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False)
    fits = lengths == size
    kept = array.filter(pa.array(fits))
    flat, _ = numeric.to_floats(pc.list_flatten(kept).cast(pa.float64()).fill_null(np.nan))
    vectors = flat.reshape(-1, size)
    found = np.zeros((len(array), 1 + along.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        # Row by row in one order of addition: a product of matrices may add in another for other partitions.
        found[fits, 0] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        found[fits, 1:] = np.stack([np.einsum("ij,j->i", vectors, one) for one in along.T], axis=1)
    return found, ~fits


def learn(name: str, sample: pa.Array) -> Vector:
    """Edges for the length and the projections of a sample of vectors; their commonest size is the size."""
    if pa.types.is_null(sample.type):
        sample = sample.cast(pa.list_(pa.float64()))
    lengths = pc.drop_null(pc.list_value_length(sample)).to_numpy(zero_copy_only=False)
    size = int(np.bincount(lengths).argmax()) if len(lengths) else 0
    size = max(size, 1)
    projected, missing = projections(sample, directions(size))
    kept = projected[~missing]
    along = tuple(
        numeric.learn(f"{name}[{i}]", column[np.isfinite(column)], bins=BINS) for i, column in enumerate(kept.T)
    )
    return Vector(name, size, along)


def part(plain: dict[str, Any]) -> Vector:
    """The part that a layout's plain form names."""
    return Vector(plain["name"], plain["size"], tuple(numeric.part(one) for one in plain["along"]))
