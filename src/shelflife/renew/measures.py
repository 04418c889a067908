"""Metrics of a version on given rows, by the plan's names: of all of them, and of each segment apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shelflife.models import Answers, label
from shelflife.profile.metrics import ranking

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
# A metric of some rows by how often each of them counts, of which one has to; None of weights is once each.
Statistic = Callable[[Floats | None], float | None]

# Metrics of what was said, whatever its chance.
HARD = frozenset({"accuracy", "balanced_accuracy", "precision", "recall", "f1"})
_LEAST = float(np.finfo(np.float64).eps)  # as scikit-learn clips probabilities
_NOTHING = 1e-12  # of the squares of outcomes: rounding, and no spread
_BINS = 10
_FEWEST = 10  # rows of a segment that is measured apart
_MOST = 100  # segments of a column, the largest first


@dataclass(frozen=True)
class Measured:
    """Metrics by name.

    Attributes
    ----------
    rows
        How many they are over.
    overall
        Of all rows; a metric that they do not allow is left out.
    segments
        By column, then by value.
    """

    rows: int
    overall: dict[str, float]
    segments: dict[str, dict[str, dict[str, float]]]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a record."""
        return {"rows": self.rows, "overall": self.overall, "segments": self.segments}


def measure(
    answers: Answers, outcomes: Sequence[Any], *, task: str, names: Iterable[str],
    segments: Mapping[str, Sequence[Any]] | None = None,
) -> Measured:  # fmt: skip
    """Metrics of answers against what turned out true.

    Parameters
    ----------
    answers
        What a model says of the rows.
    outcomes
        One a row; rows without one are left out.
    task
        ``classification`` or ``regression``.
    names
        Metrics by the plan's names.
    segments
        Columns whose values are measured apart, where they have ten rows.

    Examples
    --------
    >>> said = Answers(np.array(["a", "b", "b"], dtype=object))
    >>> measure(said, ["a", "b", "a"], task="classification", names=["accuracy"]).overall
    {'accuracy': 0.6666666666666666}
    """
    known = np.array([value is not None and value == value for value in outcomes], dtype=bool)  # noqa: PLR0124 - NaN
    wanted = list(dict.fromkeys(names))
    if task == "regression":
        said: Any = answers.predictions.astype(np.float64)
        true: Any = np.array([float(value) if ok else np.nan for value, ok in zip(outcomes, known, strict=True)])
    else:
        said = answers.predictions.astype(str)
        true = np.array([label(value) if ok else "" for value, ok in zip(outcomes, known, strict=True)], dtype=str)

    def of(rows: NDArray[np.bool_]) -> dict[str, float]:
        some = Answers(said[rows], None if answers.scores is None else answers.scores[rows], answers.classes)
        found = {name: statistic(name, true[rows], some)(None) for name in wanted}
        return {name: value for name, value in found.items() if value is not None}

    apart = {
        column: {value: of(rows) for value, rows in _parts(values, known)}
        for column, values in (segments or {}).items()
    }
    return Measured(int(known.sum()), of(known), apart)


def figure(metric: str, truth: Any, answers: Answers) -> float | None:
    """One metric of rows whose outcome is known; None where they do not allow it."""
    found = statistic(metric, truth, answers)(None)
    return None if found is None or not np.isfinite(found) else found


def statistic(metric: str, truth: Any, answers: Answers) -> Statistic:
    """One metric of rows whose outcome is known, which can be asked again and again with other weights.

    Parameters
    ----------
    truth
        Shape (rows,): numbers of a regression, else labels as `shelflife.models.label` writes them.

    Examples
    --------
    >>> said = Answers(np.array(["a", "b", "b"], dtype=object))
    >>> asked = statistic("accuracy", np.array(["a", "b", "a"], dtype=object), said)
    >>> asked(None), asked(np.array([1.0, 0.0, 3.0]))
    (0.6666666666666666, 0.25)
    """
    if not len(truth):
        return lambda weights: None
    if answers.predictions.dtype.kind == "f":
        each = losses(metric, truth, answers)
        return _regression(metric, truth, answers.predictions) if each is None else partial(_mean, each)
    truth, said = truth.astype(str), answers.predictions.astype(str)
    if metric == "accuracy":
        return partial(_mean, (said == truth).astype(np.float64))
    if metric in HARD:
        return _confused(metric, truth, said)
    each = losses(metric, truth, answers)
    if each is not None:
        return partial(_mean, each)
    # What is missing never counts as good: NaN would rank above every chance.
    if answers.scores is None or not len(answers.classes) or not np.isfinite(answers.scores).all():
        return lambda weights: None
    wanted = truth[:, None] == np.array(answers.classes)
    if metric == "calibration_error":
        return _calibrated(answers.scores, wanted)
    return _ranked(metric, answers.scores, wanted)


def losses(metric: str, truth: Any, answers: Answers) -> Floats | None:
    """What each row adds to a metric that is a mean over rows, shape (rows,), more being worse; None of others.

    A class that the model does not know has no chance at all, and every sure answer is wrong where it turns out.
    """
    found = answers.predictions
    if metric == "mae" and found.dtype.kind == "f":
        return np.asarray(np.abs(found - truth), dtype=np.float64)
    if metric == "accuracy" and found.dtype.kind != "f":
        return np.asarray(found != truth, dtype=np.float64)
    if metric not in {"log_loss", "brier"} or answers.scores is None or not len(answers.classes):
        return None
    wanted = truth.astype(str)[:, None] == np.array(answers.classes)
    if metric == "log_loss":
        return np.asarray(-np.log(np.clip((answers.scores * wanted).sum(axis=1), _LEAST, 1 - _LEAST)))
    brier = ((answers.scores - wanted) ** 2).sum(axis=1) + ~wanted.any(axis=1)
    return np.asarray(brier / (2 if len(answers.classes) == 2 else 1))  # of two classes that of the one


def of_table(answers: Answers, rows: pa.Table, *, task: str, names: Iterable[str], by: Sequence[str]) -> Measured:
    """The same of a table with ``outcome`` and the columns of the segments."""
    segments = {name: rows[name].to_pylist() for name in by if name in rows.column_names}
    return measure(answers, rows["outcome"].to_pylist(), task=task, names=names, segments=segments)


def _parts(values: Sequence[Any], known: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.bool_]]]:
    """The rows of each value, of the most frequent values."""
    words = np.array(["" if value is None else label(value) for value in values], dtype=object)
    found, counts = np.unique(words[known].astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST]
    return [(str(found[i]), known & (words == found[i])) for i in order if found[i] and counts[i] >= _FEWEST]


def _mean(values: Floats, weights: Floats | None) -> float:
    return float(np.average(values, weights=weights))


def _regression(metric: str, truth: Floats, said: Floats) -> Statistic:
    squares = (truth - said) ** 2

    def of(weights: Floats | None) -> float | None:
        off = _mean(squares, weights)
        if metric == "rmse":
            return float(np.sqrt(off))
        spread = _mean((truth - _mean(truth, weights)) ** 2, weights)
        varies = spread > _NOTHING * _mean(truth**2, weights)
        return 1 - off / spread if metric == "r2" and varies else None

    return of


def _confused(metric: str, truth: Any, said: Any) -> Statistic:
    classes, places = np.unique(np.concatenate([truth, said]), return_inverse=True)
    true, answer = places[: len(truth)], places[len(truth) :]

    def of(weights: Floats | None) -> float:
        once = np.ones(len(true)) if weights is None else weights
        right = np.where(true == answer, once, 0.0)
        hits, of_it, told = (
            np.bincount(one, by, len(classes)).astype(np.float64)
            for one, by in ((true, right), (true, once), (answer, once))
        )
        return float(of_counts(metric, hits, of_it, told))

    return of


def of_counts(metric: str, hits: Floats, true: Floats, said: Floats) -> Floats:
    """A metric of `HARD` from counts by class, each of shape (..., classes); of many at once.

    Precision, recall and F1 are the mean over the classes that are there, 0 where they are undefined.

    Parameters
    ----------
    hits
        Rows that were of the class and said to be.
    true, said
        Rows that were of it, and that were said to be.

    Examples
    --------
    >>> float(of_counts("recall", np.array([3.0, 4.0]), np.array([4.0, 4.0]), np.array([3.0, 5.0])))
    0.875
    """
    if metric == "accuracy":
        return np.asarray(hits.sum(axis=-1) / true.sum(axis=-1))
    there = true > 0 if metric == "balanced_accuracy" else true + said > 0
    below = {"precision": said, "f1": (true + said) / 2}.get(metric, true)
    each = np.divide(hits, below, out=np.zeros_like(hits), where=below > 0)
    return np.asarray((each * there).sum(axis=-1) / there.sum(axis=-1))


def _ranked(metric: str, scores: Floats, wanted: NDArray[np.bool_]) -> Statistic:
    """Of two classes that of the second, of more the mean over classes, as of a profile with a score each.

    None where a class does not occur, or all are of one.
    """
    classes = scores.shape[1]
    columns = range(1, classes) if classes <= 2 else range(classes)
    # Each score that occurs, and whether it was of the class, is a place to count at.
    unique = [np.unique(scores[:, i], return_inverse=True) for i in columns]
    found = [(len(each), 2 * at + ~wanted[:, i]) for i, (each, at) in zip(columns, unique, strict=True)]

    def of(weights: Floats | None) -> float | None:
        if not (wanted.any(axis=0) if weights is None else weights @ wanted > 0).all():
            return None
        counted = [np.bincount(places, weights, 2 * size).reshape(-1, 2) for size, places in found]
        each = [ranking(counts).get(metric) for counts in counted]
        values = [value for value in each if value is not None]
        return float(np.mean(values)) if values and len(values) == len(each) else None

    return of


def _calibrated(scores: Floats, wanted: NDArray[np.bool_]) -> Statistic:
    """Expected calibration error over ten equal bins (Naeini et al. 2015).

    Of the second of two classes, of more of what was said.
    """
    said = np.ones((len(scores), 1), dtype=np.intp) if scores.shape[1] == 2 else scores.argmax(axis=1)[:, None]
    chances: Floats = np.take_along_axis(scores, said, axis=1)[:, 0]
    bins = np.minimum((chances * _BINS).astype(np.int64), _BINS - 1)
    off: Floats = np.take_along_axis(wanted, said, axis=1)[:, 0] - chances

    def of(weights: Floats | None) -> float:
        once = np.ones(len(off)) if weights is None else weights
        return float(np.abs(np.bincount(bins, off * once, _BINS)).sum() / once.sum())

    return of
