"""Change detection over all streams of a system at once, with a stated budget of false alarms.

The Shiryaev-Roberts e-detector ``S <- (S + 1) e`` of each stream and bet, mixed with weights that sum to 1, grows by at
most 1 a bucket in expectation while the promises hold, whatever the dependence between streams (Shin, Ramdas & Rinaldo
2022). An alarm uses up evidence of at least `threshold`, so there is at most one false alarm in so many buckets.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife.detect.betting import BETS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """What one bucket says about every stream.

    Attributes
    ----------
    log_e
        Shape (streams, BETS); logarithm of the e-value of each stream and bet; 0 where it says nothing.
    rows, hits
        Shape (streams,); rows, and the sum of their values.
    limit
        Shape (streams,); the promise in this bucket.
    """

    log_e: Floats
    rows: Floats
    hits: Floats
    limit: Floats


@dataclass(frozen=True)
class Alarm:
    """One alarm: the streams that carry the evidence, most first.

    Attributes
    ----------
    bucket
        The bucket whose rows completed the evidence, counted from 0.
    streams
        Shape (named,); of the smallest set of streams whose evidence reaches the threshold, those that would reach it
        alone, and in any case the first.
    onset
        Shape (named,); the bucket from which each one's excess over its limit accumulated.
    log_evidence
        Shape (named,); natural logarithm of each one's own evidence.
    rows, hits
        Shape (named,); rows since the onset and the sum of their values.
    """

    bucket: int
    streams: Ints
    onset: Ints
    log_evidence: Floats
    rows: Floats
    hits: Floats


@dataclass(frozen=True)
class Detector:
    """The state of change detection after some buckets; a step returns the next state.

    Attributes
    ----------
    log_weights
        Shape (streams,); logarithms of weights that sum to at most 1.
    threshold
        Evidence that an alarm uses up: the mean number of buckets between false alarms is at least this.
    log_s
        Shape (streams, BETS); logarithm of the evidence of each stream and bet.
    excess, onset, rows, hits
        Shape (streams,); Page's cumulative excess over the limit, the bucket after it was last zero, and the rows and
        the sum of values since then.
    buckets
        How many buckets were seen.

    Examples
    --------
    >>> from shelflife.detect.betting import log_e
    >>> detector = Detector.start(np.array([1.0]), threshold=100.0)
    >>> def bucket(wrong):
    ...     counts = np.array([[100.0 - wrong, wrong]])
    ...     found = log_e(counts, np.array([0.0, 1.0]), 0.2)
    ...     return Seen(found, np.array([100.0]), np.array([wrong]), np.array([0.2]))
    >>> alarms = []
    >>> for wrong in [10.0] * 20 + [40.0] * 5:
    ...     detector, rung = detector.step(bucket(wrong))
    ...     alarms += rung
    >>> alarms[0].bucket, alarms[0].onset.tolist()
    (20, [20])
    """

    log_weights: Floats
    threshold: float
    log_s: Floats
    excess: Floats
    onset: Ints
    rows: Floats
    hits: Floats
    buckets: int
    log_mixture: float = -np.inf

    @classmethod
    def start(cls, weights: Floats, threshold: float) -> Detector:
        """The state before the first bucket; `weights` of shape (streams,) are made to sum to 1."""
        size = len(weights)
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights / weights.sum()) if size else np.zeros(0)
        zero = np.zeros(size)
        none = np.full((size, BETS), -np.inf)
        return cls(log_weights, threshold, none, zero, np.zeros(size, dtype=np.int64), zero, zero, 0)

    def step(self, seen: Seen) -> tuple[Detector, list[Alarm]]:
        """The state after one more bucket, and the alarms that it rings.

        `log_mixture` of the new state is the evidence of all streams before any alarm used it up.
        """
        log_s = np.maximum(self.log_s, 0.0) + seen.log_e
        excess = self.excess + seen.hits - seen.rows * seen.limit
        going = excess > 0
        began = (self.excess <= 0) & going
        onset = np.where(began, self.buckets, np.where(going, self.onset, self.buckets + 1))
        rows = np.where(began, seen.rows, np.where(going, self.rows + seen.rows, 0.0))
        hits = np.where(began, seen.hits, np.where(going, self.hits + seen.hits, 0.0))
        excess = np.maximum(excess, 0.0)
        own = _log_mean(log_s)
        mass = own + self.log_weights
        mixture = float(np.logaddexp.reduce(mass)) if len(mass) else -np.inf
        needed = np.log(self.threshold)
        alarms, rest = [], mixture
        while rest >= needed:
            order = np.argsort(-mass, kind="stable")
            reached = np.logaddexp.accumulate(mass[order])
            # Rounding may leave the last sum a hair short of the whole.
            named = order[: min(int(np.searchsorted(reached, needed)) + 1, len(order))]
            named = named[np.isfinite(mass[named])]
            if len(named) == 0:
                break
            log_s[named] = -np.inf
            mass[named] = -np.inf
            # What little the others hold fills the measure up; the alarm is not theirs.
            named = named[(own[named] >= needed) | (np.arange(len(named)) == 0)]
            alarms.append(Alarm(self.buckets, named, np.minimum(onset[named], self.buckets), own[named],
                                rows[named], hits[named]))  # fmt: skip
            # They start afresh, so that what comes later is dated by itself.
            excess[named], onset[named], rows[named], hits[named] = 0.0, self.buckets + 1, 0.0, 0.0
            rest = float(np.logaddexp.reduce(mass))
        state = Detector(self.log_weights, self.threshold, log_s, excess, onset, rows, hits, self.buckets + 1, mixture)
        return state, alarms

    def to_bytes(self) -> bytes:
        """The state, to go on from later."""
        out = io.BytesIO()
        np.savez_compressed(out, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        return out.getvalue()

    @classmethod
    def from_bytes(cls, written: bytes) -> Detector:
        """The state that `to_bytes` wrote."""
        with np.load(io.BytesIO(written), allow_pickle=False) as found:
            kept = {name: found[name] for name in cls.__dataclass_fields__}
        scalars = {"threshold": float, "buckets": int, "log_mixture": float}
        return cls(**{name: scalars[name](value) if name in scalars else value for name, value in kept.items()})


def share_logs(limit: Floats) -> tuple[Floats, Floats]:
    """What a hit and a miss add to the evidence of each bet, each of shape (streams, BETS)."""
    grid = bets_of(limit)
    return np.log1p(grid * (1.0 - limit[:, None])), np.log1p(-grid * limit[:, None])


def bets_of(limit: Floats) -> Floats:
    """The geometric grid of bets against each limit, shape (streams, BETS): that of `betting.bets`, for many."""
    steps = np.linspace(0.0, 1.0, BETS)
    found: Floats = 0.01 * (90.0 / limit[:, None]) ** steps
    return found


def _log_mean(log_s: Floats) -> Floats:
    """Logarithm of the mean over bets, shape (streams,)."""
    top = log_s.max(axis=1, initial=-np.inf)
    finite = np.isfinite(top)
    safe = np.where(finite, top, 0.0)
    with np.errstate(divide="ignore"):
        found: Floats = safe + np.log(np.exp(log_s - safe[:, None]).mean(axis=1))
    return np.where(finite, found, -np.inf)
