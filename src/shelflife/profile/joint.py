"""Score × prediction × outcome of a classifier: the joint counts that its metrics are functions of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.profile import category, numeric
from shelflife.profile.runs import Counted, Floats, Ints, Runs, on_grid

BINS = 100
MOST_CLASSES = 100

RIGHT, WRONG, UNKNOWN = range(3)

# What scores say: the chance of the positive class, of the predicted one, of each class; or there are none.
Form = Literal["positive", "confidence", "classes", "none"]

_GRID = 2.0**-20
_WIDTHS = BINS * (1 + 2.0**-50)  # 0.29 * 100 is under 29
_LEAST = float(np.finfo(np.float64).eps)  # as scikit-learn clips probabilities


@dataclass(frozen=True)
class Joint:
    """Joint counts of what was said, how surely, and what was true.

    Three tables, one after the other: score bins (and *no score*) × predicted class × right, wrong or unknown;
    predicted class × true class; and with a score per class, class × score bins × is it, is it not, unknown.

    Attributes
    ----------
    prediction, outcome
        Columns; without a prediction it is read off the scores.
    scores
        Columns of scores from 0 to 1, in the order of `classes` where there is one per class.
    classes
        Names of the classes; a further row and column stand for any other.
    positive
        The class whose chance a single score states, or None.
    form
        What the scores say.
    """

    prediction: str | None
    outcome: str | None
    scores: tuple[str, ...]
    classes: tuple[str, ...]
    positive: str | None
    form: Form

    kind: ClassVar[str] = "outcome"
    extremes: ClassVar[int] = 0
    # Sum of the log loss, sum of the Brier score, and sum of scores in each bin, of rows with score and outcome.
    sums: ClassVar[int] = 2 + BINS

    @property
    def name(self) -> str:
        return self.outcome or self.prediction or self.scores[0]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(c for c in (self.prediction, self.outcome, *self.scores) if c is not None)

    @property
    def _said(self) -> int:
        return len(self.classes) + 1

    @property
    def shapes(self) -> tuple[tuple[int, int, int], tuple[int, int], tuple[int, int, int]]:
        """Shapes of the three tables: scored, confusion, each."""
        said = self._said
        per_class = len(self.classes) if self.form == "classes" else 0
        return (BINS + 1, said, 3), (said, said + 1), (per_class, BINS + 1, 3)

    @property
    def cells(self) -> int:
        return int(sum(np.prod(shape) for shape in self.shapes))

    def tables(self, counts: Any) -> tuple[Any, Any, Any]:
        """The three tables of counts whose last axis holds this part's cells; leading axes are kept."""
        found, start = [], 0
        for shape in self.shapes:
            end = start + int(np.prod(shape))
            found.append(counts[..., start:end].reshape(*counts.shape[:-1], *shape))
            start = end
        return found[0], found[1], found[2]

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Joint counts, and sums of loss and score, in each run."""
        scored, confusion, each = self.shapes
        scores = [numeric.to_floats(batch.column(name)) for name in self.scores]
        chances = [np.where(missing, np.nan, values) if missing is not None else values for values, missing in scores]
        said, true = self._said_of(batch, chances), self._true_of(batch)
        pairs = said * confusion[1] + true
        sure = self._sure(chances, said)
        bins = _bins(sure)
        tables = [
            runs.tally(bins * (scored[1] * 3) + self._states[pairs], int(np.prod(scored))),
            runs.tally(pairs, int(np.prod(confusion))),
        ]
        known = true < confusion[1] - 1
        if each[0]:
            tables.append(self._each(chances, true, known, runs))
        none = np.empty((len(runs.starts), 0))
        return Counted(np.concatenate(tables, axis=1), self._sums(chances, sure, bins, true, known, runs), none, none)

    @cached_property
    def _states(self) -> Ints:
        """Predicted class × right, wrong or unknown of each cell of the confusion table, flat."""
        said, true = np.indices(self.shapes[1])
        # An outcome among the other classes is never what an "other" prediction meant, as far as anyone can tell.
        right = (said == true) & (true < len(self.classes))
        return (said * 3 + np.where(true > len(self.classes), UNKNOWN, np.where(right, RIGHT, WRONG))).ravel()

    def _true_of(self, batch: pa.RecordBatch) -> Ints:
        """The true class of each row; the last but one is any other, the last is unknown."""
        unknown = len(self.classes) + 1
        if self.outcome is None:
            return np.full(batch.num_rows, unknown)
        return self._codes(batch.column(self.outcome), unknown)

    def _said_of(self, batch: pa.RecordBatch, chances: list[Floats]) -> Ints:
        """The predicted class of each row; what is missing or not among the classes is the last."""
        other = len(self.classes)
        if self.prediction is not None:
            return self._codes(batch.column(self.prediction), other)
        if self.form == "classes":
            stacked = np.stack(chances, axis=1)
            return np.where(np.isnan(stacked).any(axis=1), other, np.argmax(np.nan_to_num(stacked, nan=-1.0), axis=1))
        positive = self.classes.index(self.positive) if self.positive is not None else other
        rest = next((i for i in range(len(self.classes)) if i != positive), other)
        return np.where(np.isnan(chances[0]), other, np.where(chances[0] >= 0.5, positive, rest))

    def _codes(self, array: pa.Array, missing: int) -> Ints:
        """The class of each row, the number of classes for any other, `missing` where there is none."""
        codes, words = category.encoded(array)
        places = pc.fill_null(pc.index_in(words, value_set=self._names), len(self.classes))
        table = np.append(places.to_numpy(zero_copy_only=False).astype(np.int64), missing)
        found: Ints = np.take(table, codes, mode="wrap")
        return found

    def _sure(self, chances: list[Floats], said: Ints) -> Floats:
        """The score that the first table is binned by: of the positive class, else of the predicted one."""
        if self.form == "none":
            return np.full(len(said), np.nan)
        if self.form != "classes":
            return chances[0]
        stacked = np.stack([*chances, np.full(len(said), np.nan)], axis=1)
        found: Floats = np.take_along_axis(stacked, said[:, None], axis=1)[:, 0]
        return found

    def _each(self, chances: list[Floats], true: Ints, known: Any, runs: Runs) -> Ints:
        tables = []
        for place, chance in enumerate(chances):
            state = np.where(known, np.where(true == place, 0, 1), UNKNOWN)
            tables.append(runs.tally(_bins(chance) * 3 + state, (BINS + 1) * 3))
        return np.concatenate(tables, axis=1)

    def _sums(self, chances: list[Floats], sure: Floats, bins: Ints, true: Ints, known: Any, runs: Runs) -> Floats:
        found = np.zeros((len(runs.starts), self.sums))
        used = known & (bins < BINS)
        if self.form == "none" or not used.any():
            return found
        if used.all():
            used = slice(None)
        of_rows = runs.of_rows[used]
        size = len(runs.starts) * BINS
        weights = on_grid(sure[used], _GRID)
        found[:, 2:] = np.bincount(of_rows * BINS + bins[used], weights=weights, minlength=size).reshape(-1, BINS)
        truth, brier = self._truth(chances, sure, true, used)
        if truth is not None:
            losses = -np.log(np.clip(truth, _LEAST, 1 - _LEAST))
            for place, values in enumerate((losses, brier)):
                found[:, place] = np.bincount(of_rows, weights=on_grid(values, _GRID), minlength=len(runs.starts))
        return found

    def _truth(self, chances: list[Floats], sure: Floats, true: Ints, used: Any) -> tuple[Floats | None, Floats]:
        """The chance given to what turned out true, and the Brier score, of the rows in use."""
        if self.form == "positive" and self.positive is not None:
            is_it = true[used] == self.classes.index(self.positive)
            chance = sure[used]
            return np.where(is_it, chance, 1 - chance), (chance - is_it) ** 2
        if self.form == "classes":
            stacked = np.stack([chance[used] for chance in chances], axis=1)
            stacked = np.fmin(np.fmax(stacked, 0.0), 1.0)  # what is no chance is 0, or as near as it gets
            wanted = true[used][:, None] == np.arange(len(self.classes))
            return (stacked * wanted).sum(axis=1), ((stacked - wanted) ** 2).sum(axis=1)
        return None, np.zeros(0)

    @cached_property
    def _names(self) -> pa.Array:
        return pa.array(self.classes, pa.string())


def _bins(chances: Floats) -> Ints:
    """The bin of each score; the last is for what is no score from 0 to 1."""
    with np.errstate(invalid="ignore"):
        fine = (chances >= 0) & (chances <= 1)
    if not fine.all():
        chances = np.where(fine, chances, 2.0)
    found: Ints = (chances * _WIDTHS).astype(np.int64)
    np.minimum(found, BINS - 1, out=found)
    if not fine.all():
        found[~fine] = BINS
    return found


def part(plain: dict[str, Any]) -> Joint:
    """The part that a layout's plain form names."""
    return Joint(
        plain["prediction"],
        plain["outcome"],
        tuple(plain["scores"]),
        tuple(plain["classes"]),
        plain["positive"],
        plain["form"],
    )
