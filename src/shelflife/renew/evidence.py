"""Evidence from rows: tests of differences, exact intervals of shares, and bootstraps of what is no mean of rows.

A verdict needs evidence in either direction: a point estimate is none. Levels hold for each single question; who asks
several shares the level among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from shelflife.detect.betting import bets
from shelflife.renew.measures import Statistic, of_counts
from shelflife.renew.paired import not_worse

Floats = NDArray[np.float64]
State = Literal["pass", "fail", "unknown"]

_RESAMPLES = 1_000
# The level of the most extreme percentile that so many draws tell; beyond it the tail is that of Student's t.
_SURE = 0.01
_DEFINED = 0.99  # the share of draws of which a measure has to exist: each class has some five rows then
_WIDEST = 0.99  # the share of differences within which losses without a bound are clipped


def within(low: float, high: float, *, least: float | None = None, most: float | None = None) -> State:
    """Whether all that a figure may be is within limits, or beyond one; unknown where it is neither, or NaN."""
    if (least is not None and high < least) or (most is not None and low > most):
        return "fail"
    inside = (least is None or low >= least) and (most is None or high <= most)
    return "pass" if inside and not math.isnan(low) else "unknown"


def difference(worse: Floats, margin: float, level: float) -> tuple[State, dict[str, Any]]:
    """Whether one is worse than another by more than a margin, from how much worse it is on each row.

    Rows that are right or wrong are counted in pairs, which says more of few of them than a bet does.
    """
    if not np.isin(worse, (-1.0, 0.0, 1.0)).all() or margin >= 1:
        return bet(worse, margin, level)
    more, less, rows = int((worse > 0).sum()), int((worse < 0).sum()), len(worse)
    passes, fails = not_worse(more, less, rows, margin), not_worse(less, more, rows, -margin)
    state: State = "pass" if passes <= level else "fail" if fails <= level else "unknown"
    return state, {"worse": more, "better": less, "p": min(passes, fails), "worse_by": float(worse.mean())}


def bet(worse: Floats, margin: float, level: float) -> tuple[State, dict[str, Any]]:
    """A test by betting, in both directions, on how much worse each row is."""
    widest = max(float(np.quantile(np.abs(worse), _WIDEST)), margin * 1.01, 1e-12)
    x = (np.clip(worse / widest, -1, 1) + 1) / 2
    limit = min((margin / widest + 1) / 2, 1 - 1e-9)
    # While it is worse by the margin at least, 1 - x has a mean of at most 1 - limit; that is bet against.
    for_it, against = log_evidence(1 - x, 1 - limit), log_evidence(x, limit)
    need = math.log(1 / level)
    state: State = "pass" if for_it >= need else "fail" if against >= need else "unknown"
    return state, {"log10_evidence": max(for_it, against) / math.log(10), "worse_by": float(worse.mean())}


def log_evidence(values: Floats, limit: float) -> float:
    """Logarithm of the e-value against a mean of at most `limit`, of values in [0, 1], mixed over bets.

    Parameters
    ----------
    values
        Shape (rows,).
    limit
        In (0, 1).

    Examples
    --------
    >>> bool(log_evidence(np.full(200, 0.6), 0.5) > np.log(20))
    True
    >>> bool(log_evidence(np.full(200, 0.5), 0.5) > 0)
    False
    """
    found, counts = np.unique(values, return_counts=True)
    steps = counts @ np.log1p(np.outer(found - limit, bets(limit)))
    return float(logsumexp(steps) - math.log(len(steps)))


def share(hits: int, rows: int, level: float) -> tuple[float, float]:
    """Between which a share lies, each end with an error of at most `level` (Clopper & Pearson).

    >>> [round(end, 3) for end in share(30, 30, 0.05)]
    [0.905, 1.0]
    """
    from scipy import stats

    found = stats.binomtest(hits, rows).proportion_ci(1 - 2 * level, method="exact")
    return float(found.low), float(found.high)


def interval(draws: Sequence[Floats], level: float, rows: int) -> tuple[float, float]:
    """Between which a figure lies, each end with an error of at most `level`, from many draws of the rows.

    Parameters
    ----------
    draws
        One or several sets of draws; of several the widest counts.
    """
    ends = [_ends(one[np.isfinite(one)], level, rows) for one in draws]
    low, high = np.array(ends).T
    return float(low.min()), float(high.max())


def _ends(found: Floats, level: float, rows: int) -> tuple[float, float]:
    if len(found) < _DEFINED * _RESAMPLES:
        return math.nan, math.nan
    from scipy import stats

    # Percentiles of a bootstrap are a little narrow where rows are few; those of Student's t are as much wider.
    told = max(level, _SURE)
    wider = float(stats.t.ppf(1 - level, rows - 1) / stats.norm.ppf(1 - told))
    middle = float(np.median(found))
    low, high = np.quantile(found, [told, 1 - told])
    return middle - (middle - low) * wider, middle + (high - middle) * wider


def drawn(metric: str, truth: Any, said: Sequence[Any], *, seed: int = 0) -> list[list[Floats]]:
    """A metric of what each of some models said, in many draws of the rows; drawn are the counts of what is alike.

    What was not seen in a few rows happens all the same: a second set of draws is of the rows and, for each class, one
    more of each kind of answer, right and wrong.

    Returns
    -------
    Two sets, each with an array of each model; empty where only one class is there to tell by.
    """
    words = [column.astype(str) for column in (truth, *said)]
    classes, places = np.unique(np.concatenate(words), return_inverse=True)
    others = max(len(classes), 2)
    if len(classes) < others and metric != "accuracy":
        return [[np.empty(0) for _ in said]]
    cells, counts = np.unique(places.reshape(len(words), -1), axis=1, return_counts=True)
    more = np.array(
        [(own, *each) for own in np.unique(cells[0]) for each in product((own, (own + 1) % others), repeat=len(said))]
    ).T
    both = np.hstack([cells, more]), np.append(counts, np.ones(more.shape[1]))
    return [_counted(metric, kinds, weights, len(truth), others, seed) for kinds, weights in ((cells, counts), both)]


def _counted(metric: str, cells: Any, counts: Any, rows: int, classes: int, seed: int) -> list[Floats]:
    draws = np.random.default_rng(seed).multinomial(rows, counts / counts.sum(), _RESAMPLES).astype(np.float64)
    of_class = np.arange(classes)[:, None]
    true = draws @ (of_class == cells[0]).T
    return [
        of_counts(metric, draws @ ((of_class == cells[0]) & (cells[0] == own)).T, true, draws @ (of_class == own).T)
        for own in cells[1:]
    ]


def resampled(statistic: Statistic, rows: int, *, seed: int = 0) -> Floats:
    """A statistic of many draws of the rows; NaN where it does not exist."""
    draw = np.random.default_rng(seed)  # the same rows give the same verdict
    each = (np.bincount(draw.integers(0, rows, rows), minlength=rows) for _ in range(_RESAMPLES))
    found = [statistic(counts.astype(np.float64)) for counts in each]
    return np.array([math.nan if one is None else one for one in found])
