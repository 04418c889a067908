"""Performance in the reference and now: observed where outcomes are known, estimated from scores where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelflife.check.result import Performance, Point, Track
from shelflife.check.streams import LEAST_OF_CLASS, chances
from shelflife.detect import estimate
from shelflife.profile import joint, metrics, residual
from shelflife.profile.counts import Profile
from shelflife.profile.joint import Joint
from shelflife.profile.residual import Residual

Floats = NDArray[np.float64]
Moments = Callable[[int], datetime | None]
# The limit of the error (or mean bounded loss) of a segment (0: all rows), None where it is not promised.
LimitOf = Callable[[int], float | None]

CONFIDENCE = 0.9
_DRAWS = 200
_MOST_CLASSES = 20
_FEW_OUTCOMES = 20
# Rows without an outcome, as a share of all, from which an estimate adds anything.
_WAITING = 0.001


def performance(reference: Profile, current: Profile, limit: LimitOf, moment: Moments) -> tuple[Performance, ...]:
    """Every metric of the reference, of all rows and of each segment; empty where nothing was predicted."""
    part = reference.layout.outcome
    if part is None or part.outcome is None:
        return ()
    rows: Any = _joint_rows if isinstance(part, Joint) else _residual_rows
    found: list[Performance] = list(rows(part, reference, current, 0, limit, moment))
    for place in range(len(reference.layout.segments)):
        found += [row for row in rows(part, reference, current, place + 1, limit, moment) if row.limit is not None]
    return tuple(found)


@dataclass(frozen=True)
class _Sides:
    """Counts and sums of the outcome part in the reference and now."""

    then: Any
    then_sums: Floats
    now: Any
    now_sums: Floats

    @classmethod
    def of(cls, part: Any, reference: Profile, current: Profile, segment: int) -> _Sides:
        before, after = (one.chosen(one.segments == segment) for one in (reference, current))
        return cls(before.of(part).sum(axis=0), before.sums_of(part).sum(axis=0),
                   after.of(part).sum(axis=0), after.sums_of(part).sum(axis=0))  # fmt: skip


def _name(profile: Profile, segment: int) -> str | None:
    if not segment:
        return None
    found = profile.layout.segments[segment - 1]
    return f"{found.column}={found.value}"


def _joint_rows(
    part: Joint, reference: Profile, current: Profile, segment: int, limit: LimitOf, moment: Moments
) -> Iterator[Performance]:
    sides = _Sides.of(part, reference, current, segment)
    before = metrics.of_joint(part, sides.then, sides.then_sums)
    after = metrics.of_joint(part, sides.now, sides.now_sums)
    spread = _resampled(part, sides.now) if after else {}
    foreseen, foreseen_spread = _foreseen(part, sides)
    for name, value in before.items():
        if name == "error" or ("[" in name and len(part.classes) > _MOST_CLASSES):
            continue
        observed, estimated = after.get(name), foreseen.get(name)
        low, high = spread.get(name, (None, None)) if observed is not None else foreseen_spread.get(name, (None, None))
        held, track = None, None
        if name == "accuracy":
            most = limit(segment)
            held = None if most is None else 1.0 - most
            track = _accuracy_track(part, reference, current, segment, value, moment)
            mixed = _with_few(part, sides)
            if mixed is not None:
                estimated, low, high = 1.0 - mixed.value, 1.0 - mixed.high, 1.0 - mixed.low
        yield Performance(name, _name(current, segment), value, observed, estimated, low, high, held, track)


def _foreseen(part: Joint, sides: _Sides) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Metrics to be expected of all rows now, by the chances that the reference teaches, with intervals."""
    wrong = chances(part, sides.then)
    rows = part.tables(sides.now)[0][: joint.BINS].sum(axis=2)
    if wrong is None or rows.sum() == 0:
        return {}, {}
    taught = part.tables(sides.then)[0][: joint.BINS, :, : joint.UNKNOWN].sum(axis=2)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(_DRAWS):
        drawn = _redrawn(part, wrong, taught, rng)
        draws.append(_expected_metrics(part, rows, rng.binomial(rows, drawn)))
    return _expected_metrics(part, rows, rows * wrong), _intervals(draws)


def _redrawn(part: Joint, wrong: Floats, taught: Floats, rng: np.random.Generator) -> Floats:
    """Chances of an error as another reference of this size might have taught them."""
    pooled = taught.sum(axis=1)
    if part.form != "positive" or part.positive is None:
        # Classes with rows enough were taught by their own, the others by all together.
        apart = taught.sum(axis=0) >= LEAST_OF_CLASS
        rows = np.where(apart, taught, pooled[:, None])
        drawn = rng.beta(wrong * rows + 0.5, (1.0 - wrong) * rows + 0.5)
        if not apart.all():
            shared = np.flatnonzero(~apart)
            drawn[:, shared] = drawn[:, shared[:1]]
        return drawn
    place = part.classes.index(part.positive)
    one = wrong[:, place]
    drawn = rng.beta(one * pooled + 0.5, (1.0 - one) * pooled + 0.5)
    found = np.repeat(1.0 - drawn[:, None], wrong.shape[1], axis=1)
    found[:, place], found[:, -1] = drawn, 1.0
    return found


def _expected_metrics(part: Joint, rows: Any, wrong: Any) -> dict[str, float]:
    """Metrics of a table of expected rights and wrongs, both of shape (bins, classes + 1)."""
    if part.form != "positive":
        accuracy = float(1.0 - wrong.sum() / rows.sum())
        return {"accuracy": accuracy}
    scored, confusion, _ = part.shapes
    table = np.zeros(scored)
    table[: joint.BINS, :, joint.RIGHT], table[: joint.BINS, :, joint.WRONG] = rows - wrong, wrong
    pairs = np.zeros(confusion)
    for said in range(2):
        pairs[said, said] = (rows - wrong)[:, said].sum()
        pairs[said, 1 - said] = wrong[:, said].sum()
    pairs[2, 2] = wrong[:, 2].sum()
    flat = np.concatenate([table.ravel(), pairs.ravel()])
    found = metrics.of_joint(part, flat, np.zeros(part.sums))
    return {name: value for name, value in found.items() if name not in {"log_loss", "brier", "calibration_error"}}


def _resampled(part: Joint, counts: Any) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of the metrics that are functions of counts."""
    rng = np.random.default_rng(0)
    known = counts > 0
    draws = []
    for _ in range(_DRAWS):
        drawn = np.zeros(len(counts))
        scored, confusion = (int(np.prod(shape)) for shape in part.shapes[:2])
        # The tables count the same rows: the scored one is drawn and the confusion follows where it can.
        drawn[known] = rng.poisson(counts[known])
        pairs = _confusion_of(part, drawn[:scored])
        if pairs is not None:
            drawn[scored : scored + confusion] = pairs
        draws.append(metrics.of_joint(part, drawn, np.zeros(part.sums)))
    found = _intervals(draws)
    return {name: ends for name, ends in found.items() if name not in {"log_loss", "brier", "calibration_error"}}


def _confusion_of(part: Joint, scored: Floats) -> Floats | None:
    """The confusion table that a scored table of two classes implies; None where there are more."""
    if len(part.classes) != 2:
        return None
    table = scored.reshape(part.shapes[0]).sum(axis=0)
    pairs = np.zeros(part.shapes[1])
    for said in range(2):
        pairs[said, said], pairs[said, 1 - said] = table[said, joint.RIGHT], table[said, joint.WRONG]
    pairs[2, 2] = table[2, joint.WRONG]
    return pairs.ravel()


def _intervals(draws: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    tail = (1.0 - CONFIDENCE) / 2.0
    found = {}
    for name in {name for draw in draws for name in draw}:
        values = np.array([draw[name] for draw in draws if np.isfinite(draw.get(name, np.nan))])
        if len(values) >= len(draws) / 2:
            low, high = np.quantile(values, [tail, 1.0 - tail])
            found[name] = (float(low), float(high))
    return found


def _with_few(part: Joint, sides: _Sides) -> estimate.Estimate | None:
    """The error of all rows by the outcomes of some of them and the scores of all."""
    wrong = chances(part, sides.then)
    if wrong is None:
        return None
    table = part.tables(sides.now)[0][: joint.BINS].astype(np.float64)
    known, waiting = table[..., : joint.UNKNOWN].sum(axis=2), table[..., joint.UNKNOWN]
    if known.sum() < _FEW_OUTCOMES or waiting.sum() < _WAITING * table.sum():
        return None
    truth = table[..., joint.WRONG]
    found, _ = estimate.corrected(known.ravel(), truth.ravel(), wrong.ravel(), waiting.ravel(), confidence=CONFIDENCE)
    return found


def _accuracy_track(
    part: Joint, reference: Profile, current: Profile, segment: int, value: float, moment: Moments
) -> Track:
    found = current.chosen(current.segments == segment)
    tables = part.tables(found.of(part))
    pairs = tables[1]
    right = np.einsum("bii->b", pairs[:, : len(part.classes), : len(part.classes)]).astype(float)
    known = pairs[..., :-1].sum(axis=(1, 2)).astype(float)
    what = "accuracy"
    if known.sum() == 0:
        wrong = chances(part, reference.chosen(reference.segments == segment).of(part).sum(axis=0))
        if wrong is not None:
            rows = tables[0][:, : joint.BINS].sum(axis=3)
            right, known = (rows * (1.0 - wrong)).sum(axis=(1, 2)), rows.sum(axis=(1, 2)).astype(float)
            what = "accuracy, estimated"
    return Track(what, value, _points(found, right, known, moment))


def _points(found: Profile, over: Floats, rows: Floats, moment: Moments) -> tuple[Point, ...]:
    return tuple(
        Point(moment(int(bucket)), int(n), float(total / n) if n else None)
        for bucket, n, total in zip(found.buckets, rows, over, strict=True)
    )


def _residual_rows(
    part: Residual, reference: Profile, current: Profile, segment: int, limit: LimitOf, moment: Moments
) -> Iterator[Performance]:
    sides = _Sides.of(part, reference, current, segment)
    before = metrics.of_residual(sides.then, sides.then_sums)
    after = metrics.of_residual(sides.now, sides.now_sums)
    ratio = _expected_ratio(part, reference, current) if segment == 0 else None
    for name, value in before.items():
        observed = after.get(name)
        low = high = held = track = estimated = None
        if name == "mean_absolute_error":
            most = limit(segment)
            held = None if most is None else most * part.scale
            found = current.chosen(current.segments == segment)
            known = found.of(part)[:, residual.KNOWN].astype(float)
            track = Track(
                "mean absolute error", value, _points(found, found.sums_of(part)[:, [0, 7]].sum(axis=1), known, moment)
            )
            if ratio is not None:
                estimated = value * ratio.value
                low, high = value * ratio.low, value * ratio.high
            if observed is not None:
                n = sides.now[residual.KNOWN]
                squares = after["root_mean_squared_error"] ** 2
                error = np.sqrt(max(0.0, squares - observed**2) / n) * _Z
                low, high = max(0.0, observed - float(error)), observed + float(error)
        yield Performance(name, _name(current, segment), value, observed, estimated, low, high, held, track)


_Z = 1.6448536269514722  # of an interval that holds 90 %


def _expected_ratio(part: Residual, reference: Profile, current: Profile) -> estimate.Estimate | None:
    """How many times the reference's loss is to be expected now, by the model of the loss."""
    then, now = expected_loss(part, reference), expected_loss(part, current)
    if then is None or now is None or then.mean <= 0:
        return None
    counts = reference.whole().of(part).sum(axis=0)
    known = counts[part.losses].astype(float)
    steps = np.arange(residual.STEPS + 1) / residual.STEPS
    if known.sum() == 0:
        return None
    mean = (known * steps).sum() / known.sum()
    variance = (known * steps**2).sum() / known.sum() - mean**2
    error = np.sqrt(variance / max(1.0, now.rows) + variance / known.sum() + then.off**2)
    value = max(0.0, now.mean) / then.mean
    reach = _Z * float(error) / then.mean
    return estimate.Estimate(value, max(0.0, value - reach), value + reach)


@dataclass(frozen=True)
class Expected:
    """Mean expected loss over all rows, over how many, and how far buckets lie off it beyond chance."""

    mean: float
    rows: float
    off: float


def expected_loss(part: Residual, profile: Profile) -> Expected | None:
    """The mean bounded loss to be expected of a profile's rows; None where there is no model of it or no rows."""
    whole = profile.whole()
    if not part.model or len(whole.rows) == 0:
        return None
    parts = {other.name: other for other, _ in profile.layout.find() if other is not part}
    total = whole.rows * part.base
    for name, weights in part.model:
        total = total + whole.of(parts[name]) @ np.array(weights)
    rows = whole.rows.astype(float)
    counts = whole.of(part)
    known = counts[:, residual.KNOWN].astype(float)
    off = 0.0
    complete = (known >= 0.999 * rows) & (rows > 0)
    if complete.sum() >= 2:
        steps = np.arange(residual.STEPS + 1) / residual.STEPS
        lost = counts[:, part.losses] @ steps
        beyond = (lost - total)[complete] / rows[complete]
        off = float(np.sqrt(np.average(beyond**2, weights=rows[complete])) / np.sqrt(complete.sum()))
    return Expected(float(total.sum() / rows.sum()), float(rows.sum()), off)
