"""How good answers are: each measure of a plan, of rows whose outcome is known."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelflife.models import Answers

Floats = NDArray[np.float64]
_TINY = 1e-12
_BINS = 10  # of calibration (Naeini et al. 2015)


def measure(metric: str, truth: Any, answers: Answers) -> float | None:
    """A measure of a plan by its name; None where these rows do not allow it.

    Of two classes the later in order is the one that precision, recall and the like are about; of more classes they
    are the mean over classes.

    Parameters
    ----------
    metric
        As plans name it.
    truth
        Shape (rows,): texts of classes, or floats.
    answers
        Of the same rows.
    """
    if not len(truth):
        return None
    found = answers.predictions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that is not among the rows: the answer is None or 0
        try:
            if found.dtype.kind == "f":
                value = _REGRESSION[metric](truth, found)
            elif metric in _HARD:
                value = _of_classes(metric, truth, found)
            else:
                value = _of_chances(metric, truth, answers)
        except (KeyError, ValueError):
            return None
    return float(value) if value is not None and np.isfinite(value) else None


def losses(metric: str, truth: Any, answers: Answers) -> Floats | None:
    """What each row adds to a measure that is a mean over rows, shape (rows,), more being worse; None of others."""
    found = answers.predictions
    if metric == "mae" and found.dtype.kind == "f":
        return np.abs(found - truth)
    if metric == "accuracy" and found.dtype.kind != "f":
        return np.asarray(found != truth, dtype=np.float64)
    shares = _shares(truth, answers) if metric in {"log_loss", "brier"} else None
    if shares is None:
        return None
    if metric == "log_loss":
        return -np.log(np.clip(shares[0], _TINY, 1.0))
    return _brier(*shares)


def segments(metric: str, truth: Any, answers: Answers, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A measure and the number of rows of each value of some inputs."""
    return {
        name: {
            str(value): {"rows": int(rows.sum()), metric: measure(metric, truth[rows], _where(answers, rows))}
            for value, rows in ((value, column == value) for value in sorted(set(column.tolist()), key=str))
        }
        for name, column in values.items()
    }


def _of_classes(metric: str, truth: Any, found: Any) -> float:
    from sklearn import metrics

    if metric == "accuracy":
        return float(np.mean(found == truth))
    if metric == "balanced_accuracy":
        return float(metrics.balanced_accuracy_score(truth, found))
    classes = sorted({*truth.tolist(), *found.tolist()})
    named: dict[str, Any] = {"average": "macro"} if len(classes) > 2 else {"pos_label": classes[-1]}
    return float(getattr(metrics, f"{metric}_score")(truth, found, zero_division=0, **named))


def _of_chances(metric: str, truth: Any, answers: Answers) -> float | None:
    from sklearn import metrics

    if metric in {"log_loss", "brier"}:
        rows = losses(metric, truth, answers)
        return None if rows is None else float(rows.mean())
    shares = answers.scores
    if shares is None:
        return None
    if metric == "calibration_error":
        surest, right = shares.max(axis=1), answers.predictions == truth
        bins = np.minimum((surest * _BINS).astype(int), _BINS - 1)
        counts = np.bincount(bins, minlength=_BINS)
        off = np.abs(np.bincount(bins, surest, _BINS) - np.bincount(bins, right, _BINS))
        return float(off[counts > 0].sum() / len(truth))
    if shares.shape[1] != 2 or len(set(truth.tolist())) != 2:
        return None
    positive = truth == answers.classes[1]
    score = metrics.roc_auc_score if metric == "roc_auc" else metrics.average_precision_score
    return float(score(positive, shares[:, 1]))


def _shares(truth: Any, answers: Answers) -> tuple[Floats, Floats] | None:
    """The chance that each row's outcome was given, and all chances; of a class that is not known it was none."""
    if answers.scores is None:
        return None
    places = {word: place for place, word in enumerate(answers.classes)}
    place = np.array([places.get(word, -1) for word in truth.tolist()])
    own = np.where(place >= 0, answers.scores[np.arange(len(truth)), place], 0.0)
    return own, answers.scores


def _brier(own: Floats, shares: Floats) -> Floats:
    """Squared differences to what turned out true, halved, so that two classes give the usual figure from 0 to 1."""
    return np.asarray(((shares**2).sum(axis=1) - own**2 + (1 - own) ** 2) / 2)


def _where(answers: Answers, rows: Any) -> Answers:
    shares = None if answers.scores is None else answers.scores[rows]
    return Answers(answers.predictions[rows], shares, answers.classes)


def _r2(truth: Any, found: Any) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return float("nan") if spread == 0 else 1 - float(((truth - found) ** 2).sum()) / spread


_HARD = {"accuracy", "balanced_accuracy", "precision", "recall", "f1"}
_REGRESSION: Mapping[str, Any] = {
    "mae": lambda truth, found: np.abs(truth - found).mean(),
    "rmse": lambda truth, found: np.sqrt(((truth - found) ** 2).mean()),
    "r2": _r2,
}
