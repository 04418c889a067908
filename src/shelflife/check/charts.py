"""The answer as pictures: evidence against its alarm line, performance against its limit, columns as small lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import altair as alt
from markupsafe import Markup

from shelflife.look import charts, words
from shelflife.look.charts import WIDE, colour, instant, pixels, values
from shelflife.look.marks import text

if TYPE_CHECKING:
    from datetime import datetime

    from shelflife.check.result import Check, Performance, Track

_HEIGHT = 170
_SMALL = (120, 26)


def evidence_title(result: Check) -> tuple[str, str]:
    """The answer of the evidence's picture, and how to read it."""
    rung = sum(value >= result.evidence.alarm for value in result.evidence.log10)
    if rung:
        answer = f"The evidence of a change reached the alarm line in {words.plural(rung, 'bucket')}"
    else:
        answer = "The evidence of a change stayed below the alarm line"
    return answer, (
        "each bucket multiplies it, and what rings an alarm is used up: 0 is no evidence, 1 is ten to one, 2 a hundred"
        " to one"
    )


def evidence(result: Check, *, width: int = WIDE) -> alt.LayerChart:
    """Evidence over the buckets, and the line at which it rings."""
    rows = [
        {"at": instant(start), "value": max(value, _FLOOR)}
        for start, value in zip(result.evidence.starts, result.evidence.log10, strict=True)
        if start is not None
    ]
    top = max([result.evidence.alarm * 1.15, *(row["value"] for row in rows)])
    y = alt.Y("value:Q", scale=alt.Scale(domain=[_FLOOR, top]), axis=alt.Axis(title=None, tickCount=5))
    line = alt.Chart(values(rows)).mark_line(color=colour("data"), strokeWidth=1.5, interpolate="step-after")
    dots = [row for row in rows if row["value"] >= result.evidence.alarm]
    layers = [line.encode(x=_time(result, width), y=y)]
    if dots:
        marks = alt.Chart(values(dots)).mark_point(color=colour("broken"), filled=True, size=28, shape="square")
        layers.append(marks.encode(x=_time(result, width), y=y))
    layers += _level(result.evidence.alarm, "alarm", "broken", y, width)
    return _drawn(layers, evidence_title(result)[0], width)


_FLOOR = -2.0


def performance_title(row: Performance) -> tuple[str, str]:
    """The answer of a metric's picture, and how to read it."""
    name = row.metric.replace("_", " ")
    now = row.observed if row.observed is not None else row.estimated
    estimated = "" if row.observed is not None else ", estimated"
    where = "" if row.segment is None else f" where {row.segment.replace('=', ' is ', 1)}"
    answer = f"{name[0].upper()}{name[1:]} is {words.number(now)}{estimated}{where}; in the reference it was"
    return f"{answer} {words.number(row.reference)}", "each bucket of the current data, by the time of its rows"


def performance(result: Check, row: Performance, *, width: int = WIDE) -> alt.LayerChart:
    """One metric over the buckets, with the reference and what it is held to."""
    points = row.track.points if row.track is not None else ()
    rows = [{"at": instant(point.start), "value": point.value} for point in points if point.start is not None]
    known = [found["value"] for found in rows if found["value"] is not None]
    levels = [value for value in (row.limit, row.reference) if value is not None]
    low, high = min([*known, *levels]), max([*known, *levels])
    room = (high - low) * 0.1 or 0.05
    y = alt.Y("value:Q", scale=alt.Scale(domain=[low - room, high + room]), axis=alt.Axis(title=None, tickCount=5))
    line = alt.Chart(values(rows)).mark_line(color=colour("data"), strokeWidth=1.5, invalid="break-paths-show-domains")
    layers = [line.encode(x=_time(result, width), y=y)]
    if row.reference is not None:
        layers += _level(row.reference, "reference", "muted", y, width)
    if row.limit is not None:
        layers += _level(row.limit, "promised", "broken", y, width)
    return _drawn(layers, performance_title(row)[0], width)


def _drawn(layers: list[Any], title: str, width: int) -> alt.LayerChart:
    made = alt.layer(*layers, title=alt.Title(title)).properties(width=width, height=_HEIGHT)
    made = made.configure(**charts.theme())
    return cast("alt.LayerChart", made)


def _time(result: Check, width: int) -> alt.X:
    start, end = span(result)
    scale = alt.Scale(type="utc", domain=[instant(start), instant(end)], nice=False)
    return alt.X("at:T", scale=scale, axis=charts.time_axis(start, end, width))


def span(result: Check) -> tuple[datetime, datetime]:
    """The time that all pictures of a page show."""
    if result.start is None or result.end is None:
        raise ValueError("a check without time has no pictures over time")
    return result.start, result.end


def _level(value: float, said: str, role: str, y: alt.Y, width: int) -> list[alt.Chart]:
    rows = [{"value": value, "text": said}]
    rule = alt.Chart(values(rows)).mark_rule(color=colour(role), strokeDash=[4, 3]).encode(y=y)
    return [
        rule,
        text(rows, align="right", baseline="bottom", dy=-3, color=colour(role)).encode(y=y, **pixels(x=width)),
    ]


def sparkline(track: Track | None) -> Markup:
    """A column's course in a few hundred bytes: a line, and the reference's value as a thin one."""
    if track is None:
        return Markup("")
    known = [point.value for point in track.points if point.value is not None]
    if len(known) < 2:
        return Markup("")
    levels = [*known, *([track.reference] if track.reference is not None else [])]
    low, high = min(levels), max(levels)
    width, height = _SMALL
    scale = (height - 4) / ((high - low) or 1.0)
    middle = 0.0 if high > low else height / 2 - 2

    def place(value: float) -> str:
        return f"{height - 2 - middle - (value - low) * scale:.1f}"

    step = width / max(1, len(track.points) - 1)
    # More points than pixels cannot be seen.
    every = max(1, len(track.points) // (2 * width))
    runs: list[list[str]] = []
    run: list[str] = []
    for index, point in enumerate(track.points):
        if point.value is None:
            runs.append(run)
            run = []
        elif index % every == 0:
            run.append(f"{index * step:.1f},{place(point.value)}")
    lines = "".join(f'<polyline points="{" ".join(points)}"/>' for points in [*runs, run] if len(points) > 1)
    flat = "" if track.reference is None else f'<path d="M0 {place(track.reference)}H{width}"/>'
    said = f"{track.what}: {words.number(known[0])} to {words.number(known[-1])}"
    frame = '<svg class="spark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">{3}</svg>'
    return Markup(frame).format(width, height, said, Markup(flat + lines))  # noqa: S704 - numbers of our own making
