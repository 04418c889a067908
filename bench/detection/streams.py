"""Streams whose changes are known: the same seeded daily buckets for every tool, from NumPy alone.

A history is a reference and a current part that goes on where the reference ends. All branches of one history share
their random draws, so a branch with a change differs from the one without only by the change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REFERENCE = 60  # buckets of the reference
CHANGE = 40  # the first bucket of the current part that is changed
HORIZON = 40  # buckets from the change on: what has not alarmed by then has missed it
QUIET = 120  # buckets of a current part without change
RAMP = 40  # buckets a slow ramp takes to its end
START = np.datetime64("2024-01-01")

NUMERIC = ("n0", "n1", "n2", "n3", "n4", "n5")
CATEGORIES = {
    "c0": np.array([0.6, 0.4]),
    "c1": np.array([0.4, 0.3, 0.2, 0.1]),
    "c2": np.array([0.3, 0.25, 0.2, 0.12, 0.08, 0.05]),
    "c3": (1 / np.arange(1, 21)) / (1 / np.arange(1, 21)).sum(),
}
UNSEEN = "unseen"
COLUMNS = (*NUMERIC, *CATEGORIES)
BACKGROUNDS = ("independent", "overdispersed", "weekly")

# In standard deviations, as a factor of the standard deviation, and in shares of rows.
SIZES = {
    "mean": {"small": 0.1, "medium": 0.25, "large": 0.5},
    "variance": {"small": 1.1, "medium": 1.25, "large": 1.6},
    "category": {"small": 0.01, "medium": 0.03, "large": 0.1},
    "mix": {"small": 0.04, "medium": 0.1, "large": 0.2},
    "concept": {"small": 0.04, "medium": 0.1, "large": 0.25},
    "ramp": {"small": 0.2, "medium": 0.5, "large": 1.0},  # at its end: half of it is the mean's size
}
SPREADS = ("one", "many")

Table = dict[str, np.ndarray]

_WEIGHTS = np.array([1.0, -0.7, 0.5, 0.4, -0.3, 0.2])  # of the numeric columns, on the scale of log odds
_SLOPE = 1.0  # of the categories: their effects run evenly from -_SLOPE/2 to _SLOPE/2


@dataclass(frozen=True)
class Change:
    """What changes at bucket `CHANGE`: kind, on one column or many, and how much."""

    kind: str
    spread: str
    size: str

    @property
    def amount(self) -> float:
        """The size as a number of the kind's own unit."""
        return SIZES[self.kind][self.size]


@dataclass(frozen=True)
class History:
    """One seeded history. `background` is what no-change means in it.

    independent: every row alike. overdispersed: each bucket has effects of its own, as real days have, in the
    reference too. weekly: weekends differ from weekdays, in the reference too.
    """

    seed: int
    rows: int
    background: str = "independent"

    def reference(self) -> Table:
        """All the rows before the current part."""
        return self._buckets(range(REFERENCE), None)

    def before(self) -> Table:
        """The current part up to the change."""
        return self._buckets(range(REFERENCE, REFERENCE + CHANGE), None)

    def after(self, change: Change | None) -> Table:
        """The current part from the change on; longer where there is none, since quiet buckets are what is counted."""
        last = CHANGE + HORIZON if change else QUIET
        return self._buckets(range(REFERENCE + CHANGE, REFERENCE + last), change)

    def _buckets(self, days: range, change: Change | None) -> Table:
        tables = [self._bucket(day, change) for day in days]
        return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}

    def _bucket(self, day: int, change: Change | None) -> Table:
        draws = np.random.default_rng([self.seed, self.rows, BACKGROUNDS.index(self.background), day])
        shift, tilt, odds = self._effects(day, draws)
        latent = draws.normal(size=(len(NUMERIC), self.rows)) + shift[:, None]
        picks, news = draws.random((2, len(CATEGORIES), self.rows))
        outcomes, flips = draws.random((2, self.rows))

        if change and change.kind in {"mean", "ramp"}:
            reached = 1 if change.kind == "mean" else min(1, (day - REFERENCE - CHANGE + 1) / RAMP)
            latent[: _hit(change)] += change.amount * reached
        if change and change.kind == "variance":
            latent[: _hit(change)] *= change.amount

        log_odds = _WEIGHTS @ latent
        table: Table = {"ts": np.full(self.rows, START + day, dtype="datetime64[s]")}
        table.update(zip(NUMERIC, _observed(latent), strict=True))
        for place, (name, shares) in enumerate(CATEGORIES.items()):
            hit = change is not None and (change.spread == "many" or name == "c1")
            now = _tilted(shares, tilt[place])
            if hit and change.kind == "mix":
                moved = min(change.amount, now[0] - 0.02)
                now = now + np.array([-moved, moved, *np.zeros(len(now) - 2)])
            codes = np.minimum(np.searchsorted(np.cumsum(now), picks[place]), len(now) - 1)
            values = np.array([f"{name}-{code}" for code in range(len(now))] + [UNSEEN], dtype=object)
            effects = np.append(np.linspace(-_SLOPE / 2, _SLOPE / 2, len(now)), 0.0)
            if hit and change.kind == "category":
                codes = np.where(news[place] < change.amount, len(now), codes)
            table[name] = values[codes]
            log_odds = log_odds + effects[codes]

        # The model is the truth of the reference: its scores are calibrated, as estimates of performance assume.
        table["score"] = 1 / (1 + np.exp(-log_odds))
        table["prediction"] = (table["score"] >= 0.5).astype(np.int64)
        outcome = outcomes < 1 / (1 + np.exp(-(log_odds + odds)))
        if change and change.kind == "concept":  # the outcome is turned round, on half of the rows or on all
            where = latent[0] > 0 if change.spread == "one" else True
            outcome = outcome ^ (where & (flips < change.amount))
        table["outcome"] = outcome.astype(np.int64)
        return table

    def _effects(self, day: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
        """The bucket's own effects: shifts of the numeric columns, tilts of the categories, log odds of the outcome."""
        columns, categories = len(NUMERIC), len(CATEGORIES)
        if self.background == "overdispersed":
            return 0.1 * draws.normal(size=columns), 0.2 * draws.normal(size=categories), 0.2 * draws.normal()
        if self.background == "weekly" and day % 7 >= 5:
            return np.full(columns, 0.3), np.full(categories, 0.5), 0.3
        return np.zeros(columns), np.zeros(categories), 0.0


def _hit(change: Change) -> int:
    return 1 if change.spread == "one" else len(NUMERIC)


def _tilted(shares: np.ndarray, tilt: float) -> np.ndarray:
    tilted = shares * np.exp(tilt * np.linspace(-1, 1, len(shares)))
    return tilted / tilted.sum()


def _observed(latent: np.ndarray) -> list[np.ndarray]:
    """Columns of six shapes: normal twice, skewed, bounded, heavy-tailed, counts."""
    return [
        50 + 10 * latent[0],
        latent[1],
        np.exp(0.6 * latent[2]),
        1 / (1 + np.exp(-1.7 * latent[3])),
        np.sinh(latent[4]),
        np.maximum(0, np.round(5 + 2 * latent[5])),
    ]


def joined(*tables: Table) -> Table:
    """Tables one after the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
