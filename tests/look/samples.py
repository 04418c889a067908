"""Answers of `lifespan` as plain constructed values: one that looks like a real history, and odd ones."""

from __future__ import annotations

import dataclasses
import math
import random
from datetime import datetime, timedelta, timezone
from typing import Any

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

START = datetime(1996, 7, 1)
BREAK = datetime(1997, 9, 22)


def ageing(births: int = 24, buckets: int = 120, every: float = 7.0, seed: int = 5) -> Lifespan:
    """Models that age slowly until a break in the middle of history makes those born before it fail together."""
    draw = random.Random(seed)
    end = START + timedelta(days=buckets * every)
    step = max(1, (buckets - 20) // births)
    born = [START + timedelta(days=every * (16 + step * i)) for i in range(births)]
    season = [draw.gauss(0, 0.012) for _ in range(buckets)]
    broken = START + (BREAK - START) * (every / 7)
    cells = []
    for moment in born:
        first = round((moment - START) / timedelta(days=every))
        for bucket in range(first, buckets):
            start = START + timedelta(days=every * bucket)
            if bucket % 41 == 40 and bucket > 60:
                continue
            years = (bucket - first) / 52
            excess = 0.03 * years + season[bucket] * min(1, years * 2) + draw.gauss(0, 0.006)
            if moment < broken <= start:
                excess += 0.07 + (0.09 if bucket % 13 in (3, 4) else 0)
            cells.append(Cell(moment, start, (start - moment) / timedelta(days=1), 336, excess))
    curve = tuple(_curve(cells, every))
    origins = tuple(_origin(moment, cells, end, broken, every) for moment in born)
    survival = _survival(origins)
    median = next((p.age_days for p in survival if p.survival <= 0.5), None)
    quartile = next((p.age_days for p in survival if p.survival <= 0.75), None)
    return Lifespan(
        says=(
            "Half of the models of price_up last longer than 27 weeks; then they make at least 2 points more errors "
            "than a fresh model. A model made now is best before 12 January 1999."
        ),
        data=Data(
            45312,
            START,
            end,
            every,
            "price_up",
            "classification",
            "error",
            "electricity.parquet",
            "ts",
            ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"),
            48.0,
            "9f1c2d7a" * 8,
        ),
        origins=origins,
        curve=curve,
        survival=survival,
        lifespan=Answer("expires", median, 20 * every, 33 * every, quartile, 0.02, 0.9, None, 102 * every, 17, 7.3),
        baseline=Baseline("majority class", 0.425, 0.213, True),
        baselines=(Baseline("majority class", 0.425, 0.213, True), Baseline("last known outcome", 0.155, 0.213, False)),
        best_before=end + timedelta(days=quartile or 0),
        cadence=tuple(Cadence(n * every, 0.0016 * n, 365.25 / (n * every), 2400 + 90000 / n) for n in (1, 2, 4, 8, 26)),
        recommended_cadence_days=4 * every,
        events=(Event(broken, 11), Event(broken + timedelta(days=every * 30), 4)),
        decay_map=tuple(cells),
        control=Control("no expiry seen", 0, births, 0.004),
        window_days=16 * every,
        label_delay_days=0.0,
        ingredients=Ingredients(
            "45,312 rows, sha256 9f1c2d7a9f1c",
            "skrub.tabular_pipeline",
            "Python 3.11.9, scikit-learn 1.7.2, skrub 0.6.2",
            0,
        ),
        notes=("Two weeks hold fewer than 20 rows and were left out.",),
        engine="processes",
        jobs=2,
        seconds=48.3,
        seconds_training=31.0,
    )


def lasting() -> Lifespan:
    """Models that never expire while history lasts."""
    base = ageing(births=8, buckets=60)
    cells = tuple(dataclasses.replace(cell, excess=cell.excess * 0.05) for cell in base.decay_map)
    origins = tuple(
        Origin(o.at, o.rows, None, None, o.observed_days, max(0.0, o.observed_days - 7)) for o in base.origins
    )
    return dataclasses.replace(
        base,
        says="No model of price_up expired within 40 weeks.",
        origins=origins,
        curve=tuple(_curve(list(cells), 7.0)),
        survival=(),
        lifespan=Answer("no expiry seen", None, 280.0, None, None, 0.02, 0.9, None, 280.0, 0, 0.1),
        best_before=None,
        events=(),
        decay_map=cells,
        cadence=tuple(dataclasses.replace(c, cost_per_year=None) for c in base.cadence),
        recommended_cadence_days=None,
        control=None,
        notes=(),
    )


def unknown() -> Lifespan:
    """One model, four slices, no band, nothing to say."""
    base = ageing(births=1, buckets=24)
    cells = base.decay_map[:4]
    curve = tuple(CurvePoint(c.age_days, 1, 0.2 + c.excess, 0.2, c.excess, math.nan, math.nan, c.rows) for c in cells)
    return dataclasses.replace(
        base,
        says="It is not known how long models of price_up last: there is too little history.",
        origins=(Origin(cells[0].born, 900, None, None, 28.0, 0.0),),
        curve=curve,
        survival=(),
        lifespan=Answer("unknown", None, None, None, None, 0.02, 0.9, None, 28.0, 0, 0.0),
        baseline=Baseline("majority class", 0.2, 0.22, False),
        baselines=(Baseline("majority class", 0.2, 0.22, False),),
        best_before=None,
        cadence=(),
        recommended_cadence_days=None,
        events=(),
        decay_map=cells,
        control=None,
        window_days=None,
        label_delay_days=14.0,
        notes=(),
    )


def hours() -> Lifespan:
    """Slices of one hour, moments with a zone, irregular births."""
    base = ageing(births=9, buckets=96, every=1 / 24)
    keep = {origin.at for index, origin in enumerate(base.origins) if index not in (2, 3, 6)}
    zoned = lambda when: when.replace(tzinfo=timezone(timedelta(hours=10)))  # noqa: E731
    return dataclasses.replace(
        base,
        data=dataclasses.replace(base.data, start=zoned(base.data.start), end=zoned(base.data.end)),
        origins=tuple(dataclasses.replace(o, at=zoned(o.at)) for o in base.origins if o.at in keep),
        decay_map=tuple(
            dataclasses.replace(c, born=zoned(c.born), start=zoned(c.start)) for c in base.decay_map if c.born in keep
        ),
        events=tuple(dataclasses.replace(e, at=zoned(e.at)) for e in base.events),
        best_before=zoned(base.best_before),
    )


def regression() -> Lifespan:
    """Losses in units of the target, a promise relative to the fresh loss, no way to know a quarter's end."""
    base = ageing(births=12, buckets=80)
    grown = [dataclasses.replace(cell, excess=cell.excess * 1900) for cell in base.decay_map]
    return dataclasses.replace(
        base,
        says="Half of the models of price last longer than 30 weeks.",
        data=dataclasses.replace(base.data, task="regression", metric="absolute_error", target="price"),
        curve=tuple(_curve(grown, 7.0, fresh=420.0)),
        lifespan=dataclasses.replace(base.lifespan, tolerance=42.0, tolerance_relative=0.1, quartile_days=None),
        baseline=Baseline("last known outcome", 380.5, 420.0, False),
        baselines=(
            Baseline("last known outcome", 380.5, 420.0, False),
            Baseline("same time a week before", 512.0, 420.0, True),
        ),
        decay_map=tuple(grown),
        cadence=tuple(dataclasses.replace(c, expected_excess=c.expected_excess * 1900) for c in base.cadence),
        control=Control("unknown", 0, 12, 3.0),
    )


def hostile() -> Lifespan:
    """Names that would be markup if they were not escaped."""
    base = lasting()
    bad = "<script>alert('&')</script>"
    return dataclasses.replace(
        base,
        says=f"No model of {bad} expired within 40 weeks.",
        data=dataclasses.replace(base.data, target=bad, source=bad, time=bad, metric=bad, features=(bad, '"><b>')),
        notes=(bad,),
        engine=bad,
        ingredients=Ingredients(bad, bad, bad, 1),
        baselines=(Baseline(bad, 0.4, 0.2, True),),
    )


def every_kind() -> dict[str, Lifespan]:
    """Each sample by its name."""
    makers: dict[str, Any] = {f.__name__: f for f in (ageing, lasting, unknown, hours, regression, hostile)}
    return {name: make() for name, make in makers.items()}


def _curve(cells: list[Cell], every: float, fresh: float = 0.21) -> list[CurvePoint]:
    by_age: dict[int, list[float]] = {}
    for cell in cells:
        by_age.setdefault(round(cell.age_days / every), []).append(cell.excess)
    points = []
    for age, found in sorted(by_age.items()):
        mean = sum(found) / len(found)
        spread = (abs(mean) + fresh * 0.05) / math.sqrt(len(found))
        points.append(CurvePoint(age * every, len(found), fresh + mean, fresh, mean, mean - spread, mean + spread, 336))
    return points


def _origin(born: datetime, cells: list[Cell], end: datetime, broken: datetime, every: float) -> Origin:
    observed = (end - born) / timedelta(days=1)
    lasts = (27 + 9 * math.sin(born.toordinal() + born.hour)) * every
    if born < broken:
        lasts = min(lasts, (broken - born) / timedelta(days=1))
    lasts = round(lasts / every) * every
    if lasts + 4 * every >= observed:
        return Origin(born, 5376, None, None, observed, max(0.0, observed - every))
    return Origin(born, 5376, lasts, lasts + 4 * every, observed, lasts)


def _survival(origins: tuple[Origin, ...]) -> tuple[SurvivalPoint, ...]:
    ends = sorted({o.expired_after_days for o in origins if o.expired_after_days is not None})
    alive, points = 1.0, [SurvivalPoint(0.0, 1.0, 1.0, 1.0, len(origins))]
    for age in ends:
        risk = sum((o.expired_after_days or o.good_until_days) >= age for o in origins)
        alive *= 1 - sum(o.expired_after_days == age for o in origins) / risk
        width = 1.96 * math.sqrt(max(alive * (1 - alive), 0.002) / risk)
        points.append(SurvivalPoint(age, alive, max(0.0, alive - width), min(1.0, alive + width), risk))
    return tuple(points)
