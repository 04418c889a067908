"""What a plan promises of a reference: its limits in place of what the reference alone would allow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from shelflife.check.watching import Promise, arrivals
from shelflife.detect.betting import BETS
from shelflife.detect.detector import Detector, Seen, share_logs
from shelflife.plan import Plan
from shelflife.profile.counts import Profile, merged
from shelflife.profile.residual import Residual

Floats = NDArray[np.float64]

_MICROSECOND = timedelta(microseconds=1)
# Of rows whose outcome is known; all others are of rows as they were predicted.
_OF_OUTCOMES = {"SL301", "SL303"}
_ERRORS = {"mae", "rmse"}
_ADOPTION = {"overrides": "SL402", "escalations": "SL403"}
_WEIGHT = 0.2  # of the budget, of what people make of the answers


@dataclass(frozen=True)
class Use:
    """What people do with predictions, as a stream: the share of them that is overridden, or escalated."""

    name: str
    code: str
    limit: float


@dataclass(frozen=True)
class Promised:
    """All streams of a system and their limits.

    Attributes
    ----------
    promise
        Of counted rows.
    uses
        Of what people do; their streams stand after those of the rows.
    threshold
        Evidence that rings, by the plan's budget.
    off
        The most that the mean error of numbers, or the root of its square, may be: where the plan says so, in units
        of the outcome.
    held
        Whether the plan promises performance in the terms of its streams; else these are held to the reference.
    """

    promise: Promise
    uses: tuple[Use, ...]
    threshold: float
    off: float | None = None
    held: bool = False

    @classmethod
    def of(cls, plan: Plan, reference: Profile) -> Promised:
        """The promise that a plan makes of a reference's buckets."""
        watch = plan.watch
        quality = watch.quality
        promise = Promise.of(
            reference,
            tolerance=watch.drift.tolerance if watch.drift is not None else 0.05,
            season=watch.season,
            integrity=quality.nulls.within if quality is not None and quality.nulls is not None else None,
        )
        upper = promise.limits.upper.copy()
        weights = promise.streams.weights.copy()
        unwatched = set()
        if watch.drift is None:
            unwatched.add("SL2")
        if quality is None:
            unwatched.add("SL1")
        worst = _worst(plan, reference)
        for place, stream in enumerate(promise.streams.streams):
            if stream.code[:3] in unwatched:
                weights[place] = 0.0
            if stream.code == "SL104" and quality is not None and quality.unseen is not None:
                upper[:, place] = np.maximum(quality.unseen.at_most, 1e-6)
            if stream.code in {"SL301", "SL302"} and stream.segment == 0 and worst is not None:
                upper[:, place] = worst
        adoption = watch.adoption
        uses = tuple(
            Use(name, code, float(getattr(adoption, name).at_most))
            for name, code in _ADOPTION.items()
            if adoption is not None and getattr(adoption, name) is not None
        )
        made = dataclasses.replace(
            promise,
            limits=dataclasses.replace(promise.limits, upper=upper),
            streams=dataclasses.replace(promise.streams, weights=weights),
        )
        # Buckets are those of the reference, also where a newer plan asks for others.
        length = watch.bucket if reference.layout.bucket is None else reference.layout.bucket * _MICROSECOND
        buckets = watch.false_alarms.per / length / watch.false_alarms.at_most
        performance = watch.performance
        errors = performance is not None and performance.metric in _ERRORS
        off = performance.at_most if performance is not None and errors else None
        return cls(made, uses, max(2.0, float(buckets)), off, worst is not None)

    @property
    def of_outcomes(self) -> NDArray[np.bool_]:
        """Shape (streams of rows,): which need to know what turned out true."""
        part = self.promise.reference.layout.outcome
        truth = part.outcome if part is not None else None
        return np.array([
            stream.code in _OF_OUTCOMES or (stream.code == "SL202" and truth is not None and stream.column == truth)
            for stream in self.promise.streams.streams
        ], dtype=bool)  # fmt: skip

    def nothing(self) -> Seen:
        """What a bucket without rows says."""
        size = len(self.promise.streams.streams) + len(self.uses)
        zero = np.zeros(size)
        return Seen(np.zeros((size, BETS)), zero, zero, np.ones(size))

    def detector(self) -> Detector:
        """A detector of all streams before the first bucket."""
        own = self.promise.streams.weights
        if not self.uses:
            return Detector.start(own, self.threshold)
        share = _WEIGHT if own.sum() else 1.0
        scaled = own / own.sum() * (1 - share) if own.sum() else own
        return Detector.start(np.append(scaled, np.full(len(self.uses), share / len(self.uses))), self.threshold)

    def see(
        self, made: Profile, known: Profile, used: Mapping[int, Floats] | None = None, *, since: int | None = None,
        later: int = 0,
    ) -> Iterator[tuple[int, Seen]]:  # fmt: skip
        """What each bucket says: of rows as they were predicted, of those whose outcome is due, of what people do.

        Parameters
        ----------
        made, known
            Rows by the bucket of their prediction.
        used
            By bucket, shape (uses + 1,): how many predictions, and of how many each use was made; at most of all.
        since
            The first bucket that is new; what came late is evidence of this one.
        later
            How long after its bucket an outcome is due, in microseconds, and evidence.
        """
        used = used or {}
        size = len(self.promise.streams.streams)
        first, second = (
            dict(
                zip(
                    np.unique(arrivals(part.whole().buckets, since, lag)).tolist(),
                    self.promise.see(part, since=since, later=lag),
                    strict=True,
                )
            )
            for part, lag in ((made, 0), (known, later))
        )
        truths = self.of_outcomes
        for bucket in sorted(first.keys() | second.keys() | used.keys()):
            one, two = first.get(bucket), second.get(bucket)
            either = one or two
            limit = either.limit if either is not None else np.ones(size)
            zero = np.zeros(size)
            none = Seen(np.zeros((size, BETS)), zero, zero, limit)
            one, two = one or none, two or none
            yield bucket, self._with_uses(
                Seen(
                    np.where(truths[:, None], two.log_e, one.log_e), np.where(truths, two.rows, one.rows),
                    np.where(truths, two.hits, one.hits), limit,
                ),
                used.get(bucket),
            )  # fmt: skip

    def _with_uses(self, seen: Seen, used: Floats | None) -> Seen:
        if not self.uses:
            return seen
        limit = np.array([use.limit for use in self.uses])
        rows = np.full(len(self.uses), 0.0 if used is None else used[0])
        hits = np.zeros(len(self.uses)) if used is None else used[1:]
        rising, falling = share_logs(np.clip(limit, 1e-9, 1 - 1e-9))
        log_e = hits[:, None] * rising + (rows - hits)[:, None] * falling
        return Seen(
            np.concatenate([seen.log_e, log_e]), np.concatenate([seen.rows, rows]), np.concatenate([seen.hits, hits]),
            np.concatenate([seen.limit, limit]),
        )  # fmt: skip


def together(made: Profile, known: Profile) -> Profile:
    """Every row once, as it is known now: all of predictions, and of outcomes those that are there."""
    part = made.layout.outcome
    if part is None:
        return made
    place = made.layout.place(part)
    counts, sums = np.zeros_like(known.counts), np.zeros_like(known.sums)
    counts[:, place.counts], sums[:, place.sums] = known.counts[:, place.counts], known.sums[:, place.sums]
    truths = dataclasses.replace(known, rows=np.zeros_like(known.rows), counts=counts, sums=sums)
    return merged([made.without(part), truths])


def _worst(plan: Plan, reference: Profile) -> float | None:
    """The most that may be wrong, where the plan's promise says so in the terms of a stream: else the reference's."""
    promised = plan.watch.performance
    part = reference.layout.outcome
    if promised is None or part is None:
        return None
    if promised.metric == "accuracy" and promised.at_least is not None:
        return float(np.clip(1.0 - promised.at_least, 1e-6, 1.0))
    if promised.metric == "mae" and promised.at_most is not None and isinstance(part, Residual):
        return float(np.clip(promised.at_most / part.scale, 1e-6, 1.0))
    return None
