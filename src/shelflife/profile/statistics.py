"""Distances and moments from counts alone.

Each takes the counts of two profiles in the same cells. Empty sides give NaN. Distances of binned numbers lie below
those of the rows themselves by at most what a bin holds: the reference's bins hold 1/64 of its rows each, unless a
value repeats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shelflife.profile import numeric
from shelflife.profile.category import Category
from shelflife.profile.numeric import Numeric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A share of nothing counts as this much in the population stability index, which would be infinite.
LEAST_SHARE = 1e-4


def shares(counts: Ints) -> Floats:
    """Counts as shares of their sum along the last axis; NaN where that is zero.

    >>> shares(np.array([1, 3])).tolist()
    [0.25, 0.75]
    """
    total = counts.sum(axis=-1, keepdims=True)
    found: Floats = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return found


def psi(reference: Ints, current: Ints) -> float:
    """Population stability index: the sum of (q - p) log(q / p), shares of nothing taken as 1/10,000.

    >>> round(psi(np.array([50, 50]), np.array([60, 40])), 4)
    0.0405
    """
    p, q = _pair(reference, current)
    used = (p > 0) | (q > 0)
    p, q = np.maximum(p[used], LEAST_SHARE), np.maximum(q[used], LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum()) if _both(reference, current) else float("nan")


def jensen_shannon(reference: Ints, current: Ints) -> float:
    """Jensen-Shannon distance to base 2, from 0 to 1: as `scipy.spatial.distance.jensenshannon`.

    >>> jensen_shannon(np.array([10, 0]), np.array([0, 5]))
    1.0
    """
    from scipy.spatial.distance import jensenshannon

    if not _both(reference, current):
        return float("nan")
    return float(jensenshannon(reference, current, base=2))


def total_variation(reference: Ints, current: Ints) -> float:
    """Total variation distance, from 0 to 1: the share of rows that would have to change cells.

    >>> total_variation(np.array([50, 50]), np.array([30, 20]))
    0.1
    """
    p, q = _pair(reference, current)
    return round(float(np.abs(p - q).sum() / 2), 15)


def kolmogorov_smirnov(reference: Ints, current: Ints) -> float:
    """Largest difference of the two distribution functions at the edges of ordered cells.

    That of the rows themselves is larger by at most the largest share that one cell holds.

    >>> kolmogorov_smirnov(np.array([50, 50]), np.array([80, 20]))
    0.3
    """
    p, q = _pair(reference, current)
    return round(float(np.abs(np.cumsum(p) - np.cumsum(q)).max()), 15) if len(p) else float("nan")


def chi_square(reference: Ints, current: Ints) -> tuple[float, float]:
    """Pearson's test of one distribution in both, and its p-value: as `scipy.stats.chi2_contingency`.

    It says how sure, not how much, and with many rows is always sure; findings do not rest on it.

    Parameters
    ----------
    reference, current
        Shape (cells,); counts of both sides.

    Returns
    -------
    The statistic and the p-value.

    Examples
    --------
    >>> statistic, p = chi_square(np.array([50, 50]), np.array([60, 40]))
    >>> round(statistic, 2), round(p, 3)
    (2.02, 0.155)
    """
    from scipy.stats import chi2_contingency

    table = np.stack([reference, current])
    table = table[:, table.sum(axis=0) > 0]
    if not _both(reference, current) or table.shape[1] < 2:
        return float("nan"), float("nan")
    found = chi2_contingency(table, correction=False)
    return float(found.statistic), float(found.pvalue)


def wasserstein(part: Numeric, reference: Ints, current: Ints, low: float, high: float) -> float:
    """Earth mover's distance of a numeric column, in its units: the area between the two distribution functions.

    Values are taken as spread evenly within their bins, so it is off by at most the mean width of a bin.

    Parameters
    ----------
    part
        The column.
    reference, current
        Shape (cells,).
    low, high
        Least and greatest finite value of either side.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> reference = Reference.learn(pa.table({"x": np.arange(1000.0)}))
    >>> (part,), now = reference.layout.parts, reference.count(pa.table({"x": np.arange(1000.0) + 50}))
    >>> then, now = reference.profile.of(part)[0], now.of(part)[0]
    >>> abs(wasserstein(part, then, now, 0.0, 1049.0) - 50) < 1000 / 64
    True
    """
    if not np.isfinite([low, high]).all():
        return float("nan")
    inner = slice(numeric.BELOW, part.above + 1)
    p, q = _pair(reference[inner], current[inner])
    edges = np.array([min(low, part.edges[0]), *part.edges, max(high, part.edges[-1])])
    off = np.concatenate([[0.0], np.cumsum(p - q)])
    left, right, width = off[:-1], off[1:], np.diff(edges)
    # Linear between edges: a trapezium, or two triangles where the sign changes.
    crossing = left * right < 0
    both = np.abs(left) + np.abs(right)
    area = np.where(crossing, (left**2 + right**2) / np.where(both > 0, 2 * both, 1.0), both / 2)
    return float((area * width).sum())


def mean_and_sd(part: Numeric, counts: Ints, sums: Floats) -> tuple[float, float]:
    """Mean and standard deviation of the finite values of a numeric column, from sums that add without rounding.

    Each value counts to 2**-20 of the column's spread (2**-12 where it lies far off, and at most 2**14 spreads off).

    Parameters
    ----------
    part
        The column.
    counts, sums
        Shapes (cells,) and (sums,).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> reference = Reference.learn(pa.table({"x": [1.0, 2.0, 3.0]}))
    >>> (part,), profile = reference.layout.parts, reference.profile
    >>> mean_and_sd(part, profile.of(part)[0], profile.sums_of(part)[0])
    (2.0, 1.0)
    """
    n = int(counts[numeric.BELOW : part.above + 1].sum())
    if n == 0:
        return float("nan"), float("nan")
    away = (sums[0] + sums[3]) / n
    variance = max(0.0, (sums[1] + sums[2]) / n - away**2)
    return float(part.centre + away), float(np.sqrt(variance * n / (n - 1))) if n > 1 else float("nan")


def quantiles(part: Numeric, counts: Ints, low: float, high: float, at: Floats) -> Floats:
    """Quantiles of the finite values of a numeric column, each within the bin that the true one lies in.

    Parameters
    ----------
    part
        The column.
    counts
        Shape (cells,).
    low, high
        Its least and greatest finite value.
    at
        Shape (n,), from 0 to 1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> reference = Reference.learn(pa.table({"x": np.arange(1001.0)}))
    >>> (part,) = reference.layout.parts
    >>> found = quantiles(part, reference.profile.of(part)[0], 0.0, 1000.0, np.array([0.25, 0.5]))
    >>> bool((abs(found - [250, 500]) < 1000 / 64).all())
    True
    """
    inner = counts[numeric.BELOW : part.above + 1]
    total = inner.sum()
    if total == 0:
        return np.full(len(at), np.nan)
    edges = np.array([min(low, part.edges[0]), *part.edges, max(high, part.edges[-1])])
    edges = np.clip(edges, low, high)
    upto = np.concatenate([[0.0], np.cumsum(inner)]) / total
    found: Floats = np.interp(at, upto, edges)
    return found


def null_share(part: Numeric | Category, counts: Ints) -> float:
    """Share of rows without a value: missing, or not a number; NaN of no rows.

    Parameters
    ----------
    part
        The column.
    counts
        Shape (cells,).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> reference = Reference.learn(pa.table({"plan": ["pro", None, "free", "pro"]}))
    >>> (part,) = reference.layout.parts
    >>> null_share(part, reference.profile.of(part)[0])
    0.25
    """
    total = counts.sum()
    absent = counts[0] + (counts[numeric.NAN] if isinstance(part, Numeric) else 0)
    return float(absent / total) if total else float("nan")


def unseen_share(part: Category, counts: Ints) -> float | None:
    """Share of the rows with a value whose value the reference never had; None where it has too many to list.

    Parameters
    ----------
    part
        The column.
    counts
        Shape (cells,).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> reference = Reference.learn(pa.table({"plan": ["pro", "free"] * 5}))
    >>> (part,), now = reference.layout.parts, reference.count(pa.table({"plan": ["pro", "team"]}))
    >>> unseen_share(part, now.of(part)[0])
    0.5
    """
    total = counts[1:].sum()
    if part.open or not total:
        return None
    return float(counts[-1] / total)


def _pair(reference: Ints, current: Ints) -> tuple[Floats, Floats]:
    return shares(reference), shares(current)


def _both(reference: Ints, current: Ints) -> bool:
    return bool(reference.sum() > 0 and current.sum() > 0)
