"""Columns and performance of the current data against the reference, from counts alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelflife.check.result import Column, Point, Shape, Track
from shelflife.profile import category, numeric, statistics, text
from shelflife.profile.category import Category
from shelflife.profile.counts import Profile
from shelflife.profile.layout import Part
from shelflife.profile.moment import Moment
from shelflife.profile.numeric import Numeric
from shelflife.profile.text import Text
from shelflife.profile.vector import Vector

Ints = NDArray[np.int64]
Moments = Callable[[int], datetime | None]

_SHOWN = 10


def columns(reference: Profile, current: Profile, moment: Moments, left_out: set[str]) -> tuple[Column, ...]:
    """Every column of the layout but the outcome table and those `left_out`, in the reference's order."""
    before, after = reference.whole(), current.whole()
    return tuple(
        _column(part, before, after, moment)
        for part, _ in reference.layout.find()
        if part.kind != "outcome" and part.name not in left_out
    )


def _column(part: Part, before: Profile, after: Profile, moment: Moments) -> Column:
    then, now = before.of(part).sum(axis=0), after.of(part).sum(axis=0)
    distances: dict[str, float | None] = dict.fromkeys(("psi", "js", "ks", "tv", "wasserstein"))
    unseen, missing = None, None
    if isinstance(part, Text):
        states = now[[text.NULL, text.EMPTY, text.DOCUMENTS]]
        missing = _or_none(states[0] / states.sum()) if states.sum() else None
        unseen = _or_none(now[text.UNSEEN] / text.PARTS / now[text.DOCUMENTS]) if now[text.DOCUMENTS] else None
        distances |= _distances(then[part.first_term :], now[part.first_term :], ordered=False)
    elif isinstance(part, Vector):
        missing, distances = _vector(part, then, now)
    else:
        counted = part.lags if isinstance(part, Moment) else part
        missing = _or_none(statistics.null_share(counted, now))  # type: ignore[arg-type]
        first = numeric.LOW_INFINITY if isinstance(counted, Numeric) else category.NULL + 1
        distances |= _distances(then[first:], now[first:], ordered=isinstance(counted, Numeric))
        if isinstance(counted, Category):
            unseen = statistics.unseen_share(counted, now)
        if isinstance(counted, Numeric):
            ends = [profile.extremes_of(part) for profile in (before, after)]
            low = min(lows.min(initial=np.inf) for lows, _ in ends)
            high = max(highs.max(initial=-np.inf) for _, highs in ends)
            distances["wasserstein"] = _or_none(statistics.wasserstein(counted, then, now, low, high))
    rows = int(after.rows.sum())
    return Column(part.name, part.kind, rows, missing, unseen, **distances,
                  shape=_shape(part, then, now), track=_track(part, before, after, moment))  # fmt: skip


def _distances(then: Ints, now: Ints, *, ordered: bool) -> dict[str, float | None]:
    return {
        "psi": _or_none(statistics.psi(then, now)),
        "js": _or_none(statistics.jensen_shannon(then, now)),
        "ks": _or_none(statistics.kolmogorov_smirnov(then, now)) if ordered else None,
        "tv": _or_none(statistics.total_variation(then, now)),
    }


def _vector(part: Vector, then: Ints, now: Ints) -> tuple[float | None, dict[str, float | None]]:
    """Of vectors the distances along the direction that moved most."""
    found: list[dict[str, float | None]] = []
    start = 0
    for along in part.along:
        cells = slice(start + numeric.LOW_INFINITY, start + along.cells)
        found.append(_distances(then[cells], now[cells], ordered=True))
        start += along.cells
    missing = statistics.null_share(part.along[0], now[: part.along[0].cells]) if part.along else float("nan")
    most = max(found, key=lambda one: one["js"] or 0.0) if found else {}
    return _or_none(missing), {**dict.fromkeys(("psi", "js", "ks", "tv")), **most, "wasserstein": None}


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shape(part: Part, then: Ints, now: Ints) -> Shape | None:
    if isinstance(part, Moment):
        part = part.lags
    if isinstance(part, Vector):
        cells = part.along[0].cells if part.along else 0
        return _shape(part.along[0], then[:cells], now[:cells]) if cells else None
    if isinstance(part, Numeric):
        return _histogram(part, then, now)
    if isinstance(part, Category):
        labels, starts = [*part.values, "others", "never seen"], 1
        if part.kind == "boolean":
            labels = ["false", "true", "others", "never seen"]
        before, after = then[starts:].astype(float), now[starts:].astype(float)
    elif isinstance(part, Text):
        labels = list(part.terms)
        before, after = then[part.first_term :].astype(float), now[part.first_term :].astype(float)
    else:
        return None
    p, q = _shares(before, then, part), _shares(after, now, part)
    if p is None or q is None:
        return None
    # Those that matter: the commonest of either side for names, the most changed for words.
    weight = np.abs(p - q) if isinstance(part, Text) else np.maximum(p, q)
    chosen = [i for i in np.argsort(-weight, kind="stable")[:_SHOWN] if weight[i] > 0]
    return Shape(tuple(labels[i] for i in chosen), tuple(p[chosen].tolist()), tuple(q[chosen].tolist()))


def _shares(values: Any, counts: Ints, part: Category | Text) -> Any:
    total = counts[text.DOCUMENTS] if isinstance(part, Text) else values.sum()
    return values / total if total else None


def _histogram(part: Numeric, then: Ints, now: Ints) -> Shape | None:
    """Shares in about ten groups of the reference's bins, and beyond its least and greatest value."""
    inner = slice(numeric.BELOW, part.above + 1)
    before, after = then[inner].astype(float), now[inner].astype(float)
    if not before.sum() or not after.sum():
        return None
    bins = len(part.edges) - 1
    cuts = np.unique(np.linspace(0, bins, min(bins, _SHOWN) + 1).astype(int))
    labels = [f"under {part.edges[0]:.4g}"]
    labels += [f"{part.edges[low]:.4g} to {part.edges[high]:.4g}" for low, high in itertools.pairwise(cuts)]
    labels += [f"over {part.edges[-1]:.4g}"]
    groups = np.concatenate([[0], cuts[:-1] + 1, [len(before) - 1]])
    p, q = (np.add.reduceat(values, groups) / values.sum() for values in (before, after))
    kept = (p > 0) | (q > 0)
    return Shape(
        tuple(label for label, keep in zip(labels, kept, strict=True) if keep),
        tuple(p[kept].tolist()),
        tuple(q[kept].tolist()),
    )


def _track(part: Part, before: Profile, after: Profile, moment: Moments) -> Track | None:
    made = _figure(part, before)
    if made is None:
        return None
    what, _ = made
    reference = _figure(part, before.total())
    found = _figure(part, after)
    if found is None or reference is None:
        return None
    points = tuple(
        Point(moment(int(bucket)), int(rows), _or_none(value))
        for bucket, rows, value in zip(after.buckets, after.rows, found[1], strict=True)
    )
    overall = _or_none(reference[1][0]) if len(reference[1]) else None
    return Track(what, overall, points)


def _figure(part: Part, profile: Profile) -> tuple[str, Any] | None:
    """One figure that tells a column's course, in each bucket: its mean, or the share of its commonest value."""
    counts = profile.of(part).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(part, Numeric | Moment):
            counted = part.lags if isinstance(part, Moment) else part
            what = "mean lag in seconds" if isinstance(part, Moment) else "mean"
            return what, counted.mean(counts, profile.sums_of(part))
        if isinstance(part, Vector) and part.along:
            return "mean length", part.along[0].mean(counts[:, : part.along[0].cells], profile.sums_of(part))
        if isinstance(part, Category) and part.values:
            place, name = (2, "true") if part.kind == "boolean" else (1, part.values[0])
            return f"share of {name!r}", counts[:, place] / counts[:, 1:].sum(axis=1)
        if isinstance(part, Text):
            return "share of never-seen words", counts[:, text.UNSEEN] / text.PARTS / counts[:, text.DOCUMENTS]
    return None
