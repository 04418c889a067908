"""Metrics of a version on given rows, by the plan's names: of all of them, and of each segment apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shelflife.models import Answers, label

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]

# Metrics of what was said, whatever its chance.
HARD = frozenset({"accuracy", "balanced_accuracy", "precision", "recall", "f1"})
_LEAST = float(np.finfo(np.float64).eps)  # as scikit-learn clips probabilities
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
        true: Any = np.array([float(value) if ok else np.nan for value, ok in zip(outcomes, known, strict=True)])
    else:
        made = [label(value) if ok else "" for value, ok in zip(outcomes, known, strict=True)]
        true = np.array(made, dtype=object)

    def of(rows: NDArray[np.bool_]) -> dict[str, float]:
        if task == "regression":
            found = _regression(answers, true, rows)
        else:
            found = _classification(answers, true, rows, frozenset(wanted))
        return {name: found[name] for name in wanted if name in found}

    apart = {
        column: {value: of(rows) for value, rows in _parts(values, known)}
        for column, values in (segments or {}).items()
    }
    return Measured(int(known.sum()), of(known), apart)


def figure(metric: str, truth: Any, answers: Answers) -> float | None:
    """One metric of rows whose outcome is known; None where they do not allow it."""
    task = "regression" if answers.predictions.dtype.kind == "f" else "classification"
    found = measure(answers, truth, task=task, names=[metric]).overall.get(metric)
    return None if found is None or not np.isfinite(found) else found


def losses(metric: str, truth: Any, answers: Answers) -> Floats | None:
    """What each row adds to a metric that is a mean over rows, shape (rows,), more being worse; None of others."""
    found = answers.predictions
    if metric == "mae" and found.dtype.kind == "f":
        return np.asarray(np.abs(found - truth), dtype=np.float64)
    if metric == "accuracy" and found.dtype.kind != "f":
        return np.asarray(found != truth, dtype=np.float64)
    if metric not in {"log_loss", "brier"} or answers.scores is None:
        return None
    wanted = truth.astype(str)[:, None] == np.array(answers.classes)
    if metric == "log_loss":
        return np.asarray(-np.log(np.clip((answers.scores * wanted).sum(axis=1), _LEAST, 1 - _LEAST)))
    brier = ((answers.scores - wanted) ** 2).sum(axis=1) + ~wanted.any(axis=1)
    return np.asarray(brier / (2 if len(answers.classes) == 2 else 1))


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


def _regression(answers: Answers, true: Floats, rows: NDArray[np.bool_]) -> dict[str, float]:
    off = true[rows] - answers.predictions[rows]
    if not len(off):
        return {}
    found = {"mae": float(np.abs(off).mean()), "rmse": float(np.sqrt((off**2).mean()))}
    spread = float(((true[rows] - true[rows].mean()) ** 2).sum())
    return found | ({"r2": float(1 - (off**2).sum() / spread)} if spread > 0 else {})


def _classification(
    answers: Answers, true: Any, rows: NDArray[np.bool_], names: frozenset[str]
) -> dict[str, float]:  # fmt: skip
    right, said = true[rows].astype(str), answers.predictions[rows].astype(str)
    if not len(right):
        return {}
    classes, places = np.unique(np.concatenate([right, said]), return_inverse=True)
    truth, answer = places[: len(right)], places[len(right) :]
    counts = [
        np.bincount(one, minlength=len(classes)).astype(np.float64) for one in (truth[truth == answer], truth, answer)
    ]
    found = {name: float(of_counts(name, *counts)) for name in names & HARD}
    if answers.scores is not None and len(answers.classes) and found.keys() != names:
        found |= _scored(answers.scores[rows], np.array(answers.classes), right)
    return found


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


def _scored(scores: Floats, classes: Any, right: Any) -> dict[str, float]:
    """Metrics of probabilities; those of ranking are the mean over classes, as of a profile with a score each.

    A class that the model does not know has no chance at all, and every sure answer is wrong where it turns out.
    """
    from sklearn import metrics

    wanted = right[:, None] == classes
    truth = (scores * wanted).sum(axis=1)
    brier = ((scores - wanted) ** 2).sum(axis=1) + ~wanted.any(axis=1)
    two = len(classes) == 2
    found = {
        "log_loss": float(-np.log(np.clip(truth, _LEAST, 1 - _LEAST)).mean()),
        # Of two classes it is that of the one, as of a single score.
        "brier": float(brier.mean() / (2 if two else 1)),
        "calibration_error": _calibration(scores[:, 1], wanted[:, 1]) if two else _calibration(*_sure(scores, wanted)),
    }
    present = wanted.any(axis=0) & ~wanted.all(axis=0)
    if present.all() and len(classes) > 1:
        places = range(len(classes))
        areas = [metrics.roc_auc_score(wanted[:, i], scores[:, i]) for i in places]
        precise = [metrics.average_precision_score(wanted[:, i], scores[:, i]) for i in places]
        found["roc_auc"] = float(np.mean(areas))
        found["average_precision"] = float(precise[1] if two else np.mean(precise))
    return found


def _sure(scores: Floats, wanted: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """The score of what was said, and whether it was right."""
    said = scores.argmax(axis=1)[:, None]
    return np.take_along_axis(scores, said, axis=1)[:, 0], np.take_along_axis(wanted, said, axis=1)[:, 0]


def _calibration(chances: Floats, hits: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins (Naeini et al. 2015)."""
    bins = np.minimum((chances * _BINS).astype(np.int64), _BINS - 1)
    off = np.bincount(bins, weights=hits - chances, minlength=_BINS)
    return float(np.abs(off).sum() / len(chances))
