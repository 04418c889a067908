"""Metrics of performance as functions of joint counts: the same before and after outcomes arrive.

Those of predictions are exact. Those of scores (ROC AUC, average precision) take scores of one of 100 bins for equal;
log loss, Brier score and calibration error rest on exact sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shelflife.profile.joint import BINS, RIGHT, WRONG, Joint
from shelflife.profile.residual import KNOWN

Floats = NDArray[np.float64]

_CALIBRATION_BINS = 10


def of_joint(part: Joint, counts: NDArray[np.number], sums: Floats) -> dict[str, float]:
    """Every metric that a classifier's counts allow; those that they do not are left out.

    Parameters
    ----------
    part
        The score × prediction × outcome part.
    counts
        Shape (cells,).
    sums
        Shape (sums,).

    Returns
    -------
    From a metric's name to its value. ``precision``, ``recall`` and ``f1`` are the mean over classes (macro), and
    ``precision[x]`` and so on those of class x; a class that neither occurs nor is predicted is left out. Average
    precision is the step-wise area under precision and recall, as scikit-learn's; calibration error is that of
    Naeini et al. (2015).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> table = pa.table({"said": ["a", "b", "a", "b"], "true": ["a", "b", "b", "b"]})
    >>> reference = Reference.learn(table, prediction="said", outcome="true")
    >>> part, profile = reference.layout.outcome, reference.profile
    >>> of_joint(part, profile.of(part)[0], profile.sums_of(part)[0])["accuracy"]
    0.75
    """
    scored, confusion, each = part.tables(counts)
    known = confusion[:, :-1]
    total = known.sum()
    if total == 0:
        return {}
    found = of_confusion(part, known)
    scores_known = scored[:BINS, :, RIGHT].sum() + scored[:BINS, :, WRONG].sum()
    if part.form == "positive" and scores_known:
        found |= ranking(_positives(part, scored))
    if part.form == "classes" and each.shape[0]:
        areas = [ranking(each[place, :BINS, :2]) for place in range(each.shape[0])]
        for name in ("roc_auc", "average_precision"):
            values = [area[name] for area in areas if name in area]
            if len(values) == len(areas):
                found[name] = float(np.mean(values))
    if part.form in {"positive", "classes"} and scores_known:
        found["log_loss"] = float(sums[0] / scores_known)
        found["brier"] = float(sums[1] / scores_known)
    if part.form != "none" and scores_known:
        found["calibration_error"] = _calibration(part, scored, sums[2:], float(scores_known))
    return found


def of_confusion(part: Joint, known: NDArray[np.number]) -> dict[str, float]:
    """Metrics of predictions from predicted × true counts.

    Parameters
    ----------
    part
        The score × prediction × outcome part, for the names of its classes.
    known
        Shape (classes + 1, classes + 1); what was said by what was true, the last of both any other class. Need not
        be whole.

    Examples
    --------
    >>> part = Joint("said", "true", (), ("a", "b"), None, "none")
    >>> of_confusion(part, np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]]))["recall[b]"] == 9 / 11
    True
    """
    total = known.sum()
    hits = np.diag(known).astype(np.float64).copy()
    hits[-1] = 0.0  # what is no known class is never right
    said, true = known.sum(axis=1), known.sum(axis=0)
    accuracy = float(hits.sum() / total)
    present = (said + true) > 0
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    found = {
        "accuracy": accuracy,
        "error": 1.0 - accuracy,
        "balanced_accuracy": float(recall[true > 0].mean()) if (true > 0).any() else float("nan"),
        "precision": float(precision[present].mean()),
        "recall": float(recall[present].mean()),
        "f1": float(f1[present].mean()),
    }
    for place, name in enumerate(part.classes):
        if present[place]:
            found |= {
                f"precision[{name}]": float(precision[place]),
                f"recall[{name}]": float(recall[place]),
                f"f1[{name}]": float(f1[place]),
            }
    return found


def ranking(counts: NDArray[np.number]) -> dict[str, float]:
    """ROC AUC and average precision from counts; none where there are rows of one kind alone.

    Parameters
    ----------
    counts
        Shape (bins, 2): positives and negatives of each bin of scores, the lowest first. Of bins that hold one score
        each the figures are exact.

    Examples
    --------
    >>> ranking(np.array([[1, 3], [3, 1]]))["roc_auc"]
    0.75
    """
    positive, negative = counts[:, 0].astype(np.float64), counts[:, 1].astype(np.float64)
    p, n = positive.sum(), negative.sum()
    if p == 0 or n == 0:
        return {}
    below = np.cumsum(negative) - negative
    area = float((positive * (below + negative / 2)).sum() / (p * n))
    hits, said = np.cumsum(positive[::-1]), np.cumsum((positive + negative)[::-1])
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    return {"roc_auc": area, "average_precision": float((precision * positive[::-1]).sum() / p)}


def of_residual(counts: NDArray[np.integer], sums: Floats) -> dict[str, float]:
    """Mean absolute error, root mean squared error and R² of a regression, in units of the outcome.

    Parameters
    ----------
    counts, sums
        Shapes (cells,) and (sums,) of the `Residual` part.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> table = pa.table({"said": [1.0, 2.0, 4.0], "true": [1.5, 2.5, 3.5]})
    >>> reference = Reference.learn(table, prediction="said", outcome="true", task="regression")
    >>> part, profile = reference.layout.outcome, reference.profile
    >>> of_residual(profile.of(part)[0], profile.sums_of(part)[0])["mean_absolute_error"]
    0.5
    """
    n = float(counts[KNOWN])
    if n == 0:
        return {}
    squares = sums[3] + sums[4]
    found = {
        "mean_absolute_error": float((sums[0] + sums[7]) / n),
        "root_mean_squared_error": float(np.sqrt(squares / n)),
    }
    varies = sums[5] + sums[6] - (sums[2] + sums[9]) ** 2 / n
    if varies > 0:
        found["r2"] = float(1.0 - squares / varies)
    return found


def _positives(part: Joint, scored: NDArray[np.number]) -> NDArray[np.number]:
    """Positive and negative rows of each score bin, shape (bins, 2)."""
    place = part.classes.index(part.positive or "")
    is_positive = np.zeros(scored.shape[1], dtype=bool)
    is_positive[place] = True
    right, wrong = scored[:BINS, :, RIGHT], scored[:BINS, :, WRONG]
    positive = right[:, is_positive].sum(axis=1) + wrong[:, ~is_positive].sum(axis=1)
    negative = right[:, ~is_positive].sum(axis=1) + wrong[:, is_positive].sum(axis=1)
    return np.stack([positive, negative], axis=1)


def _calibration(part: Joint, scored: NDArray[np.number], score_sums: Floats, total: float) -> float:
    """Expected calibration error over ten equal bins of the score (Naeini et al. 2015)."""
    if part.form == "positive":
        pairs = _positives(part, scored)
        hits, rows = pairs[:, 0].astype(np.float64), pairs.sum(axis=1).astype(np.float64)
    else:
        hits = scored[:BINS, :, RIGHT].sum(axis=1).astype(np.float64)
        rows = hits + scored[:BINS, :, WRONG].sum(axis=1)
    hits, rows, score_sums = (values.reshape(_CALIBRATION_BINS, -1).sum(axis=1) for values in (hits, rows, score_sums))
    off = np.abs(np.divide(hits - score_sums, rows, out=np.zeros_like(rows), where=rows > 0))
    return float((off * rows).sum() / total)
