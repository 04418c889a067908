"""What a retraining cadence leaves of excess loss, and costs. Pure arithmetic on the decay curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = (1, 2, 3, 4, 6, 8, 13, 26, 39, 52, 78, 104, 156, 208, 260, 520)
_YEAR = 365.25


@dataclass(frozen=True)
class Costs:
    """What errors and renewals cost, and how many rows a day are predicted. An error is one unit of loss."""

    per_error: float
    per_renewal: float
    rows_per_day: float


@dataclass(frozen=True)
class Renewing:
    """Retraining every `slices` slices."""

    slices: int
    expected_excess: float
    renewals_per_year: float
    cost_per_year: float | None


def compare(
    age: NDArray[np.int64], excess: NDArray[np.float64], every_days: float, costs: Costs | None
) -> list[Renewing]:
    """Each cadence that the curve reaches, from every slice to the longest age seen.

    A model renewed every k slices serves at the ages 0 to k - 1, each for as long; its expected excess is their mean.

    Parameters
    ----------
    age, excess
        Shape (ages,); the decay curve, ages in slices.
    every_days
        Length of a slice.
    costs
        None where they were not given.
    """
    # Ages that were not seen (a gap in the history) take the value between their neighbours.
    whole = np.interp(np.arange(age[-1] + 1), age, excess)
    longest = len(whole)
    found = []
    for slices in [*(s for s in _STEPS if s < longest), longest]:
        expected = float(whole[:slices].mean())
        renewals = _YEAR / (slices * every_days)
        cost = None
        if costs is not None:
            cost = costs.per_error * expected * costs.rows_per_day * _YEAR + costs.per_renewal * renewals
        found.append(Renewing(slices, expected, renewals, cost))
    return found


def cheapest(cadences: list[Renewing]) -> Renewing | None:
    """The cadence that costs least, the rarest of equals; None where costs are not known."""
    priced = [(c.cost_per_year, -c.slices, c) for c in cadences if c.cost_per_year is not None]
    return min(priced, key=lambda entry: entry[:2])[2] if priced else None
