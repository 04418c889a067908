"""Rows of one batch that belong together: runs of one bucket (and segment) each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_FEW = 48


@dataclass(frozen=True)
class Runs:
    """Where each run of a batch starts; runs are contiguous, not empty, and cover all rows.

    Attributes
    ----------
    starts
        Shape (runs,), ascending, the first is 0.
    rows
        Rows of the batch.
    """

    starts: Ints
    rows: int

    @cached_property
    def lengths(self) -> Ints:
        """Rows of each run, shape (runs,)."""
        return np.diff(self.starts, append=self.rows)

    @cached_property
    def of_rows(self) -> Ints:
        """The run of each row, shape (rows,)."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    def tally(self, cells: NDArray[np.integer], width: int) -> Ints:
        """How often each cell occurs in each run, shape (runs, width)."""
        if len(self.starts) <= _FEW:
            bounds = [*self.starts.tolist(), self.rows]
            return np.stack(
                [np.bincount(cells[start:end], minlength=width) for start, end in itertools.pairwise(bounds)]
            )
        return self.tally_of(self.of_rows, cells, width)

    def tally_of(self, runs: Ints, cells: NDArray[np.integer], width: int) -> Ints:
        """As `tally`, for cells that are not one a row: `runs` says to which run each belongs."""
        codes = runs * width + cells
        found: Ints = np.bincount(codes, minlength=len(self.starts) * width).reshape(len(self.starts), width)
        return found

    def total(self, values: Floats) -> Floats:
        """Sum of `values` in each run, shape (runs,)."""
        if len(self.starts) == 1:
            return np.array([values.sum()])
        found: Floats = np.add.reduceat(values, self.starts)
        return found


@dataclass(frozen=True)
class Counted:
    """What one part found in the runs of a batch; every array has one row a run.

    Attributes
    ----------
    counts
        Shape (runs, cells), whole numbers.
    sums
        Shape (runs, sums): sums of values on a grid of binary fractions, so that they add without rounding.
    lows, highs
        Shape (runs, extremes); +inf and -inf where a run has no value.
    """

    counts: Ints
    sums: Floats
    lows: Floats
    highs: Floats


def counted(counts: Ints, sums: Floats | None = None) -> Counted:
    """What a part without extremes found."""
    none = np.empty((len(counts), 0))
    return Counted(counts, none if sums is None else sums, none, none)


def on_grid(values: Floats, quantum: float) -> Floats:
    """`values` rounded to multiples of `quantum`, a power of two.

    Adding numbers on one grid is exact below 2**53 quanta, so their sum does not depend on the order or the partition
    of the rows. Rounding is done by adding and taking away a number whose last bit is the quantum (Demmel & Nguyen
    2015, reproducible summation).

    Examples
    --------
    >>> on_grid(np.array([0.3, 1.9]), 0.25).tolist()
    [0.25, 2.0]
    """
    magic = 1.5 * 2.0**52 * quantum
    rounded: Floats = values + magic
    rounded -= magic
    return rounded


NEAR = 2.0**6  # spreads within which values add on the finer grid


def parts_on_grid(away: Floats, spread: float, farthest: float | None = None) -> tuple[Floats, Floats | None]:
    """Distances of up to 2**14 spreads in two parts that each add without rounding, for up to 2**27 rows a group.

    Those of at most `NEAR` spreads stand in the first part, to 2**-20 spreads; the others in the second, to 2**-12
    (None where there are none, as nearly always). `farthest` is the largest distance, where it is known.

    Examples
    --------
    >>> near, far = parts_on_grid(np.array([0.5, 1000.0]), 1.0)
    >>> near.tolist(), far.tolist()
    ([0.5, 0.0], [0.0, 1000.0])
    """
    if (np.abs(away).max(initial=0.0) if farthest is None else farthest) <= NEAR * spread:
        return on_grid(away, spread * 2.0**-20), None
    close = np.abs(away) <= NEAR * spread
    near, far = on_grid(np.where(close, away, 0.0), spread * 2.0**-20), np.where(close, 0.0, away)
    return near, on_grid(far, spread * 2.0**-12)


def squares_on_grid(away: Floats, spread: float) -> tuple[Floats, Floats]:
    """Squares of distances of up to 2**14 spreads, in two parts that each add without rounding.

    Distances are taken to 1/256 spread; the first part holds the squares to 64 squared spreads, the second the rest.

    Examples
    --------
    >>> large, small = squares_on_grid(np.array([3.0, 100.0]), 1.0)
    >>> (large + small).tolist()
    [9.0, 10000.0]
    """
    squares = on_grid(away, spread * 2.0**-8)
    squares *= squares
    large = on_grid(squares, spread * spread * 64.0)
    squares -= large
    return large, squares
