"""From measured pairs to the answer: everything that follows by arithmetic, in the words of the contract."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from shelflife import durations
from shelflife.lifespan import baselines, cadence, curve, expiry, grid, says, survival
from shelflife.lifespan.asked import Asked
from shelflife.lifespan.history import History
from shelflife.lifespan.pairs import Pairs
from shelflife.lifespan.result import (
    Answer,
    Baseline,
    Cadence,
    Cell,
    Control,
    CurvePoint,
    Data,
    Event,
    Ingredients,
    Lifespan,
    Origin,
    SurvivalPoint,
)


@dataclass(frozen=True)
class Measured:
    """What training and scoring found, before it is put in words."""

    grid: grid.Grid
    pairs: Pairs
    expiry: expiry.Expiry
    fresh_loss: float
    seconds: float
    warnings: tuple[str, ...]


def result(history: History, asked: Asked, measured: Measured, shuffled: Measured | None) -> Lifespan:
    """Everything that follows from the measured pairs by arithmetic, in the words of the contract."""
    cuts, pairs, ended = measured.grid, measured.pairs, measured.expiry
    every = durations.days(cuts.every)
    data = _data(history, asked, cuts)
    until, known = survival.good_until(ended.ended, ended.detected, cuts.ages)
    lasting = survival.survive(until, known, asked.confidence)
    decay = curve.decay(pairs, asked.confidence, asked.seed)
    points = _curve_points(decay, every)
    span = survival.median_interval(lasting, until, known, asked.confidence, asked.seed)
    found = _answer(history, asked, measured, lasting, span)
    rivals = baselines.rivals(history.times, history.outcomes, cuts, asked.delay, history.metric)
    bases = tuple(
        Baseline(r.name, r.loss, measured.fresh_loss, beaten=bool(measured.fresh_loss < r.loss)) for r in rivals
    )
    per_day = data.rows_per_day if asked.rows_per_day is None else asked.rows_per_day
    costs = None if asked.costs is None else cadence.Costs(*asked.costs, per_day)
    renewing = cadence.compare(decay.age, decay.excess, every, costs)
    best = cadence.cheapest(renewing)
    events = _events(history, asked, measured)
    checked = None if shuffled is None else _control(shuffled)
    notes = [*history.notes, *(f"While training: {said}." for said in measured.warnings[:5])]
    notes.extend([says.control(checked)] if checked else [])
    before = None
    if found.quartile_days is not None:
        before = data.end + timedelta(days=found.quartile_days)
    return Lifespan(
        says=says.answer(data, found, bases[0], points, len(cuts.origins), events),
        data=data,
        origins=_origins(history, asked, measured, until),
        curve=tuple(points),
        survival=tuple(
            SurvivalPoint(float(a) * every, float(s), float(low), float(high), int(n))
            for a, s, low, high, n in zip(
                lasting.age, lasting.share, lasting.low, lasting.high, lasting.at_risk, strict=True
            )
        ),
        lifespan=found,
        baseline=bases[0],
        baselines=bases,
        best_before=before,
        cadence=tuple(
            Cadence(r.slices * every, r.expected_excess, r.renewals_per_year, r.cost_per_year) for r in renewing
        ),
        recommended_cadence_days=best.slices * every if best else None,
        events=tuple(events),
        decay_map=_decay_map(history, cuts, pairs),
        control=checked,
        window_days=None if cuts.window is None else durations.days(cuts.window),
        label_delay_days=durations.days(asked.delay),
        ingredients=_ingredients(history, asked, data),
        notes=tuple(notes),
        engine="",
        jobs=0,
        seconds=0.0,
        seconds_training=0.0,
    )


def _data(history: History, asked: Asked, cuts: grid.Grid) -> Data:
    first, last = int(history.times[0]), int(history.times[-1])
    return Data(
        rows=len(history.times),
        start=history.table.moment(first),
        end=history.table.moment(last),
        every_days=durations.days(cuts.every),
        target=asked.target,
        task=history.task,
        metric=history.metric,
        source=history.table.source,
        time=asked.time,
        features=history.features,
        rows_per_day=len(history.times) / max(durations.days(last - first), 1 / 1440),
        sha256=history.table.sha256,
    )


def _curve_points(decay: curve.Curve, every: float) -> list[CurvePoint]:
    columns = (decay.age, decay.models, decay.loss, decay.fresh, decay.excess, decay.low, decay.high, decay.rows)
    return [
        CurvePoint(
            float(a) * every, int(n), float(loss), float(fresh), float(excess), float(low), float(high), int(rows)
        )
        for a, n, loss, fresh, excess, low, high, rows in zip(*columns, strict=True)
    ]


def _answer(
    history: History,
    asked: Asked,
    measured: Measured,
    lasting: survival.Survival,
    span: tuple[float | None, float | None],
) -> Answer:
    ended = measured.expiry
    every = durations.days(measured.grid.every)

    def in_days(slices: float | None) -> float | None:
        return None if slices is None or ended.verdict != "expires" else slices * every

    return Answer(
        verdict=ended.verdict,
        median_days=in_days(lasting.first_below(0.5)),
        low_days=in_days(span[0]),
        high_days=in_days(span[1]),
        quartile_days=in_days(lasting.first_below(0.75)),
        tolerance=asked.limit(history.task, measured.fresh_loss),
        confidence=asked.confidence,
        tolerance_relative=asked.promise(history.task).relative or None,
        watched_days=float(measured.grid.ages.max()) * every,
        expired=int((ended.ended > 0).sum()),
        log10_evidence=ended.log_evidence / float(np.log(10)),
    )


def _origins(history: History, asked: Asked, measured: Measured, until: NDArray[np.float64]) -> tuple[Origin, ...]:
    cuts, ended = measured.grid, measured.expiry
    every, delay = durations.days(cuts.every), durations.days(asked.delay)
    found = []
    for place, s in enumerate(cuts.origins):
        age_limit = int(cuts.births[s] + (cuts.ages[place] + 1) * cuts.every)
        observed = durations.days(min(cuts.end, age_limit) - int(cuts.births[s]))
        end, verdict = int(ended.ended[place]), int(ended.detected[place])
        found.append(
            Origin(
                at=history.table.moment(cuts.births[s]),
                rows=int(cuts.training[s, 1] - cuts.training[s, 0]),
                expired_after_days=end * every if end else None,
                detected_after_days=min((verdict + 1) * every, observed) + delay if end else None,
                observed_days=observed,
                good_until_days=float(until[place]) * every,
            )
        )
    return tuple(found)


def _events(history: History, asked: Asked, measured: Measured) -> list[Event]:
    cuts, ended = measured.grid, measured.expiry
    if ended.verdict != "expires":
        return []
    limit = asked.limit(history.task, measured.fresh_loss)
    common = expiry.common_ends(measured.pairs, cuts.origins, cuts.ages, ended.ended, limit)
    return [Event(history.table.moment(cuts.births[s]), models) for s, models in common]


def _decay_map(history: History, cuts: grid.Grid, pairs: Pairs) -> tuple[Cell, ...]:
    every = durations.days(cuts.every)
    excess = pairs.excess
    return tuple(
        Cell(
            born=history.table.moment(cuts.births[cuts.origins[model]]),
            start=history.table.moment(cuts.births[cuts.origins[model] + slices]),
            age_days=float(slices) * every,
            rows=int(pairs.rows[model, slices]),
            excess=float(excess[model, slices]),
        )
        for model, slices in zip(*np.nonzero(pairs.rows), strict=True)
    )


def _control(shuffled: Measured) -> Control:
    decay = curve.decay(shuffled.pairs, 0.9, 0)
    ended = shuffled.expiry
    return Control(ended.verdict, int((ended.ended > 0).sum()), len(ended.ended), float(decay.excess.max()))


def _ingredients(history: History, asked: Asked, data: Data) -> Ingredients:
    versions = [f"{package} {version(package)}" for package in ("scikit-learn", "skrub")]
    python = ", ".join([f"Python {platform.python_version()}", *versions])
    return Ingredients(f"{data.rows:,} rows, sha256 {data.sha256[:12]}", history.trainer.name, python, asked.seed)
