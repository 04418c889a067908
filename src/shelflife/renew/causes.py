"""Why a champion got worse, where rows with outcomes tell: a prior shift is mended without learning anew.

Under a prior shift outcomes come in other shares, and rows of each outcome are what they were. Then the chances that a
model gives are off by one factor for each outcome (Saerens, Latinne and Decaestecker 2002), and weighing them anew does
what a retraining would do. Where the rows of an outcome have changed as well it is something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelflife.models import Answers
from shelflife.plan.spec import LOSSES
from shelflife.renew.measures import figure

Floats = NDArray[np.float64]

LEVEL = 0.05
FEWEST = 30  # rows of an outcome, before and now, from which anything is said of it
_LEAST = 1e-6  # of a chance that is weighed
_ROUNDS = 200


@dataclass(frozen=True)
class Prior:
    """A prior shift.

    Attributes
    ----------
    before, now
        Shares of each outcome when the model was proved, and in the newest rows.
    weights
        By what the chance of each outcome is to be multiplied, before the greatest is taken; of the first 1.
    rows
        On how many of the newest rows the figures are: the newer half, whose outcomes the weights do not know.
    metric, champion, weighed, challenger
        The measure, and what it is of the champion as it is, weighed anew, and of the best challenger.
    """

    before: dict[str, float]
    now: dict[str, float]
    weights: dict[str, float]
    rows: int
    metric: str
    champion: float
    weighed: float
    challenger: float | None

    @property
    def says(self) -> str:
        """What it is, what to do, and how that compares."""
        most = max(self.now, key=lambda one: self.now[one] - self.before[one])
        shares = f"{most} came true in {100 * self.now[most]:.0f} % of the newest rows, and in"
        rival = "" if self.challenger is None else f", the challenger {self.challenger:.4g}"
        return (
            f"prior shift: {shares} {100 * self.before[most]:.0f} % when the champion was proved, and nothing"
            f" says that rows of one outcome have changed; recalibrate the threshold ({self._how}): on the newest"
            f" {self.rows:,} rows the champion then has {self.metric} {self.weighed:.4g}, as it is"
            f" {self.champion:.4g}{rival}"
        )

    @property
    def _how(self) -> str:
        first, *others = self.weights
        if len(others) == 1:
            other = self.weights[others[0]]
            return f"say {others[0]} from a chance of {1 / (1 + other):.2f} on"
        parts = [f"{one} × {weight:.2g}" for one, weight in self.weights.items() if one != first]
        return f"multiply the chances: {', '.join(parts)}"


def prior_shift(
    before: tuple[Any, Answers], now: tuple[Any, Answers], *, metric: str, rival: Answers | None, tolerance: float
) -> Prior | None:
    """Whether a prior shift is why a model got worse; None where it is not, or too few rows tell.

    Parameters
    ----------
    before, now
        Outcomes of rows, shape (rows,), and what the model says of them: of some that it has not learnt from, from
        when it was proved, and of the newest, in the order in which they came.
    metric
        By which models are compared.
    rival
        What the best challenger says of the newest.
    tolerance
        Shares of rows: what is less has not changed.
    """
    from scipy import stats

    truth, answers = now
    classes = answers.classes
    if answers.scores is None or before[1].scores is None or len(classes) < 2 or before[1].classes != classes:
        return None
    counts = np.array([[int((true == one).sum()) for one in classes] for true in (before[0], truth)], dtype=np.float64)
    total = np.array([[len(before[0])], [len(truth)]], dtype=np.float64)
    if (counts < FEWEST).any() or (1 - counts.sum(axis=1) / total[:, 0] > tolerance).any():
        return None
    shares = counts / total
    if 0.5 * np.abs(shares[0] - shares[1]).sum() < tolerance or stats.chi2_contingency(counts).pvalue >= LEVEL:
        return None
    if _changed(before, now, tolerance):
        return None
    half = len(truth) // 2
    weights = weighing(answers.scores[:half], np.array([(truth[:half] == one).mean() for one in classes]))
    held = slice(half, None)
    as_it_is = _figure(metric, truth[held], answers.scores[held], classes)
    weighed = _figure(metric, truth[held], answers.scores[held] * weights, classes)
    if as_it_is is None or weighed is None or (weighed - as_it_is) * (-1 if metric in LOSSES else 1) <= 0:
        return None
    challenger = None if rival is None else figure(metric, truth[held], _part(rival, held))
    was, isnow, factors = (
        dict(zip(classes, one.tolist(), strict=True)) for one in (shares[0], shares[1], weights / weights[0])
    )
    return Prior(was, isnow, factors, len(truth) - half, metric, as_it_is, weighed, challenger)


def _changed(before: tuple[Any, Answers], now: tuple[Any, Answers], tolerance: float) -> bool:
    """Whether the chances that rows of one outcome are given have changed, beyond chance and the tolerance."""
    from scipy import stats

    classes = now[1].classes
    columns = len(classes) if len(classes) > 2 else 1  # of two classes one chance tells the other
    for one in classes:
        was, isnow = (answers.scores[true == one] for true, answers in (before, now))
        for column in range(columns):
            found = stats.ks_2samp(was[:, column], isnow[:, column], method="asymp")
            if found.statistic >= tolerance and found.pvalue < LEVEL / (columns * len(classes)):
                return True
    return False


def weighing(chances: Floats, shares: Floats) -> Floats:
    """By what the chance of each class is to be multiplied so that on average they are its share.

    Parameters
    ----------
    chances
        Shape (rows, classes).
    shares
        Shape (classes,).

    Examples
    --------
    >>> chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    >>> weights = weighing(chances, np.array([0.3, 0.7]))
    >>> weighed = chances * weights
    >>> (weighed / weighed.sum(axis=1, keepdims=True)).mean(axis=0).round(3).tolist()
    [0.3, 0.7]
    """
    given, wanted = np.clip(chances, _LEAST, 1.0), np.clip(shares, _LEAST, 1.0)
    weights = np.ones(given.shape[1])
    for _ in range(_ROUNDS):
        weighed = given * weights
        off = wanted / (weighed / weighed.sum(axis=1, keepdims=True)).mean(axis=0)
        weights = weights * off / (weights * off)[0]
        if np.abs(off - 1).max() < 1e-9:
            break
    return weights


def _figure(metric: str, truth: Any, scores: Floats, classes: Sequence[str]) -> float | None:
    scores = scores / scores.sum(axis=1, keepdims=True)
    said = np.array(classes, dtype=object)[scores.argmax(axis=1)]
    return figure(metric, truth, Answers(said, scores, tuple(classes)))


def _part(answers: Answers, rows: slice) -> Answers:
    return Answers(answers.predictions[rows], None if answers.scores is None else answers.scores[rows], answers.classes)
