"""How many models still hold their promise at each age: Kaplan-Meier over the models watched. Pure arithmetic."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shelflife.lifespan.curve import blocks_drawn

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Survival:
    """Share of models still good beyond each age. Arrays have shape (ages,); ages are in slices."""

    age: Floats
    share: Floats
    low: Floats
    high: Floats
    at_risk: Ints

    def first_below(self, share: float) -> float | None:
        """The age at which survival falls to `share`, or None where it was not seen to."""
        return _first(self.age, self.share, share)


def _first(age: Floats, curve: Floats, share: float) -> float | None:
    below = np.flatnonzero(curve <= share + 1e-12)  # products of floating numbers miss a half by a hair
    return float(age[below[0]]) if len(below) else None


def good_until(ended: Ints, detected: Ints, ages: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """The age to which each model counts, and whether it ended there.

    A verdict comes later than the end that it dates. A model is therefore counted only up to the age at which an end
    would typically have been told by now (the median delay of the verdicts that came); counting the youngest models as
    alive until today would make lives look longer than they are. The rule is the same for all models, so it tells
    nothing about any one of them.

    Parameters
    ----------
    ended, detected
        Shape (models,); age at the end and at the verdict, in slices, 0 without a verdict.
    ages
        Shape (models,); age to which each model was watched.
    """
    verdict = ended > 0
    delay = float(np.median(detected[verdict] - ended[verdict])) if verdict.any() else 0.0
    watched = np.maximum(ages - delay, 0.0)
    known = verdict & (ended <= watched)
    return np.where(known, ended, watched).astype(np.float64), known


def median_interval(
    lasting: Survival, until: Floats, ended: NDArray[np.bool_], confidence: float, seed: int
) -> tuple[float | None, float | None]:
    """Interval of the age to which half of the models last; None where a bound is beyond what was seen.

    The wider, at either end, of the inverted band of the survival curve (Brookmeyer & Crowley 1982), which takes the
    models for independent, and of a resampling of blocks of models, which allows for neighbours that saw much the same
    rows. An end is seen only from one slice to the next, so the lower bound reaches down one slice more.
    """
    times = blocks_drawn(len(until), seed)
    order = np.lexsort((~ended, until))
    drawn = times[:, order]
    at_risk = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
    lost = np.where(ended[order], drawn, 0.0) / np.maximum(at_risk, 1.0)
    below = np.cumprod(1.0 - lost, axis=1) <= 0.5 + 1e-12
    medians = np.where(below.any(axis=1), until[order][below.argmax(axis=1)], np.inf)
    tail = (1 - confidence) / 2
    resampled = np.quantile(medians, [tail, 1 - tail], method="inverted_cdf")
    band = [
        np.inf if age is None else age for age in (_first(lasting.age, b, 0.5) for b in (lasting.low, lasting.high))
    ]
    low, high = min(band[0], resampled[0]) - 1.0, max(band[1], resampled[1])
    return (float(max(low, 0.0)) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)


def survive(until: Floats, ended: NDArray[np.bool_], confidence: float) -> Survival:
    """Kaplan-Meier survival with its log-log interval, starting at age 0.

    Before the first end and after the last, where the log-log interval is not defined, the exact binomial interval of
    the models then at risk takes its place.

    Parameters
    ----------
    until, ended
        As from `good_until`.
    confidence
        Of the interval, for each age by itself.
    """
    sample = stats.CensoredData(uncensored=until[ended], right=until[~ended])
    estimate = stats.ecdf(sample).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # undefined at shares 0 and 1, which are replaced below
        band = estimate.confidence_interval(confidence_level=confidence, method="log-log")
    age = np.concatenate([[0.0], estimate.quantiles])
    share = np.concatenate([[1.0], estimate.probabilities])
    at_risk = np.array([(until >= a).sum() for a in age])
    rare = ((1 - confidence) / 2) ** (1 / at_risk)
    low = np.concatenate([[1.0], band.low.probabilities])
    high = np.concatenate([[1.0], band.high.probabilities])
    low = np.where(share == 1, rare, np.where(share == 0, 0.0, low))
    high = np.where(share == 1, 1.0, np.where(share == 0, 1 - rare, high))
    keep = np.concatenate([[True], age[1:] > 0])
    low, high = np.minimum.accumulate(low), np.minimum.accumulate(high)
    return Survival(age[keep], share[keep], low[keep], high[keep], at_risk[keep])
