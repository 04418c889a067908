"""Limits of streams: what a reference promises, with its own noise, its variation between buckets, and a tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# One-sided confidence that a change within the tolerance never rings because of the reference's own noise.
CONFIDENCE = 0.95
# Chance that any stream at all is promised less than it truly has, because of the reference's own noise.
SIMULTANEOUS = 0.01
# Levels that last over buckets of the reference itself may lie this many standard deviations off its mean.
VARIATION = 2.0
_LEAST_BLOCKS = 8
_UNLUCKY = 0.1
_SLOWEST = 0.95
_STRETCH = 100.0
_FEW = 50


@dataclass(frozen=True)
class Limits:
    """What streams are promised to stay under, by phase of the season.

    Attributes
    ----------
    mean
        Shape (phases, streams); the reference's mean in each phase.
    upper
        Shape (phases, streams); the promised conditional mean. At least 1 means: nothing can be told.
    effect
        Shape (streams,); design effect of buckets of `typical` rows: how many times more their means vary than those
        of independent rows.
    typical
        Shape (streams,); rows of a typical bucket of the reference.
    spread
        Shape (phases, streams); variance of a row's value.
    varied
        Shape (streams,); whether the reference's buckets vary more than independent rows would, beyond chance.
    """

    mean: Floats
    upper: Floats
    effect: Floats
    typical: Floats
    spread: Floats
    varied: NDArray[np.bool_]

    def effective(self, rows: Floats, bets: Floats, phase: int) -> Floats:
        """What rows of one bucket count for in each bet, as a share of one independent row each.

        All rows of a bucket together are divided by the design effect. That holds for bets that a bucket's deviation
        multiplies by little; buckets that vary more than independent rows would may also lie far off at times, so for
        larger bets one bucket's evidence is kept to about as many units as the standard deviations that it lies off,
        and at the least counts as the one observation that it is, which holds whatever its rows share.

        Parameters
        ----------
        rows
            Shape (streams,); rows of the bucket.
        bets
            Shape (streams, bets).
        phase
            The bucket's phase of the season.

        Returns
        -------
        Shape (streams, bets), from 0 to 1.
        """
        discount = np.maximum(1.0 + (self.effect - 1.0) * rows / self.typical, 1.0)
        counted = np.repeat((rows / discount)[:, None], bets.shape[1], axis=1)
        off = np.sqrt(self.spread[phase] / np.maximum(rows / discount, 1e-300))
        with np.errstate(divide="ignore"):
            kept = np.maximum(1.0 / (bets * off[:, None]), 1.0)
        counted = np.where(self.varied[:, None], np.minimum(counted, kept), counted)
        return np.minimum(1.0, counted / np.maximum(rows, 1.0)[:, None])


def limits(
    hits: Floats,
    rows: Floats,
    *,
    tolerance: Floats,
    phases: Ints | None = None,
    count: int = 1,
    variance: Floats | None = None,
    streams: int | None = None,
    novelty: Floats | None = None,
) -> Limits:
    """Limits from the buckets of a reference.

    The limit is the reference's mean plus the largest of three: an upper confidence bound and the tolerance, so that
    a change within the tolerance does not ring; a bound that holds for all streams at once, so that no change does not
    ring though the reference is small; and how far levels that last over several buckets lie off the mean. Counts are
    discounted by the design effect (Rao & Scott 1981), here the largest over blocks of buckets of any length, so that
    what neighbours share counts as well.

    Parameters
    ----------
    hits
        Shape (buckets, streams); sums of the streams' values, each in [0, 1].
    rows
        Shape (buckets, streams); over how many rows. In order of time.
    tolerance
        Shape (streams,) or a number; how far the mean may move.
    phases
        Shape (buckets,); the phase of the season of each bucket, from 0 to `count` - 1. None: one phase.
    variance
        Shape (streams,); variance of a row's value in the reference where it is known; else that of a yes or no.
    streams
        For how many streams the bounds shall hold at once; as many as there are columns by default.
    novelty
        Shape (streams, 2); rows and hits that stand for the reference's mean where its own buckets cannot (a value
        that is in the reference is never new to it); NaN elsewhere.

    Examples
    --------
    >>> found = limits(np.array([[10.0], [12.0]]), np.array([[100.0], [100.0]]), tolerance=np.array([0.05]))
    >>> bool(0.16 < found.upper[0, 0] < 0.25)
    True
    """
    size = hits.shape[1]
    phase = np.zeros(len(hits), dtype=np.int64) if phases is None else phases
    total_rows, total_hits = _by_phase(rows, phase, count), _by_phase(hits, phase, count)
    if novelty is not None:
        own = np.isfinite(novelty[:, 0])
        total_rows[:, own], total_hits[:, own] = novelty[own, 0], novelty[own, 1]
    overall = np.divide(total_hits.sum(axis=0), total_rows.sum(axis=0), out=np.full(size, np.nan),
                        where=total_rows.sum(axis=0) > 0)  # fmt: skip
    unseen = total_rows <= 0
    mean = np.where(unseen, overall, np.divide(total_hits, total_rows, out=np.zeros_like(total_hits), where=~unseen))
    spread = mean * (1.0 - mean) if variance is None else np.broadcast_to(variance, mean.shape)
    varied = _variation(hits, rows, mean, spread, phase)
    effect, lasting = varied.effect, varied.lasting
    if novelty is not None:
        effect, lasting = np.where(own, 1.0, effect), np.where(own, 0.0, lasting)
    single = np.minimum(varied.single, effect)
    # What neighbours share is shared by the phases as well: only the whole reference averages it out.
    everything = total_rows.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = 1.0 / (single / np.where(unseen, everything, total_rows) + (effect - single) / everything)
    known = np.where(everything > 0, known, 0.0)
    from scipy import stats

    freedom = varied.freedom
    chance = SIMULTANEOUS / max(1, streams or size)
    if freedom:
        # As many independent levels as the reference's buckets amount to.
        levels = np.maximum(freedom * single / effect, 2.0)
        by_itself, at_once = (stats.norm.sf(stats.t.isf(tail, levels)) for tail in (1.0 - CONFIDENCE, chance))
        lasts = np.maximum(VARIATION, stats.t.isf(stats.norm.sf(VARIATION), levels))
    else:
        by_itself, at_once = 1.0 - CONFIDENCE, chance
        lasts = VARIATION
    upper = np.maximum(
        upper_bound(mean, spread, known, by_itself) + tolerance,
        np.maximum(upper_bound(mean, spread, known, at_once), mean + lasts * np.sqrt(lasting)),
    )
    # Of a phase that the reference never saw nothing is promised.
    upper = np.where(np.isfinite(upper) & ~unseen, upper, 1.0)
    return Limits(mean, upper, effect, varied.typical, spread, varied.beyond_chance)


def together(parts: list[Limits]) -> Limits:
    """Limits of several sets of streams as those of one."""
    return Limits(
        np.concatenate([part.mean for part in parts], axis=1),
        np.concatenate([part.upper for part in parts], axis=1),
        np.concatenate([part.effect for part in parts]),
        np.concatenate([part.typical for part in parts]),
        np.concatenate([part.spread for part in parts], axis=1),
        np.concatenate([part.varied for part in parts]),
    )


def _by_phase(values: Floats, phase: Ints, count: int) -> Floats:
    found = np.zeros((count, values.shape[1]))
    np.add.at(found, phase, values)
    return found


def upper_bound(mean: Floats, spread: Floats, rows: Floats, tail: Any) -> Floats:
    """One-sided upper confidence bound of a mean; nothing known gives 1.

    Wilson's, for any variance of a row; where rows are few and values are a yes or no at least that of Clopper and
    Pearson, which holds for any number of rows.

    Parameters
    ----------
    mean, spread, rows
        Of one shape; mean and variance of a row's value, and over how many independent rows.
    tail
        Chance that the bound is too low; a number, or an array that broadcasts.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> bool(upper_bound(0 * one, 0 * one, one, 0.001)[0, 0] > 0.99)
    True
    """
    from scipy import stats

    z = np.asarray(stats.norm.isf(tail))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = z * z / rows
        found = (mean + share / 2 + np.sqrt(share * spread + share * share / 4)) / (1 + share)
    few = (rows > 0) & (rows < _FEW)
    if few.any():
        n, k = rows[few], (mean * rows)[few]
        exact = stats.beta.isf(np.broadcast_to(tail, rows.shape)[few], k + 1.0, np.maximum(n - k, 1e-9))
        found[few] = np.maximum(found[few], exact)
    return np.where(rows > 0, np.minimum(found, 1.0), 1.0)


@dataclass(frozen=True)
class _Variation:
    """How buckets vary: design effects, of single buckets and the largest of any block; the variance of levels that
    last from one bucket to the next; rows of a typical bucket; whether they vary beyond chance; degrees of freedom.
    All of shape (streams,).
    """

    single: Floats
    effect: Floats
    lasting: Floats
    typical: Floats
    beyond_chance: NDArray[np.bool_]
    freedom: int


def _variation(hits: Floats, rows: Floats, mean: Floats, spread: Floats, phase: Ints) -> _Variation:
    from scipy import stats

    buckets, size = hits.shape
    total = rows.sum(axis=0)
    typical = np.divide((rows**2).sum(axis=0), total, out=np.ones(size), where=total > 0)
    typical = np.maximum(typical, 1.0)
    freedom = buckets - len(np.unique(phase))
    if freedom < 2:
        return _Variation(np.ones(size), np.ones(size), np.zeros(size), typical, np.zeros(size, dtype=bool), 0)
    off = hits - rows * mean[phase]
    expected = rows * spread[phase]
    single = effect = np.ones(size)
    beyond = np.zeros(size, dtype=bool)
    length = 1
    while length == 1 or buckets // length >= _LEAST_BLOCKS:
        kept = buckets // length * length
        blocks = off[:kept].reshape(-1, length, size).sum(axis=1)
        by_chance = expected[:kept].sum(axis=0)
        found = np.divide((blocks**2).sum(axis=0), by_chance, out=np.ones(size), where=by_chance > 0)
        found *= buckets / freedom
        if length == 1:
            # Few buckets may by chance vary less than they usually do.
            beyond = found > 1.0 + 2.0 * np.sqrt(2.0 / freedom)
            single = effect = np.maximum(1.0, found * freedom / stats.chi2.ppf(_UNLUCKY, freedom))
        effect = np.maximum(effect, found)
        length *= 2
    # Levels matter that last long enough to be taken for a change: from one stretch of some rows to the next.
    stretch = int(np.clip(np.ceil(_STRETCH / np.median(typical)), 1, max(1, buckets // _LEAST_BLOCKS)))
    kept = buckets // stretch * stretch
    beside, of = (values[:kept].reshape(-1, stretch, size).sum(axis=1) for values in (off, rows))
    together, shared = (of[1:] * of[:-1]).sum(axis=0), (beside[1:] * beside[:-1]).sum(axis=0)
    lasting = np.maximum(np.divide(shared, together, out=np.zeros(size), where=together > 0), 0.0)
    # Blocks of a short reference are too short to show how long levels last; then as if they faded at a steady rate.
    levels = (single - 1.0) * expected.sum(axis=0) / np.maximum(total * typical, 1.0)
    fades = np.divide(lasting, levels, out=np.zeros(size), where=levels > 0)
    fades = np.minimum(np.minimum(fades, 1.0) + (1.0 + 3.0 * np.minimum(fades, 1.0)) / buckets, _SLOWEST)
    fades = np.where(beyond & (lasting > 0), fades, 0.0)
    effect = np.maximum(effect, 1.0 + (single - 1.0) * (1.0 + fades) / (1.0 - fades))
    return _Variation(single, effect, lasting, typical, beyond, freedom)
