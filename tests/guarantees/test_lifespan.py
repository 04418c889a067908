"""What `lifespan` promises, measured on histories whose truth is known. `make guarantees` runs these in full.

Each test prints its figure; the suite runs a small version of the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import shelflife
from shelflife import detect
from shelflife.lifespan import Lifespan
from shelflife.testing import histories

pytestmark = pytest.mark.guarantee

OPTIONS: dict[str, Any] = {"time": "ts", "target": "y", "every": "1w", "window": "13w"}


def _each(seeds: int, measure: Callable[[int], Lifespan]) -> list[Lifespan]:
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=-1)(delayed(measure)(seed) for seed in range(seeds)))


def _drifting(seed: int, changed: dict[str, Any], **history: Any) -> Lifespan:
    table = histories.drifting(seed=seed, **history)
    return shelflife.lifespan(table, model=histories.fast_model, jobs=1, **{**OPTIONS, **changed})


@pytest.mark.parametrize(
    ("history", "changed"),
    [
        ({"rows_per_day": 50}, {}),
        ({"rows_per_day": 10}, {}),
        ({"rows_per_day": 20}, {"every": None, "window": None}),
        ({"rows_per_day": 40, "season": 0.2, "noise": 0.05}, {"window": "26w"}),
    ],
    ids=["steady", "few rows", "chosen slices", "harder seasons"],
)
def test_nothing_expires_where_nothing_changes(full: bool, history: dict[str, Any], changed: dict[str, Any]) -> None:
    seeds = 100 if full else 8
    found = _each(seeds, lambda seed: _drifting(seed, changed, **history))
    steady = sum(result.lifespan.verdict == "no expiry seen" for result in found)
    print(f"no expiry seen in {steady} of {seeds} histories without change: {history}")
    assert steady >= 0.95 * seeds


def test_nothing_expires_for_the_default_learner_where_nothing_changes(full: bool) -> None:
    seeds = 20 if full else 1

    def measure(seed: int) -> Lifespan:
        steady = histories.drifting(rows_per_day=30, season=0.15, noise=0.05, seed=seed)
        return shelflife.lifespan(steady, jobs=1, **{**OPTIONS, "every": "4w", "window": "26w", "origins": 12})

    found = _each(seeds, measure)
    steady = sum(result.lifespan.verdict == "no expiry seen" for result in found)
    print(f"no expiry seen in {steady} of {seeds} steady histories with harder seasons, default learner")
    assert steady >= 0.95 * seeds


@pytest.mark.parametrize(("age", "rows_per_day"), [(35, 50), (70, 50), (70, 20), (140, 50)])
def test_the_median_interval_covers_the_age_at_which_models_pass_the_tolerance(
    full: bool, age: int, rows_per_day: int
) -> None:
    seeds = 100 if full else 8

    def measure(seed: int) -> Lifespan:
        table = histories.clockwork(rows_per_day=rows_per_day, seed=seed)
        trainer = histories.ClockworkTrainer(ageing=0.02 / 0.8 / age)
        return shelflife.lifespan(table, model=trainer, jobs=1, **OPTIONS)

    found = [result.lifespan for result in _each(seeds, measure)]
    covered = sum(life.low_days is not None and life.low_days <= age <= (life.high_days or np.inf) for life in found)
    print(f"the interval covers {age} days in {covered} of {seeds}, {rows_per_day} rows a day")
    # In the small version one seed may miss, which nine in ten would still make likely.
    assert covered >= (0.85 * seeds if full else seeds - 1)


def test_ageing_alone_is_not_taken_for_an_event_and_a_regime_change_is(full: bool) -> None:
    seeds = 60 if full else 6
    ageing = _each(seeds, lambda seed: _drifting(seed, {}, ageing=0.02 / 140))
    mistaken = sum(bool(result.events) for result in ageing)
    changed = _each(seeds, lambda seed: _drifting(seed, {}, regime_day=400))
    day = [(result.events[0].at - histories.START).days for result in changed if result.events]
    print(
        f"ageing taken for an event in {mistaken} of {seeds}; a change on day 400 dated"
        f" {sorted(set(day))}, {len(day)} times"
    )
    assert mistaken <= 0.1 * seeds
    assert len(day) >= 0.9 * seeds
    assert sum(abs(d - 400) <= 14 for d in day) >= 0.95 * len(day)


def test_a_regime_change_is_a_column_of_the_decay_map() -> None:
    found = _drifting(0, {}, regime_day=400)
    across = [(c.start - histories.START).days >= 400 for c in found.decay_map]
    before = [(c.born - histories.START).days < 393 for c in found.decay_map]
    excess = np.array([c.excess for c in found.decay_map])
    column = np.array(across) & np.array(before)
    young = np.array([(c.start - histories.START).days < 400 + 91 for c in found.decay_map])
    assert excess[column & ~young].min() > 0.2  # every older model fails after the change
    assert np.abs(excess[~np.array(across)]).max() < 0.05  # and none before it


def _coin(limit: float, rows: int, random: np.random.Generator) -> np.ndarray:
    return (random.random(rows) < limit).astype(int) * 2


def _moody(limit: float, rows: int, random: np.random.Generator) -> np.ndarray:
    """Values whose spread swings with the last value seen, while their conditional mean stays at the limit."""
    values = np.empty(rows, dtype=int)
    last = 1
    for row, draw in enumerate(random.random(rows)):
        wild = last != 1 or row % 50 < 10
        low = (1 - limit) if wild else (1 - limit) * 0.2
        high = limit if wild else limit * 0.2
        last = 0 if draw < low else 2 if draw < low + high else 1
        values[row] = last
    return values


@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("rows", [1, 30, 300])
@pytest.mark.parametrize("draw", [_coin, _moody], ids=["independent", "autocorrelated"])
def test_false_verdicts_keep_their_level_under_optional_stopping(
    full: bool, alpha: float, rows: int, draw: Callable[..., np.ndarray]
) -> None:
    trials, buckets, limit = (2_000 if full else 150), 100, 0.5
    random = np.random.default_rng(rows)
    values = np.array([0.0, 0.5, 1.0])
    false = 0
    for _ in range(trials):
        drawn = draw(limit, rows * buckets, random).reshape(buckets, rows)
        counts = np.stack([(drawn == v).sum(axis=1) for v in range(3)], axis=1).astype(float)
        false += detect.onset_test(counts, values, limit, alpha).detected is not None
    print(f"{false} false verdicts in {trials} trials at level {alpha}")
    # Three standard errors above the level would be chance; the level itself is the promise.
    assert false / trials <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / trials)
