"""The decay curve: mean excess by age, with a band from resampling blocks of models. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife.lifespan.pairs import Pairs

Floats = NDArray[np.float64]

_RESAMPLES = 2_000
LEAST_MODELS = 3


@dataclass(frozen=True)
class Curve:
    """Per age, in slices: how many models were seen at it, their mean loss, the fresh models' on the same rows, the
    band.

    All arrays have shape (ages,); `age` says which ages they are, since ages seen of fewer than three models are left
    out.
    """

    age: NDArray[np.int64]
    models: NDArray[np.int64]
    rows: Floats
    loss: Floats
    fresh: Floats
    low: Floats
    high: Floats

    @property
    def excess(self) -> Floats:
        """Mean excess loss a row."""
        return self.loss - self.fresh


def decay(pairs: Pairs, confidence: float, seed: int) -> Curve:
    """The decay curve of all models watched.

    The band is the percentile interval of a circular block bootstrap over models in order of birth (Politis & Romano
    1992): neighbours were trained and scored on much the same rows, so they are drawn together.

    Parameters
    ----------
    pairs
        Paired sums by model and age, models in order of birth.
    confidence
        Of the band, for each age by itself.
    seed
        Of the resampling.
    """
    seen = (pairs.rows > 0).sum(axis=0)
    age = np.flatnonzero(seen >= LEAST_MODELS)
    rows, old, fresh = (sums[:, age] for sums in (pairs.rows, pairs.old, pairs.fresh))
    times = blocks_drawn(len(rows), seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (times @ (old - fresh)) / (times @ rows)
        low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    total = rows.sum(axis=0)
    return Curve(age, seen[age], total, old.sum(axis=0) / total, fresh.sum(axis=0) / total, low, high)


def blocks_drawn(models: int, seed: int) -> Floats:
    """How often each model is drawn in each resample of blocks of neighbours, shape (resamples, models)."""
    length = max(1, round(models**0.5))
    blocks = -(-models // length)
    starts = np.random.default_rng(seed).integers(models, size=(_RESAMPLES, blocks, 1))
    members = (starts + np.arange(length)) % models
    members = members.reshape(_RESAMPLES, -1)[:, :models]
    times = np.zeros((_RESAMPLES, models))
    np.add.at(times, (np.arange(_RESAMPLES)[:, None], members), 1.0)
    return times
