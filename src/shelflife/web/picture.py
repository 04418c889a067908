"""The lifeline drawn: promised, observed and estimated over time, and what happened meanwhile on rows below."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt

from shelflife.look import charts, words
from shelflife.look.charts import colour, instant, pixels
from shelflife.look.marks import heading, text
from shelflife.views.lifeline import Lifeline, Mark

_HEIGHT = 210
_ROW = 26
_NAMES = {"finding": "findings", "plan": "plans", "reference": "references"}
_INKS = {"finding": "broken", "plan": "ageing", "reference": "renewal"}
_SHAPES = {"finding": "triangle-down", "plan": "diamond", "reference": "circle"}


@functools.lru_cache(maxsize=256)
def drawn(line: Lifeline, title: str, width: int) -> str:
    """The picture as an SVG that stands alone; drawing takes a tenth of a second, so the last ones are kept."""
    made = chart(line, title, width=width)
    return charts.svg(made, standalone=True, data={"points": _rows(line), "marks": _signs(line)})


def warm() -> None:
    """Draw a picture that nobody sees: what draws takes a second to start, which the first visitor would wait."""
    # What draws looks into pandas where another thread has begun to import it: it is waited for, once.
    import pandas  # noqa: F401

    start = datetime(2000, 1, 1, tzinfo=UTC)
    drawn.__wrapped__(
        Lifeline("", "accuracy", True, start, start + timedelta(1), timedelta(1), (), ()), "", charts.WIDE
    )


def chart(line: Lifeline, title: str, *, width: int) -> Any:
    """The picture: its title is the answer."""
    x = _time(line, charts.time_axis(line.start, line.end, width))
    if line.marks:
        quiet = _time(line, alt.Axis(labels=False, ticks=False, title=None))
        parts = [_performance(line, quiet, width), _happened(line, x, width)]
    else:
        parts = [_performance(line, x, width)]
    # All at once: each method of a chart copies the whole of it.
    return alt.vconcat(
        *parts, spacing=14, title=heading(title, _how(line), width=width),
        resolve={"scale": {"x": "shared"}},
        config={**charts.theme(), "concat": {"spacing": 14}},
    )  # fmt: skip


def _time(line: Lifeline, axis: alt.Axis) -> alt.X:
    scale = alt.Scale(type="utc", domain=[instant(line.start), instant(line.end)], nice=False)
    return alt.X("at:T", axis=axis, scale=scale)


def says(line: Lifeline) -> str:
    """The answer of the picture, as its title."""
    latest = line.latest
    if latest is None or latest.observed is None:
        return f"No outcome is known yet; promised is {line.promise}"
    return f"{line.metric.capitalize()} is {figure(line, latest.observed)}; promised is {line.promise}"


def figure(line: Lifeline, value: float | None) -> str:
    """A value of the metric in words."""
    if value is None:
        return "unknown"
    return words.share(value) if line.rises else words.number(value)


def _how(line: Lifeline) -> str:
    days = line.every / timedelta(days=1)
    each = "each day" if days == 1 else f"each {days:g} days" if days > 1 else f"each {days * 24:g} hours"
    band = ", its band an interval of 90\u00a0%" if line.rises else ""
    held = "promised" if line.held else "allowed by the reference"
    return f"{each}, by the time of the predictions: observed (line{band}), estimated (dashed), {held} (red)"


def _performance(line: Lifeline, x: alt.X, width: int) -> Any:
    rows = _rows(line)
    ends = [row[name] for row in rows for name in ("observed", "low", "high", "estimated", "promised")]
    seen = [value for value in ends if value is not None]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = (high - low) * 0.08 or 0.05
    share = line.rises
    domain = [max(0.0, low - room), min(1.0, high + room) if share else high + room]
    axis = alt.Axis(tickCount=5, format="%") if share else alt.Axis(tickCount=5)
    scale = alt.Scale(domain=domain, nice=False)

    def y(name: str) -> alt.Y:
        return alt.Y(f"{name}:Q", scale=scale, axis=axis)

    base = alt.Chart(alt.NamedData("points"))
    gaps: dict[str, Any] = {"invalid": "break-paths-show-domains"}
    band = base.mark_area(color=colour("data"), opacity=0.16, **gaps).encode(x=x, y=y("low"), y2="high:Q")
    estimated = base.mark_line(color=colour("data"), strokeWidth=1.25, strokeDash=[3, 3], **gaps)
    observed = base.mark_line(color=colour("ink"), strokeWidth=1.75, **gaps)
    promised = base.mark_line(color=colour("broken"), strokeWidth=1.25, interpolate="step-after", **gaps)
    layers = [band, estimated.encode(x=x, y=y("estimated")), observed.encode(x=x, y=y("observed")),
              promised.encode(x=x, y=y("promised"))]  # fmt: skip
    held = next((row["promised"] for row in rows if row["promised"] is not None), None)
    if held is not None:
        what = f"{'promised' if line.held else 'allowed'}: at {'least' if share else 'most'}"
        said = [{"promised": held, "text": f"{what} {figure(line, held)}"}]
        layers.append(
            text(said, color=colour("broken"), align="left", baseline="top", dx=2, dy=4)
            .encode(y=y("promised"), **pixels(x=0))
        )  # fmt: skip
    return alt.layer(*layers).properties(width=width, height=_HEIGHT)


def _rows(line: Lifeline) -> list[dict[str, Any]]:
    """A row for each slice, where nothing is known a gap."""
    rows, due = list[dict[str, Any]](), line.start
    for one in line.points:
        if one.start > due:
            rows.append(dict.fromkeys(("observed", "low", "high", "estimated", "promised")) | {"at": instant(due)})
        rows.append(
            {"at": instant(one.start + line.every / 2), "observed": one.observed, "low": one.low, "high": one.high,
             "estimated": one.estimated, "promised": one.promised}
        )  # fmt: skip
        due = one.start + line.every
    return rows


def _happened(line: Lifeline, x: alt.X, width: int) -> Any:
    """What happened, a row for each kind: what lasts as a bar, what is at once as a sign."""
    kinds = [kind for kind in _NAMES if any(mark.row == kind for mark in line.marks)]
    domain = [_NAMES[kind] for kind in kinds]
    axis = alt.Axis(domain=False, grid=True, labelColor=colour("ink"))
    y = alt.Y("row:N", scale=alt.Scale(domain=domain), axis=axis)
    shades = alt.Color("row:N", legend=None,
                       scale=alt.Scale(domain=domain, range=[colour(_INKS[kind]) for kind in kinds]))  # fmt: skip
    shapes = alt.Shape("row:N", legend=None,
                       scale=alt.Scale(domain=domain, range=[_SHAPES[kind] for kind in kinds]))  # fmt: skip
    base = alt.Chart(alt.NamedData("marks"))
    lasts = base.transform_filter("datum.until > datum.at").mark_rule(strokeWidth=3, opacity=0.45)
    signs = base.mark_point(filled=True, size=70, opacity=1)
    layers = [lasts.encode(x=x, x2="until:Q", y=y, color=shades), signs.encode(x=x, y=y, color=shades, shape=shapes)]
    return alt.layer(*layers).properties(width=width, height=_ROW * len(kinds))


def _signs(line: Lifeline) -> list[dict[str, Any]]:
    return [_mark(mark, line.start, line.end) for mark in line.marks]


def _mark(mark: Mark, start: datetime, end: datetime) -> dict[str, Any]:
    at = min(max(mark.at, start), end)
    until = at if mark.row != "finding" else min(mark.until or end, end)
    return {"at": instant(at), "until": instant(until), "row": _NAMES[mark.row]}
