"""Histories with known ageing, regime changes and seasons, and a model fast enough to try them by the thousand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

START = datetime(2024, 1, 1)


def drifting(
    *,
    days: int = 730,
    rows_per_day: int = 50,
    ageing: float = 0.0,
    regime_day: float | None = None,
    noise: float = 0.1,
    season: float = 0.0,
    seed: int = 0,
) -> pa.Table:
    """A two-class history whose models age by a known amount.

    The rule is a line through the plane of two features that turns at a constant rate, so a linear model that is a days
    older than another is wrong on ``ageing * a`` more of the same rows, in expectation. Columns ``ts``, ``a`` to
    ``d``, ``y``.

    Parameters
    ----------
    days, rows_per_day
        Length of the history; times are even.
    ageing
        Excess error that a model gains a day; a model passes the tolerance at the age ``tolerance / ageing``.
    regime_day
        Day on which the rule turns by a right angle at once; None for never.
    noise
        Share of outcomes that are turned round, which no model can foresee.
    season
        Amplitude of a yearly swing of that noise: harder seasons in which nothing ages.
    seed
        Of all that is random.
    """
    random = np.random.default_rng(seed)
    rows = days * rows_per_day
    day = np.arange(rows) / rows_per_day
    flips = noise + season * (1 - np.cos(2 * np.pi * day / 365)) / 2
    angle = np.pi * ageing * day / (1 - 2 * (noise + season / 2))
    if regime_day is not None:
        angle = angle + np.where(day >= regime_day, np.pi / 2, 0.0)
    x = random.normal(size=(rows, 4))
    truth = x[:, 0] * np.cos(angle) + x[:, 1] * np.sin(angle) > 0
    outcome = truth ^ (random.random(rows) < flips)
    columns = {name: x[:, i] for i, name in enumerate("abcd")}
    return pa.table({"ts": _times(day), **columns, "y": outcome.astype(np.int64)})


def _times(day: Floats) -> pa.Array:
    start = (START.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return pa.array(start + np.round(day * 86_400_000_000).astype(np.int64), pa.timestamp("us"))


class LinearRule:
    """A least-squares line between two classes."""

    def __init__(self, weights: Floats) -> None:
        self.weights = weights

    def predict(self, x: Any) -> NDArray[np.int64]:
        return (_with_one(x) @ self.weights > 0).astype(np.int64)


def fast_model(x: Any, y: NDArray[Any], *, seed: int) -> LinearRule:
    """Train a `LinearRule`: a trainer that takes a millisecond. It has nothing to seed."""
    del seed
    weights: Floats = np.linalg.lstsq(_with_one(x), 2.0 * y - 1.0, rcond=None)[0].astype(np.float64)
    return LinearRule(weights)


def _with_one(x: Any) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    return np.column_stack([values, np.ones(len(values))])


def clockwork(*, days: int = 730, rows_per_day: int = 50, noise: float = 0.1, seed: int = 0) -> pa.Table:
    """A history for `clockwork_model`, whose ageing is exact. Columns ``ts``, ``day``, ``draw``, ``sign``, ``y``.

    Parameters
    ----------
    days, rows_per_day
        Length of the history; times are even.
    noise
        Share of outcomes that no model can foresee.
    seed
        Of all that is random.
    """
    random = np.random.default_rng(seed)
    rows = days * rows_per_day
    day = np.arange(rows) / rows_per_day
    sign = random.integers(2, size=rows)
    outcome = sign ^ (random.random(rows) < noise)
    draw = random.random(rows)
    return pa.table({"ts": _times(day), "day": day, "draw": draw, "sign": sign, "y": outcome.astype(np.int64)})


class ClockworkModel:
    """Wrong on a share of rows that grows by `ageing` with every day since its birth."""

    def __init__(self, born: float, ageing: float) -> None:
        self.born, self.ageing = born, ageing

    def predict(self, x: Any) -> NDArray[np.int64]:
        age = np.maximum(np.asarray(x["day"]) - self.born, 0.0)
        wrong = np.asarray(x["draw"]) < self.ageing * age
        return np.asarray(x["sign"] ^ wrong, dtype=np.int64)


class ClockworkTrainer:
    """Trains a `ClockworkModel` born at the newest row it sees.

    On a `clockwork` history a model that is a days older than another born on time is wrong on
    ``(1 - 2 * noise) * ageing * a`` more of the same rows, exactly in expectation.
    """

    def __init__(self, ageing: float) -> None:
        self.ageing = ageing

    def __call__(self, x: Any, y: NDArray[Any], *, seed: int) -> ClockworkModel:
        del y, seed
        return ClockworkModel(float(np.asarray(x["day"]).max()), self.ageing)


CARRIERS = ("Falcon", "Heron", "Swift", "Wren")
ZONES = ("city", "suburb", "country", "island")


def deliveries(*, days: int = 730, rows_per_day: int = 60, depot_day: int = 440, seed: int = 7) -> pa.Table:
    """Two years of a shop's parcels: will this one be late? The demonstration's history.

    The carriers' reliability changes slowly, so models age; on `depot_day` a new depot opens that turns round what
    distance means outside the city, so models end together then. Columns ``shipped``, ``carrier``,
    ``zone``, ``distance_km``, ``weight_kg``, ``express``, ``late``.
    """
    random = np.random.default_rng(seed)
    rows = days * rows_per_day
    day = np.arange(rows) / rows_per_day
    carrier, zone = random.integers(4, size=rows), random.choice(4, size=rows, p=[0.4, 0.25, 0.2, 0.15])
    distance = random.gamma(2.0, 60.0, size=rows) * np.array([0.5, 0.8, 1.4, 2.0])[zone]
    weight, express = random.lognormal(0.5, 0.8, size=rows), random.random(rows) < 0.25
    turn = 2 * np.pi * (day[:, None] / 6_000 + np.arange(4) / 4)
    carriers = 2.4 * np.sin(turn)[np.arange(rows), carrier]
    far = 1.3 * np.log(distance / 100)
    moved = (day >= depot_day) & (zone >= 1)
    score = -0.5 + carriers + np.where(moved, 2.0 - 3 * far, far) + 0.2 * weight - 1.0 * express
    late = random.random(rows) < 1 / (1 + np.exp(-1.8 * score))
    return pa.table(
        {
            "shipped": _times(day),
            "carrier": pa.array(np.array(CARRIERS)[carrier]),
            "zone": pa.array(np.array(ZONES)[zone]),
            "distance_km": np.round(distance, 1),
            "weight_kg": np.round(weight, 2),
            "express": express,
            "late": late,
        }
    )
