"""When did each model end, and do models of this system expire at all? Pure arithmetic on paired counts.

Time is the order of slices: a model's stream begins one slice after its birth, when it has its first fresh rival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shelflife import detect
from shelflife.lifespan.pairs import Pairs

Ints = NDArray[np.int64]
Verdict = Literal["expires", "no expiry seen", "unknown"]

_TOGETHER = 6  # slices within which ends count as one moment: a verdict dates an end to within a few
_FEWEST, _MOST = 4, 0.6  # models, and share of those still good, that must end then
_GROSS = 0.1  # an excess over the tolerance that any worthwhile amount of data must be able to show


@dataclass(frozen=True)
class Expiry:
    """The ends of all models watched.

    Attributes
    ----------
    ended
        Shape (models,); the age in slices from which the excess passed the tolerance, 0 for models without a verdict.
    detected
        Shape (models,); the age of the slice that brought the verdict, 0 without one.
    log_evidence
        Natural logarithm of the largest evidence, over calendar time, that models expire (the mean of all models'
        e-processes, which is an e-process whatever their dependence).
    verdict
        ``expires`` where that evidence reaches 1 / alpha; ``unknown`` where too few rows were watched to tell even a
        gross excess; else ``no expiry seen``.
    """

    ended: Ints
    detected: Ints
    log_evidence: float
    verdict: Verdict


def expire(pairs: Pairs, births: Ints, ages: Ints, alpha: float) -> Expiry:
    """Test each model for expiry and all of them together.

    Parameters
    ----------
    pairs
        Paired counts of the models.
    births
        Shape (models,); the slice in which each was born.
    ages
        Shape (models,); the largest age in slices at which each was watched.
    alpha
        Level of each model's test, and of the verdict over all.
    """
    models = len(births)
    ended, detected = np.zeros(models, np.int64), np.zeros(models, np.int64)
    slices = int((births + ages).max()) + 1
    evidence = np.zeros((models, slices))  # log e = 0 before a model has a rival
    for model, (birth, age) in enumerate(zip(births, ages, strict=True)):
        test = detect.onset_test(pairs.counts[model, 1 : age + 1], pairs.values, pairs.limit, alpha)
        evidence[model, birth + 1 : birth + age + 1] = test.log_evidence
        evidence[model, birth + age + 1 :] = test.log_evidence[-1]
        if test.detected is not None:
            ended[model], detected[model] = test.onset + 1, test.detected + 1
    together = float((np.logaddexp.reduce(evidence, axis=0) - np.log(models)).max())
    return Expiry(ended, detected, together, _verdict(pairs, ended, together, alpha))


def _verdict(pairs: Pairs, ended: Ints, log_evidence: float, alpha: float) -> Verdict:
    if log_evidence >= -np.log(alpha) and ended.any():
        return "expires"
    if not pairs.counts[:, 1:].any():
        return "unknown"
    watched = np.median(pairs.counts[:, 1:].sum(axis=(1, 2)))
    total = pairs.counts[:, 1:].sum(axis=(0, 1))
    mean = total @ pairs.values / total.sum()
    variance = total @ (pairs.values - mean) ** 2 / total.sum()
    # A gross excess brings its own disagreement between old and fresh, so the variance is at least that of it alone.
    gross = min(_GROSS, 1 - pairs.limit) / 2
    needed = detect.rows_to_detect(gross, max(variance, gross / 2), alpha)
    return "no expiry seen" if watched >= needed else "unknown"


def common_ends(pairs: Pairs, births: Ints, ages: Ints, ended: Ints, tolerance: float) -> list[tuple[int, int]]:
    """Moments at which models of very different ages ended together: (slice, models), the largest first.

    Models that merely age end as far apart as they were born. Something happened where, within six slices, at least
    four models ended and three in five of all that were then still good, though born twelve or more slices apart,
    and where their excess rose meanwhile by more than the tolerance and by more than three standard errors.

    Parameters
    ----------
    pairs
        Paired sums of the models.
    births, ages, ended
        Shape (models,); the slice of birth, the age to which each was watched, and the age at the end, 0 for models
        that did not.
    tolerance
        In units of the metric.
    """
    found: list[tuple[int, int]] = []
    ends = np.where(ended > 0, births + ended, np.iinfo(np.int64).max)
    left = ended > 0
    while True:
        groups = []
        for start in np.unique(ends[left]):
            group = left & (ends >= start) & (ends < start + _TOGETHER)
            good = (births < start) & (ends >= start) & (births + ages >= start)
            if group.sum() < max(_FEWEST, _MOST * good.sum()) or np.ptp(births[group]) < 2 * _TOGETHER:
                continue
            known = good & left
            by_date = _spread(ends[known]) <= _spread(ended[known]) / 2
            if by_date and _rose(pairs, births, ends, group, tolerance):
                groups.append(group)
        if not groups:
            return found
        group = max(groups, key=lambda g: int(g.sum()))
        # An end can only follow what caused it, so the early ends date it best; the first alone may be a stray.
        found.append((int(np.quantile(ends[group], 0.25, method="lower")), int(group.sum())))
        left &= ~group


def _spread(values: Ints) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _rose(pairs: Pairs, births: Ints, ends: Ints, group: NDArray[np.bool_], tolerance: float) -> bool:
    first, last = int(ends[group].min()) - _TOGETHER, int(ends[group].max())
    before, after = (_mean_excess(pairs, births, group, since) for since in (first, last))
    if before is None or after is None:
        return False
    # Ageing alone would have carried the excess on in proportion to age.
    middle = _TOGETHER / 2 - float(births[group].mean())
    growth = (last + middle) / max(first + middle, 1.0)
    # All these models are scored on the same rows, so their number adds no certainty: one model's rows do.
    error = float(np.sqrt(before[1] * growth**2 + after[1]))
    return after[0] - max(before[0], 0.0) * growth > max(tolerance, 3 * error)


def _mean_excess(pairs: Pairs, births: Ints, group: NDArray[np.bool_], since: int) -> tuple[float, float] | None:
    """Mean excess of the group's models over the slices from `since`, and the variance of one model's mean."""
    counts = np.zeros(len(pairs.values))
    excess = 0.0
    for model in np.flatnonzero(group):
        ages = slice(max(since - births[model], 1), max(since + _TOGETHER - births[model], 1))
        counts += pairs.counts[model, ages].sum(axis=0)
        excess += (pairs.old - pairs.fresh)[model, ages].sum()
    rows = counts.sum()
    if rows == 0:
        return None
    variance = counts @ (pairs.values - counts @ pairs.values / rows) ** 2 / rows * pairs.unit**2
    return float(excess / rows), float(variance / (rows / group.sum()))
