"""The answer as pictures: one question a chart, the answer in its title, one width of time for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import altair as alt

from shelflife.lifespan import says
from shelflife.look import charts, marks, words
from shelflife.look.ages import Ages
from shelflife.look.charts import WIDE, colour, instant, pixels, values

if TYPE_CHECKING:
    from shelflife.lifespan.result import Cell, CurvePoint, Lifespan, Origin

# How many strengths of colour the map knows; more cannot be told apart and make the picture heavy.
_SHADES = 20


def promise(result: Lifespan) -> str:
    """The tolerance in words: how much worse than a fresh model still counts as good."""
    return f"at most {says.limit(result.data, result.lifespan)} worse than fresh"


def passed(result: Lifespan) -> CurvePoint | None:
    """The age from which the average model is past the tolerance and mostly stays so, or None."""
    points, limit = result.curve, result.lifespan.tolerance
    for index, point in enumerate(points):
        rest = points[index:]
        if point.excess > limit and sum(later.excess > limit for later in rest) * 2 > len(rest):
            return point
    return None


def decay(result: Lifespan, *, width: int = WIDE) -> alt.LayerChart:
    """How much worse does a model get with age? The mean excess by age, with its band and the promise."""
    chart: alt.LayerChart = _decay(result, width).configure(**charts.theme())
    return chart


def survival(result: Lifespan, *, width: int = WIDE) -> alt.LayerChart:
    """How long do models last? The share still within the promise by age; ticks are models still good at the end."""
    chart: alt.LayerChart = _survival(result, width).configure(**charts.theme())
    return chart


def decay_map(result: Lifespan, *, width: int = WIDE) -> alt.LayerChart:
    """Do models age, or did something happen? Each row is one model ageing to the right along the calendar."""
    chart: alt.LayerChart = _decay_map(result, width).configure(**charts.theme())
    return chart


def overview(result: Lifespan, *, width: int = WIDE) -> alt.VConcatChart:
    """The three questions below each other, on one width of time."""
    parts = [_decay(result, width), _survival(result, width), _decay_map(result, width)]
    chart: alt.VConcatChart = alt.vconcat(*parts, spacing=36).configure(**charts.theme())
    return chart


def decay_title(result: Lifespan) -> tuple[str, str]:
    """The decay curve's answer, and how to read it."""
    if not result.curve:
        return "How models get worse with age is not known", ""
    task, every = result.data.task, result.data.every_days
    limit = words.excess(result.lifespan.tolerance, task)
    oldest = words.age(result.curve[-1].age_days, every)
    point = passed(result)
    if point is not None:
        since = words.age(point.age_days, every)
        answer = f"From {since} on, the average model is more than {limit} worse than a fresh one"
    elif any(point.excess > result.lifespan.tolerance for point in result.curve):
        answer = f"Up to an age of {oldest} the average model mostly stays within {limit} of a fresh one"
    else:
        answer = f"Up to an age of {oldest} the average model stays within {limit} of a fresh one"
    what = "percentage points of error" if result.data.metric == "error" else result.data.metric.replace("_", " ")
    band = f"; band: {words.share(result.lifespan.confidence)} interval" if any(map(_banded, result.curve)) else ""
    return answer, f"{what} above a fresh model on the same rows{band}"


def survival_title(result: Lifespan) -> tuple[str, str]:
    """The survival curve's answer, and how to read it."""
    answer = result.lifespan
    count = words.plural(len(result.origins), "model")
    how = f"share of {count} still within the promise; ticks: still good when last seen"
    if answer.verdict == "unknown":
        return "How long models last is not known", how
    if answer.median_days is not None:
        span = ""
        if answer.low_days is not None or answer.high_days is not None:
            span = f" ({words.between(answer.low_days, answer.high_days)})"
        return f"Half of the models last longer than {words.days(answer.median_days)}{span}", how
    watched = words.days(answer.watched_days)
    if answer.verdict == "no expiry seen":
        some = (
            f"; {answer.expired} of {count} seemed to for a while, no more than chance may do" if answer.expired else ""
        )
        return f"No expiry seen in {watched}{some}", how
    return f"More than half of the models outlast what could be watched: {answer.expired} of {count} expired", how


def map_title(result: Lifespan) -> tuple[str, str]:
    """The decay map's answer, and how to read it."""
    every = result.data.every_days
    if not result.decay_map:
        return "Whether models age or break is not known", ""
    how = "each row is one model ageing to the right; red: worse than a fresh model on the same rows, blue: better"
    if result.events:
        first, *others = sorted(result.events, key=lambda event: -event.origins)
        also = f", {others[0].origins} on {words.moment(others[0].at, every)}" if others else ""
        also += f" and more at {words.plural(len(others) - 1, 'other moment')}" if len(others) > 1 else ""
        return f"{words.plural(first.origins, 'model')} ended together on {words.moment(first.at, every)}{also}", how
    if result.lifespan.verdict == "expires":
        return "Models end one by one: no moment at which they fail together", how
    return "No model and no moment turns red for long", how


def _ages(result: Lifespan, width: int) -> Ages:
    ages = [point.age_days for point in result.curve] + [point.age_days for point in result.survival]
    longest = max([*ages, *(origin.good_until_days for origin in result.origins), result.data.every_days])
    first, last = _span(result)
    span = (last - first) / timedelta(days=1)
    # A week is as wide here as on the map below, unless most of the picture would then be empty.
    limit = span if longest <= span <= 2 * longest else longest
    return Ages.until(limit, result.data.every_days, width)


def _span(result: Lifespan) -> tuple[datetime, datetime]:
    """From the birth of the first model to the end of the last cell: the time the map shows."""
    born = [cell.born for cell in result.decay_map] or [origin.at for origin in result.origins] or [result.data.start]
    ends = [cell.start for cell in result.decay_map]
    last = max(ends) + timedelta(days=result.data.every_days) if ends else result.data.end
    return min(born), max(last, min(born) + timedelta(days=result.data.every_days))


def _title(text: tuple[str, str], width: int) -> alt.Title:
    return marks.heading(*text, width=width)


def _age_rows(result: Lifespan, ages: Ages, height: int) -> list[alt.Chart]:
    """Words below the ages, with how many models each age rests on."""
    watched = [origin.observed_days / ages.size for origin in result.origins]
    return ages.rows("models", [sum(reached > tick * 1.0001 for reached in watched) for tick in ages.ticks], height)


def _banded(point: CurvePoint) -> bool:
    return math.isfinite(point.excess_low) and math.isfinite(point.excess_high)


def _excess_domain(result: Lifespan, scale: float) -> tuple[float, float]:
    """The excess from lowest to highest; the wide ends of bands that rest on few models do not flatten the rest."""
    sure = max((point.origins for point in result.curve), default=0) / 3
    ends = [point.excess for point in result.curve]
    ends += [e for p in result.curve if _banded(p) and p.origins >= sure for e in (p.excess_low, p.excess_high)]
    low, high = min(0.0, *ends), max(result.lifespan.tolerance * 1.5, *ends)
    high = high if high > low else low + 1.0  # models that are perfect at every age
    room = (high - low) * 0.08
    return (low - room * 2) * scale, (high + room) * scale


def _decay(result: Lifespan, width: int) -> Any:
    if not result.curve:
        return marks.empty(
            "No model was scored on rows that came after it.", _title(decay_title(result), width), width=width
        )
    height = 230
    scale = 100.0 if result.data.task == "classification" else 1.0
    ages, (low, high) = _ages(result, width), _excess_domain(result, scale)
    rows, run = [], 0
    for index, point in enumerate(result.curve):
        gap = index and point.age_days - result.curve[index - 1].age_days > 1.5 * result.data.every_days
        run += bool(gap)
        band = (point.excess_low, point.excess_high) if _banded(point) else (point.excess, point.excess)
        kept = [min(max(end * scale, low), high) for end in band]
        rows.append(
            {
                "age": point.age_days / ages.size,
                "excess": point.excess * scale,
                "low": kept[0],
                "high": kept[1],
                "run": run,
            }
        )
    sign = "(datum.value > 0 ? '+' : '') + format(datum.value, ',.6~r')"
    axis = alt.Axis(labelExpr=sign, tickCount=5, title=None)
    x = ages.x()
    y = alt.Y("excess:Q", axis=axis, scale=alt.Scale(domain=[low, high], nice=False, zero=False))
    curve = alt.Chart(values(rows)).encode(x=x, detail="run:N")
    limit = result.lifespan.tolerance * scale
    at = alt.Y("at:Q", scale=alt.Scale(domain=[low, high]))
    said = f"promised: {promise(result)}"
    if len(said) * 6.6 > width * 0.6:
        said = f"promised: {says.limit(result.data, result.lifespan)}"
    lines = [{"at": 0.0, "text": "as good as fresh"}, {"at": limit, "text": said}]
    layers = [
        alt.Chart(values(lines[:1])).mark_rule(color=colour("muted"), strokeWidth=1).encode(y=at),
        curve.mark_area(color=colour("data"), fillOpacity=0.16).encode(y=alt.Y("low:Q"), y2="high:Q"),
        alt.Chart(values(lines[1:])).mark_rule(color=colour("broken"), strokeWidth=1.25).encode(y=at),
        curve.mark_line(color=colour("data"), strokeWidth=2, strokeJoin="round").encode(y=y),
        *_lone(rows, x, y),
        *_crossing(result, rows, low, x, y),
        marks.beside(lines[0], at, (width, height), rows, (low, high), sides=(11,), color=colour("muted")),
        marks.beside(lines[1], at, (width, height), rows, (low, high), sides=(-9, 11), color=colour("broken")),
        *_age_rows(result, ages, height),
    ]
    return alt.layer(*layers, title=_title(decay_title(result), width)).properties(width=width, height=height)


def _lone(rows: list[dict[str, Any]], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Ages without neighbours, which no line would show."""
    runs = [row["run"] for row in rows]
    alone = [row for row in rows if runs.count(row["run"]) == 1]
    return [alt.Chart(values(alone)).mark_circle(color=colour("data"), size=30).encode(x=x, y=y)] if alone else []


def _crossing(result: Lifespan, rows: list[dict[str, Any]], floor: float, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Where the average model passes the promise, dropped to its age; the title says the number."""
    point = passed(result)
    if point is None:
        return []
    found = rows[result.curve.index(point)]
    base = alt.Chart(values([{**found, "floor": floor}]))
    ring = base.mark_point(opacity=1, color=colour("data"), fill=colour("paper"), size=45, strokeWidth=2)
    drop = base.mark_rule(color=colour("ink"), strokeDash=[2, 3])
    return [drop.encode(x=x, y=y, y2="floor:Q"), ring.encode(x=x, y=y)]


def _survival(result: Lifespan, width: int) -> Any:
    height, ages = 190, _ages(result, width)
    rows = _steps(result, ages)
    if not rows:
        reason = "No model was watched long enough to tell."
        return marks.empty(reason, _title(survival_title(result), width), width=width)
    scale = alt.Scale(domain=[0, 1.04], nice=False)
    x = ages.x()
    axis = alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], labelExpr="format(datum.value * 100, '.0f') + ' %'", title=None)
    y = alt.Y("share:Q", scale=scale, axis=axis)
    curve = alt.Chart(values(rows)).encode(x=x)
    good = [_tick(origin, rows, ages) for origin in result.origins if origin.expired_after_days is None]
    layers = [
        curve.mark_area(color=colour("data"), fillOpacity=0.16, interpolate="step-after").encode(
            y=alt.Y("low:Q", scale=scale), y2="high:Q"
        ),
        curve.mark_line(color=colour("data"), strokeWidth=2, interpolate="step-after").encode(y=y),
        alt.Chart(values(good))
        .mark_tick(color=colour("data"), size=9, thickness=1.25, orient="vertical")
        .encode(x=x, y=y),
        *_marked(result, ages, x, y),
        *_age_rows(result, ages, height),
    ]
    return alt.layer(*layers, title=_title(survival_title(result), width)).properties(width=width, height=height)


def _steps(result: Lifespan, ages: Ages) -> list[dict[str, Any]]:
    """The survival curve from age nought, where all are good, to the last age that was watched."""
    points = [(p.age_days / ages.size, p.survival, p.low, p.high) for p in result.survival]
    watched = max((origin.good_until_days for origin in result.origins), default=0.0) / ages.size
    if not points and (result.lifespan.verdict == "unknown" or not watched):
        return []
    if not points or points[0][0] > 0:
        points.insert(0, (0.0, 1.0, 1.0, 1.0))
    if watched > points[-1][0]:
        points.append((watched, *points[-1][1:]))
    return [dict(zip(("age", "share", "low", "high"), point, strict=True)) for point in points]


def _tick(origin: Origin, rows: list[dict[str, Any]], ages: Ages) -> dict[str, float]:
    age = origin.good_until_days / ages.size
    return {"age": age, "share": next((row["share"] for row in reversed(rows) if row["age"] <= age), 1.0)}


def _marked(result: Lifespan, ages: Ages, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The median and the lower quartile: dropped to the axis, and said."""
    answer = result.lifespan
    layers: list[alt.Chart] = []
    for share, days, hue, meaning in (
        (0.75, answer.quartile_days, "ageing", "best before"),
        (0.5, answer.median_days, "ink", "half last longer"),
    ):
        if days is None:
            continue
        row: dict[str, Any] = {
            "age": days / ages.size,
            "share": share,
            "floor": 0,
            "text": f"{words.days(days)}: {meaning}",
        }
        late = row["age"] > ages.limit * 0.6
        layers += [
            alt.Chart(values([row])).mark_rule(color=colour(hue), strokeDash=[2, 3]).encode(x=x, y=y, y2="floor:Q"),
            alt.Chart(values([row])).mark_circle(color=colour(hue), size=36, opacity=1).encode(x=x, y=y),
            marks.text(
                [row], align="right" if late else "left", dx=-8 if late else 8, dy=-8, color=colour(hue), fontWeight=600
            ).encode(x=x, y=y),
        ]
    return layers


@dataclass(frozen=True)
class _Map:
    """Where things are on the decay map."""

    width: int
    height: int
    births: list[datetime]
    every: timedelta
    limit: float
    time: marks.TimeLine


def _decay_map(result: Lifespan, width: int) -> Any:
    if not result.decay_map:
        return marks.empty(
            "No model was scored on rows that came after it.", _title(map_title(result), width), width=width
        )
    births = sorted({cell.born for cell in result.decay_map})
    # Rows are equally high however irregular the births, so that none becomes a hairline: time is told along x.
    row = min(max(300 / len(births), 3), 20)
    sizes = sorted(abs(cell.excess) for cell in result.decay_map)
    limit = marks.round_up(max(sizes[int(0.92 * (len(sizes) - 1))], result.lifespan.tolerance * 1.5, 1e-12))
    every = timedelta(days=result.data.every_days)
    first, last = _span(result)
    place = _Map(width, round(row * len(births)), births, every, limit, marks.TimeLine(first, last, width))
    scale = alt.Scale(type="utc", domain=[instant(first), instant(last)], nice=False)
    x = alt.X("start:T", scale=scale, axis=charts.time_axis(first, last, width))
    padding = 1 / row if row >= 7 else 0
    y = alt.Y("row:O", axis=None, scale=alt.Scale(domain=list(range(len(births))), padding=0, paddingInner=padding))
    layers = [
        *_cells(result.decay_map, place, x, y),
        *_ends(result, place, x, y),
        *_birth_labels(place, y),
        *_shades(place, result.data.task, x),
        *_events(result, place, x),
    ]
    return alt.layer(*layers, title=_title(map_title(result), width)).properties(width=width, height=place.height)


def _cells(cells: tuple[Cell, ...], place: _Map, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The cells by hue and strength over a faint ground, so that a missing cell is paper and an even one is not."""
    rows = {born: index for index, born in enumerate(place.births)}
    ordered = sorted(cells, key=lambda cell: (cell.born, cell.start))
    ground: list[dict[str, Any]] = []
    shown = []
    for cell, after in zip(ordered, [*ordered[1:], None], strict=True):
        end = cell.start + place.every
        if after is not None and after.born == cell.born:
            end = min(end, after.start)
        spot = {"row": rows[cell.born], "start": instant(cell.start), "end": instant(end)}
        if ground and ground[-1]["row"] == spot["row"] and ground[-1]["end"] == spot["start"]:
            ground[-1]["end"] = spot["end"]
        else:
            ground.append(dict(spot))
        shade = round(min(abs(cell.excess) / place.limit, 1) * _SHADES) / _SHADES
        if shade:
            shown.append({**spot, "shade": shade, "hue": colour("broken" if cell.excess > 0 else "data")})
    shown.sort(key=lambda cell: (cell["hue"], cell["shade"]))
    layers = [alt.Chart(values(ground)).mark_rect(color=colour("muted"), fillOpacity=0.12).encode(x=x, x2="end:T", y=y)]
    if shown:
        hue, strength = alt.Fill("hue:N", scale=None), alt.FillOpacity("shade:Q", scale=None)
        tinted = alt.Chart(values(shown)).mark_rect()
        layers.append(tinted.encode(x=x, x2="end:T", y=y, fill=hue, fillOpacity=strength))
    return layers


def _ends(result: Lifespan, place: _Map, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A tick in each row where that model's excess began to pass the tolerance."""
    rows = {born: index for index, born in enumerate(place.births)}
    ends = [
        {"row": rows[origin.at], "start": instant(origin.at + timedelta(days=origin.expired_after_days))}
        for origin in result.origins
        if origin.expired_after_days is not None and origin.at in rows
    ]
    size = max(3, place.height / len(place.births))
    tick = alt.Chart(values(ends)).mark_tick(color=colour("ink"), thickness=2, size=size, orient="vertical")
    return [tick.encode(x=x, y=y)] if ends else []


def _birth_labels(place: _Map, y: alt.Y) -> list[alt.Chart]:
    days = place.every / timedelta(days=1)
    step = math.ceil(len(place.births) / max(1, place.height // 26))
    shown = [{"row": index, "text": _birth(born, days)} for index, born in enumerate(place.births) if index % step == 0]
    quiet = {"align": "right", "color": colour("muted")}
    return [
        marks.text(shown, fontSize=11, **quiet).encode(y=y, **pixels(x=-8)),
        marks.text([{"text": "made on"}], **quiet).encode(**pixels(x=-8, y=-13)),
    ]


def _birth(born: datetime, days: float) -> str:
    return words.date(born, short=True) if days >= 1 else f"{born.day} {born:%b %H:%M}"


def _shades(place: _Map, task: str, x: alt.X) -> list[alt.Chart]:
    most = words.excess(place.limit, task, sign=True)
    least = words.signed(-round(place.limit * 100, 2)) if task == "classification" else words.signed(-place.limit)
    return marks.shades(least, most, place.time, x)


def _events(result: Lifespan, place: _Map, x: alt.X) -> list[alt.Chart]:
    """Moments at which models ended together, marked through the map and said below the calendar."""
    every = result.data.every_days
    said = [
        (event.at, f"{words.moment(event.at, every, short=True)}: {words.plural(event.origins, 'model')} ended")
        for event in result.events
    ]
    return marks.moments(said, place.time, place.height, x)
