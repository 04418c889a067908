"""Rivals that learn nothing: the commonest or mean outcome, the last known one, and last season's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife import durations
from shelflife.lifespan.grid import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SEASONS = (
    ("same time a day before", durations.DAY),
    ("same time a week before", durations.WEEK),
    ("same time a year before", durations.YEAR),
)


@dataclass(frozen=True)
class Rival:
    """A baseline's mean loss on the rows that fresh models were scored on."""

    name: str
    loss: float


def rivals(times: Ints, outcomes: Floats, grid: Grid, delay: int, metric: str) -> list[Rival]:
    """Every baseline that the history allows, the best first.

    Parameters
    ----------
    times, outcomes
        Shape (rows,); in order of time. Outcomes are numbers, or codes of classes.
    grid
        The slices.
    delay
        How long an outcome takes to be known, in microseconds: nothing younger is used.
    metric
        How a prediction is scored.
    """
    usable = np.flatnonzero(grid.usable)
    rows = np.concatenate([np.arange(*grid.scoring[s]) for s in usable])
    sizes = np.diff(grid.scoring[usable], axis=1)[:, 0]
    classes = metric in {"error", "brier"}
    simple = np.repeat([_typical(outcomes[slice(*grid.training[s])], classes) for s in usable], sizes)
    moments = times[rows]
    found = {"majority class" if classes else "mean": simple}
    found["last known outcome"] = _earlier(times, outcomes, moments - delay, simple, inclusive=False)
    spacing = float(np.median(np.diff(np.unique(times))))
    for name, season in _SEASONS:
        if delay <= season and spacing < season and 2 * season <= times[-1] - times[0]:
            found[name] = _earlier(times, outcomes, moments - season, simple, inclusive=True)
    truth = outcomes[rows]
    scored = [Rival(name, _loss(predicted, truth, metric)) for name, predicted in found.items()]
    return sorted(scored, key=lambda rival: rival.loss)


def _typical(known: Floats, classes: bool) -> float:
    if not classes:
        return float(known.mean())
    values, counts = np.unique(known, return_counts=True)
    return float(values[counts.argmax()])


def _earlier(times: Ints, outcomes: Floats, until: Ints, otherwise: Floats, *, inclusive: bool) -> Floats:
    """The last outcome at or before (or strictly before) each moment, else `otherwise`."""
    place = np.searchsorted(times, until, side="right" if inclusive else "left") - 1
    return np.where(place >= 0, outcomes[np.maximum(place, 0)], otherwise)


def _loss(predicted: Floats, truth: Floats, metric: str) -> float:
    if metric in {"error", "brier"}:  # the Brier score of a prediction without doubt is its error
        return float((predicted != truth).mean())
    off = np.abs(predicted - truth)
    return float((off if metric == "absolute_error" else off**2).mean())
