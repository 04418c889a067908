"""Prediction × outcome of a regression: how far off, in counts of a bounded loss and in exact sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from shelflife.profile import numeric
from shelflife.profile.runs import Counted, Floats, Ints, Runs, parts_on_grid, squares_on_grid

# The bounded loss is |outcome - prediction| over a scale, cut at 1 and rounded down to whole parts of this.
STEPS = 32

NO_PREDICTION, NO_OUTCOME, KNOWN = range(3)
FIRST = 3


@dataclass(frozen=True)
class Residual:
    """Counts of the bounded loss, and sums of residuals and outcomes.

    Cells: no prediction, no outcome, both known, then the bounded loss at 0, 1/32, …, 1. Sums, of rows with both:
    |r|, r, the outcome about its centre, r² in two parts, the outcome's square in two parts, and of the first three
    what lies far off (`parts_on_grid`).

    Attributes
    ----------
    prediction, outcome
        Columns of numbers.
    scale
        The loss that counts as 1: the 99 % quantile of the reference's.
    centre, spread
        What outcomes are taken about, and a power of two near their spread.
    base, model
        The loss to be expected of a row as a sum over its cells in other parts: a constant, and by the name of a
        part the weight of each of its cells (`shelflife.profile.expected`).
    """

    prediction: str
    outcome: str | None
    scale: float
    centre: float
    spread: float
    base: float = 0.0
    model: tuple[tuple[str, tuple[float, ...]], ...] = ()

    kind: ClassVar[str] = "outcome"
    sums: ClassVar[int] = 10
    extremes: ClassVar[int] = 0
    cells: ClassVar[int] = FIRST + STEPS + 1
    losses: ClassVar[slice] = slice(FIRST, FIRST + STEPS + 1)

    @property
    def name(self) -> str:
        return self.outcome or self.prediction

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.prediction,) if self.outcome is None else (self.prediction, self.outcome)

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Counts and sums in each run."""
        said, not_said = finite(batch.column(self.prediction))
        true, not_known = finite(batch.column(self.outcome)) if self.outcome else (said, np.ones(len(said), dtype=bool))
        known = ~(not_said | not_known)
        residual = np.where(known, off(said, true), 0.0)
        away = np.where(known, off(self.centre, true), 0.0)
        state = np.where(not_said, NO_PREDICTION, np.where(not_known, NO_OUTCOME, KNOWN))
        found = runs.tally(state, self.cells)
        found += runs.tally_of(runs.of_rows[known], self.steps(residual[known]) + FIRST, self.cells)
        reach = self.spread * 2.0**14
        residual, away = np.clip(residual, -reach, reach), np.clip(away, -reach, reach)
        near, far = zip(*(parts_on_grid(one, self.spread) for one in (np.abs(residual), residual, away)), strict=True)
        values = [*near, *squares_on_grid(residual, self.spread), *squares_on_grid(away, self.spread), *far]
        none, zero = np.empty((len(runs.starts), 0)), np.zeros(len(runs.starts))
        totals = [zero if one is None else runs.total(one) for one in values]
        return Counted(found, np.stack(totals, axis=1), none, none)

    def steps(self, residual: Floats) -> Ints:
        """The bounded loss in whole steps, rounded down: towards the promise."""
        return (np.minimum(np.abs(residual), self.scale) / self.scale * STEPS).astype(np.int64)


def off(said: Floats | float, true: Floats) -> Floats:
    """How far what was true lies above what was said; infinite where that is no number of 64 bits."""
    with np.errstate(over="ignore"):
        found: Floats = true - said
    return found


def finite(array: pa.Array) -> tuple[Floats, Any]:
    """Values, 0 where there is none or no finite one, and which those are."""
    values, missing = numeric.to_floats(array)
    absent = ~np.isfinite(values) if missing is None else missing | ~np.isfinite(values)
    return np.where(absent, 0.0, values), absent


def learn(prediction: str, outcome: str | None, said: Floats, true: Floats) -> Residual:
    """Scales from a sample of rows with prediction and outcome, shapes (n,)."""
    lost = np.minimum(np.abs(off(said, true)), 2.0**450)
    scale = float(np.quantile(lost, 0.99)) if len(lost) else 0.0
    about = numeric.learn("", true)
    spread = about.spread
    if not scale > 0:  # a reference that is always right: then any loss is news
        scale = spread
    return Residual(prediction, outcome, scale, about.centre, max(spread, 2.0 ** math.ceil(math.log2(scale))))


def part(plain: dict[str, Any]) -> Residual:
    """The part that a layout's plain form names."""
    model = tuple((name, tuple(weights)) for name, weights in plain["model"])
    return Residual(**{**{k: v for k, v in plain.items() if k != "is"}, "model": model})
