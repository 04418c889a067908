"""Streams against their limits, bucket by bucket: what the reference promises, and when alarms ring."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife.check import seasons
from shelflife.check.streams import Graded, Streams, build
from shelflife.detect import limits as promising
from shelflife.detect.betting import BETS
from shelflife.detect.detector import Alarm, Detector, Seen, bets_of, share_logs
from shelflife.detect.limits import Limits
from shelflife.profile.counts import Profile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Promise:
    """What a reference promises of every stream, in every phase of its season.

    Attributes
    ----------
    reference
        What it was made from.
    streams
        What is watched.
    limits
        Of all streams, the shares first.
    season
        None, day, week or year.
    """

    reference: Profile
    streams: Streams
    limits: Limits
    season: str

    @classmethod
    def of(cls, reference: Profile, *, tolerance: float, season: str = "none", own: bool = True,
           integrity: float | None = None) -> Promise:  # fmt: skip
        """The promise that a reference's buckets give.

        Parameters
        ----------
        reference
            Counts of what was good.
        tolerance
            How far a share may move.
        season
            None, day, week or year.
        own
            Whether these are the rows that the cells were learnt from, to which none of their values can be new.
        integrity
            How far the share of what is missing, infinite or empty may move; by default a fifth of the tolerance.
        """
        streams = build(reference, tolerance, integrity)
        whole = reference.whole()
        phase, count = seasons.phases(whole.buckets, season, reference.layout.bucket)
        hits, rows = streams.observe(whole, reference=True)
        size = streams.shares
        total = len(streams.streams)
        parts = [
            promising.limits(hits, rows, tolerance=streams.tolerance[:size], phases=phase, count=count, streams=total,
                             novelty=streams.novelty if own else None)
        ]  # fmt: skip
        for place, graded in enumerate(streams.graded):
            found = reference.chosen(reference.segments == graded.stream.segment)
            phase, count = seasons.phases(found.buckets, season, reference.layout.bucket)
            counts = found.counts[:, graded.reference_cells].astype(np.float64)
            hits, rows = counts @ graded.reference_values, counts.sum(axis=1)
            mean = hits.sum() / max(rows.sum(), 1.0)
            squares = (counts @ graded.reference_values**2).sum() / max(rows.sum(), 1.0)
            parts.append(
                promising.limits(hits[:, None], rows[:, None], tolerance=streams.tolerance[size + place], phases=phase,
                                 count=count, streams=total, variance=np.array([max(squares - mean**2, 0.0)]))
            )  # fmt: skip
        limits = promising.together(parts)
        # A promise that cannot be broken takes no share of the budget.
        weights = np.where((limits.upper < _MOST).any(axis=0), streams.weights, 0.0)
        return cls(reference, dataclasses.replace(streams, weights=weights), limits, season)

    def detector(self, threshold: float) -> Detector:
        """A detector of all streams before the first bucket."""
        return Detector.start(self.streams.weights, threshold)

    def see(self, current: Profile, *, since: int | None = None, later: int = 0) -> Iterator[Seen]:
        """What each bucket of `current` says, in order of time.

        Parameters
        ----------
        since
            What came late, of buckets before this one, is evidence of this one: each row is held against what is
            promised at its own time, and all that come together count as one bucket.
        later
            How long after its bucket, in microseconds, each row is evidence.
        """
        streams, size = self.streams, self.streams.shares
        whole = current.whole()
        arrived = arrivals(whole.buckets, since, later)
        phase, _ = seasons.phases(whole.buckets, self.season, current.layout.bucket)
        hits, rows = streams.observe(whole)
        graded = [_Course.of(one, current, whole.buckets) for one in streams.graded]
        logs: dict[int, tuple[Floats, Floats, Floats]] = {}
        count = np.concatenate([rows, *(one.rows[:, None] for one in graded)], axis=1)
        _, turn = np.unique(arrived, return_inverse=True)
        together = np.zeros_like(count)
        np.add.at(together, turn, count)
        parts: list[Seen] = []
        for bucket in range(len(turn)):
            now = int(phase[bucket])
            limit = self.limits.upper[now]
            held = np.minimum(limit, _MOST)
            if now not in logs:
                logs[now] = (*share_logs(held[:size]), bets_of(held))
            rising, falling, bets = logs[now]
            seen_hits = np.concatenate([hits[bucket], [one.hits[bucket] for one in graded]])
            log_e = np.zeros((len(limit), BETS))
            log_e[:size] = hits[bucket][:, None] * rising + (rows[bucket] - hits[bucket])[:, None] * falling
            for place, one in enumerate(graded, start=size):
                log_e[place] = one.log_e(bucket, float(held[place]))
            log_e *= self.limits.effective(together[turn[bucket]], bets, now)
            log_e[limit >= _MOST] = 0.0
            parts.append(Seen(log_e, count[bucket], seen_hits, limit))
            if bucket + 1 == len(turn) or turn[bucket + 1] > turn[bucket]:
                yield _at_once(parts)
                parts = []


def arrivals(buckets: Ints, since: int | None, later: int = 0) -> Ints:
    """The buckets in which rows of some buckets are evidence: `later`, and not before `since`."""
    return buckets + later if since is None else np.maximum(buckets + later, since)


def _at_once(parts: list[Seen]) -> Seen:
    """Several buckets as one: evidence adds, and the limit is that of the rows in the mean."""
    if len(parts) == 1:
        return parts[0]
    log_e, rows, hits = (np.sum([getattr(one, name) for one in parts], axis=0) for name in ("log_e", "rows", "hits"))
    allowed = np.sum([one.rows * one.limit for one in parts], axis=0)
    limit = np.divide(allowed, rows, out=parts[-1].limit.copy(), where=rows > 0)
    return Seen(log_e, rows, hits, limit)


# A promise this close to everything cannot be broken.
_MOST = 1.0 - 1e-9


@dataclass(frozen=True)
class _Course:
    """A graded stream over the buckets: counts of its values."""

    counts: Floats
    values: Floats
    hits: Floats
    rows: Floats

    @classmethod
    def of(cls, graded: Graded, current: Profile, buckets: Ints) -> _Course:
        found = current.chosen(current.segments == graded.stream.segment)
        counts = np.zeros((len(buckets), len(graded.cells)))
        counts[np.searchsorted(buckets, found.buckets)] = found.counts[:, graded.cells]
        values, of = np.unique(graded.values, return_inverse=True)
        gathered = np.zeros((len(buckets), len(values)))
        np.add.at(gathered.T, of, counts.T)
        return cls(gathered, values, gathered @ values, gathered.sum(axis=1))

    def log_e(self, bucket: int, limit: float) -> Floats:
        used = np.flatnonzero(self.counts[bucket])
        bets = bets_of(np.array([limit]))[0]
        found: Floats = self.counts[bucket, used] @ np.log1p(np.outer(self.values[used] - limit, bets))
        return found


@dataclass(frozen=True)
class Watched:
    """The course of a check: alarms, evidence, and what was seen.

    Attributes
    ----------
    alarms
        In order of time.
    log_evidence
        Shape (buckets,); evidence of all streams after each bucket, before an alarm used it up.
    hits, rows, limit
        Shape (buckets, streams).
    state
        The detector after the last bucket.
    """

    alarms: tuple[Alarm, ...]
    log_evidence: Floats
    hits: Floats
    rows: Floats
    limit: Floats
    state: Detector


def watch(promise: Promise, current: Profile, state: Detector) -> Watched:
    """Run the detector over the buckets of `current`, from `state` on.

    Alarms count buckets from the first of `current`; what began before it is dated to it.
    """
    alarms, evidence = [], []
    seen = []
    first = state.buckets
    for bucket in promise.see(current):
        state, rung = state.step(bucket)
        # A detector counts all the buckets it ever saw; here they are counted from the first of `current`.
        alarms += [
            dataclasses.replace(one, bucket=one.bucket - first, onset=np.maximum(one.onset - first, 0)) for one in rung
        ]
        evidence.append(state.log_mixture)
        seen.append(bucket)
    size = len(promise.streams.streams)
    hits, rows, limit = (
        np.array([getattr(bucket, name) for bucket in seen]).reshape(-1, size) for name in ("hits", "rows", "limit")
    )
    return Watched(tuple(alarms), np.array(evidence), hits, rows, limit, state)


def audit(
    reference: Profile, current: Profile, *, tolerance: float, season: str, threshold: float, shuffles: int
) -> tuple[int, int]:
    """Alarms on the user's own buckets in random order, and over how many buckets.

    The buckets of both sides are thrown together and dealt out anew within each phase of the season, so that nothing
    can have changed between them: what rings is false.
    """
    both = reference + current
    whole = both.whole().buckets
    size = min(max(2, len(reference.whole().buckets)), len(whole) - 1)
    phase, _ = seasons.phases(whole, season, both.layout.bucket)
    rng = np.random.default_rng(0)
    alarms = buckets = 0
    for _ in range(shuffles):
        dealt = whole.copy()
        for one in np.unique(phase):
            own = np.flatnonzero(phase == one)
            dealt[own] = whole[rng.permutation(own)]
        moved = both.moved(whole, dealt)
        start = whole[size]
        first, rest = moved.between(int(whole[0]), int(start)), moved.between(int(start), int(whole[-1]) + 1)
        promise = Promise.of(first, tolerance=tolerance, season=season, own=False)
        found = watch(promise, rest, promise.detector(threshold))
        alarms += len(found.alarms)
        buckets += len(found.log_evidence)
    return alarms, buckets
