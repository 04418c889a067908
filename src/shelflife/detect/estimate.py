"""Performance before outcomes arrive: calibrated chances, and a few outcomes that correct them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Rows of each kind that a rate is drawn by towards its prior where there are few (Jeffreys).
_PRIOR = 0.5


def calibrated(hits: Floats, rows: Floats, *, rising: bool | None = None) -> Floats:
    """The chance of a hit in each score bin, from a reference: monotone in the score, sure where rows are many.

    Parameters
    ----------
    hits, rows
        Shape (bins,); how many rows of each bin were hits, and how many there were. In order of the score.
    rising
        Whether the chance rises with the score; by default whichever fits better.

    Returns
    -------
    Shape (bins,), within (0, 1); bins without rows lie between their neighbours. Isotonic regression (pool adjacent
    violators, from SciPy).

    Examples
    --------
    >>> chances = calibrated(np.array([1.0, 0.0, 8.0, 9.0]), np.array([10.0, 0.0, 10.0, 10.0]))
    >>> bool((np.diff(chances) >= 0).all())
    True
    """
    from scipy.optimize import isotonic_regression

    total = rows.sum()
    if total <= 0:
        return np.full(len(rows), 0.5)
    base = (hits.sum() + _PRIOR) / (total + 2 * _PRIOR)
    known = rows > 0
    rates = (hits[known] + base) / (rows[known] + 1.0)
    places = np.flatnonzero(known)
    fits = []
    for up in (True, False) if rising is None else (rising,):
        fitted = isotonic_regression(rates, weights=rows[known], increasing=up).x
        fits.append((float((rows[known] * (rates - fitted) ** 2).sum()), fitted))
    best = min(fits, key=lambda fit: fit[0])[1]
    found: Floats = np.interp(np.arange(len(rows)), places, np.clip(best, 1e-6, 1.0 - 1e-6))
    return found


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval."""

    value: float
    low: float
    high: float


def corrected(
    known: Floats, truth: Floats, proxy: Floats, unknown: Floats, *, confidence: float = 0.9
) -> tuple[Estimate, float]:
    """The mean of the truth where it is known for some rows and a proxy for all: PPI++ (Angelopoulos et al. 2023).

    Parameters
    ----------
    known
        Shape (cells,); rows of each cell whose truth is known.
    truth
        Shape (cells,); how many of those were hits (values are 0 or 1).
    proxy
        Shape (cells,); the proxy's value of a row of the cell, in [0, 1].
    unknown
        Shape (cells,); rows of each cell whose truth is not known.

    Returns
    -------
    The estimate with its interval, and the weight that the proxy was given (0: of no use, 1: as good as the truth).

    Examples
    --------
    >>> few, many = np.array([20.0, 20.0]), np.array([2000.0, 2000.0])
    >>> found, weight = corrected(few, np.array([2.0, 14.0]), np.array([0.1, 0.7]), many)
    >>> bool(found.low < 0.4 < found.high and weight > 0.5)
    True
    """
    from scipy import stats

    n, more = known.sum(), unknown.sum()
    mean = truth.sum() / n
    seen = (known * proxy).sum() / n
    if more > 0 and n > 1:
        both = (truth * proxy).sum() / n - mean * seen
        everything = known + unknown
        about = (everything * proxy).sum() / everything.sum()
        varies = (everything * (proxy - about) ** 2).sum() / everything.sum()
        weight = float(np.clip(both / varies / (1 + n / more), 0.0, 1.0)) if varies > 0 else 0.0
        far = (unknown * proxy).sum() / more
        value = weight * far + mean - weight * seen
        # Variance of truth - weight * proxy among known rows, and of the proxy among the others.
        squares = (truth * (1 - weight * proxy) ** 2 + (known - truth) * (weight * proxy) ** 2).sum() / n
        near = squares - (mean - weight * seen) ** 2
        error = np.sqrt(max(near, 0.0) / n + weight**2 * varies / more)
    else:
        weight, value = 0.0, mean
        error = np.sqrt(mean * (1 - mean) / n)
    reach = float(stats.norm.isf((1 - confidence) / 2)) * float(error)
    # Nothing but hits or misses still leaves room (rule of three).
    room = 3.0 / n if mean in (0.0, 1.0) else 0.0
    low, high = value - max(reach, room), value + max(reach, room)
    return Estimate(float(np.clip(value, 0, 1)), float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))), weight
