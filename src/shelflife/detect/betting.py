"""Is a promise still kept? Tests by betting on bounded means, from counts alone.

A stream is a quantity in [0, 1] that is promised to have a conditional mean of at most ``limit``. It is observed per
bucket as counts over a small fixed grid of values. For a bet ``0 < b < 1 / limit`` the product over rows of
``1 + b * (value - limit)`` has an expectation of at most 1 while the promise holds (Waudby-Smith & Ramdas 2024), and
its logarithm needs nothing but the counts. Pure mathematics: no clock, no files, and time is only the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BETS = 12


def bets(limit: float) -> Floats:
    """Geometric grid of bets against a limit, shape (BETS,): from cautious to nearly all that is allowed.

    Parameters
    ----------
    limit
        The promised mean, in (0, 1).

    Examples
    --------
    >>> grid = bets(0.5)
    >>> bool((grid > 0).all() and (grid < 2).all())
    True
    """
    return np.geomspace(0.01, 0.9 / limit, BETS)


def spread(values: Floats, grid: Floats) -> Floats:
    """Counts over `grid` that stand for `values` with the same mean, shape (len(grid),).

    Each value is shared between its two neighbours on the grid so that the mean is kept exactly. The logarithm is
    concave, so evidence computed from these counts is never more than that of the values themselves: rounding is
    towards the promise. With the grid (0, 1) this is the two-point form that needs only the number of rows and their
    sum.

    Parameters
    ----------
    values
        Shape (n,), within [grid[0], grid[-1]].
    grid
        Ascending, at least two points.

    Examples
    --------
    >>> counts = spread(np.array([0.25, 1.0]), np.array([0.0, 0.5, 1.0]))
    >>> counts.tolist()
    [0.5, 0.5, 1.0]
    """
    upper = np.clip(np.searchsorted(grid, values, side="right"), 1, len(grid) - 1)
    lower = upper - 1
    share = (values - grid[lower]) / (grid[upper] - grid[lower])
    below = np.bincount(lower, weights=1.0 - share, minlength=len(grid))
    above = np.bincount(upper, weights=share, minlength=len(grid))
    return np.asarray(below + above, dtype=np.float64)


def log_e(counts: Floats, values: Floats, limit: float) -> Floats:
    """Logarithm of the e-value of each bucket for each bet.

    Parameters
    ----------
    counts
        Shape (buckets, len(values)); how many rows of the bucket have each value.
    values
        The grid of values, within [0, 1].
    limit
        The promised conditional mean, in (0, 1).

    Returns
    -------
    Shape (buckets, BETS).

    Examples
    --------
    >>> kept = log_e(np.array([[50.0, 50.0]]), np.array([0.0, 1.0]), limit=0.5)
    >>> bool((kept <= 0).all())
    True
    """
    return counts @ np.log1p(np.outer(values - limit, bets(limit)))


@dataclass(frozen=True)
class OnsetTest:
    """The course of one test of *when did the promise stop being true?*

    Attributes
    ----------
    log_evidence
        Shape (buckets,); natural logarithm of the e-process after each bucket.
    detected
        The first bucket at which the evidence reaches 1 / alpha, or None.
    onset
        The bucket from which the excess over the limit that led to the verdict accumulated; without a verdict, the
        start of the excess that is accumulating now, or the number of buckets where there is none.
    """

    log_evidence: Floats
    detected: int | None
    onset: int


def onset_test(counts: Floats, values: Floats, limit: float, alpha: float) -> OnsetTest:
    """Test a stream's promise over buckets of unknown good youth, and date when it ended.

    The e-process mixes over the onset bucket j with weights 1 / (j (j + 1)) and over the bets, so a long good youth
    does not delay the verdict; false verdicts come with probability at most `alpha`, however often one looks (Ville).
    The onset is the start of the largest sum of excess over the limit up to the verdict (Page's CUSUM, the limiting
    term of a vanishing bet): of all bets' terms it is the one that turns where the mean passes the limit, so it dates
    slow ageing without the lateness of larger bets.

    Parameters
    ----------
    counts
        Shape (buckets, len(values)), in order of time.
    values, limit
        As for `log_e`.
    alpha
        Level of the test, in (0, 1).

    Examples
    --------
    >>> good, bad = [90.0, 10.0], [50.0, 50.0]
    >>> test = onset_test(np.array([good] * 20 + [bad] * 10), np.array([0.0, 1.0]), limit=0.2, alpha=0.05)
    >>> test.onset, test.detected
    (20, 20)
    """
    steps = log_e(counts, values, limit)
    evidence = np.empty(len(counts))
    detected = None
    running = np.full(steps.shape[1], -np.inf)
    for bucket, step in enumerate(steps):
        begun = -np.log((bucket + 1.0) * (bucket + 2.0))
        running = np.logaddexp(running, begun) + step
        waiting = -np.log(bucket + 2.0)
        evidence[bucket] = np.logaddexp(np.logaddexp.reduce(running) - np.log(len(running)), waiting)
        if detected is None and evidence[bucket] >= -np.log(alpha):
            detected = bucket
    looked = len(counts) if detected is None else detected + 1
    return OnsetTest(evidence, detected, _cusum_start(counts[:looked], values, limit, certain=detected is not None))


def _cusum_start(counts: Floats, values: Floats, limit: float, *, certain: bool) -> int:
    if len(counts) == 0:
        return 0
    over = counts @ (values - limit)
    since = np.cumsum(over[::-1])[::-1]
    start = int(np.argmax(since))
    return start if certain or since[start] > 0 else len(counts)


def rows_to_detect(excess: float, variance: float, alpha: float) -> float:
    """Rows after which a mean of `excess` over its limit can be expected to be told, in order of magnitude.

    A stream with that excess and `variance` gains about ``excess**2 / (2 * variance)`` of log evidence a row, and
    ``log(1 / alpha)`` is needed. Fewer rows than this mean *too few to tell*, never *good*.

    Examples
    --------
    >>> rows_to_detect(0.1, 0.25, 0.05) > rows_to_detect(0.2, 0.25, 0.05)
    True
    """
    return float(-2.0 * np.log(alpha) * variance / excess**2)
