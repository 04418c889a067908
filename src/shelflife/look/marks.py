"""Marks that charts share: words on a line, a scale of shades, moments below the calendar, and empty pictures."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import altair as alt

from shelflife.look.charts import MARGIN, WIDE, colour, instant, pixels, values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# About how wide a letter of a label is, for placing words before they are drawn.
_LETTER = 6.6


@dataclass(frozen=True)
class TimeLine:
    """Calendar time laid along `width` pixels."""

    first: datetime
    last: datetime
    width: int

    def at(self, pixel: float) -> datetime:
        """The moment that lies so far from the left end."""
        return self.first + (self.last - self.first) * (pixel / self.width)

    def pixel(self, moment: datetime) -> float:
        """How far from the left end a moment lies."""
        return (moment - self.first) / (self.last - self.first) * self.width


def text(rows: list[dict[str, Any]], **mark: Any) -> alt.Chart:
    """Words at places that the caller encodes."""
    chart: alt.Chart = alt.Chart(values(rows)).mark_text(**{"align": "left", **mark}).encode(text="text:N")
    return chart


def heading(answer: str, how: str, *, width: int) -> alt.Title:
    """A chart's title: the answer, and below it how to read the chart, in lines that fit `width`."""
    room = width + MARGIN
    # About as wide as a letter of each size comes out in a wide font.
    lines = [textwrap.wrap(part, max(24, int(room / each))) for part, each in ((answer, 10.4), (how, 7.4))]
    return alt.Title(lines[0], subtitle=lines[1] or "")


def empty(reason: str, title: alt.Title, *, width: int = WIDE) -> alt.LayerChart:
    """What stands in place of a chart that has nothing to show: the reason, in words."""
    words = text([{"text": reason}], color=colour("muted"), fontSize=13).encode(**pixels(x=-MARGIN, y=12))
    return cast("alt.LayerChart", alt.layer(words, title=title).properties(width=width, height=24))


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 8 times a power of ten, so that the scale's ends read well."""
    scale = 10.0 ** math.floor(math.log10(value))
    return next((scale * size for size in (1, 1.5, 2, 3, 4, 5, 8, 10) if scale * size >= value * 0.999), scale * 10)


def beside(
    line: dict[str, Any],
    y: alt.Y,
    size: tuple[int, int],
    rows: list[dict[str, Any]],
    domain: tuple[float, float],
    *,
    sides: tuple[int, ...],
    **mark: Any,
) -> alt.Chart:
    """Words on a level line, at the end and on the side where the curve keeps furthest from them."""
    width, height = size
    per_unit = height / (domain[1] - domain[0])
    oldest = max(row["age"] for row in rows)
    reach = min(1.0, _LETTER * len(line["text"]) / width)
    best = (-math.inf, "left", sides[0])
    for align in ("left", "right"):
        for side in sides:
            near = [
                row
                for row in rows
                if (row["age"] <= oldest * reach if align == "left" else row["age"] >= oldest * (1 - reach))
            ]
            room = min((abs((line["at"] - row["excess"]) * per_unit - side) for row in near), default=math.inf)
            inside = domain[0] <= line["at"] - side / per_unit <= domain[1]
            best = max(best, (min(room, 24) if inside else -1, align, side), key=lambda option: option[0])
    _, align, side = best
    x = pixels(x=4 if align == "left" else width)
    return text([line], align=align, dy=side, **mark).encode(**x, y=y)


def shades(least: str, most: str, time: TimeLine, x: alt.X) -> list[alt.Chart]:
    """A small scale above the right end of a map: what full blue and full red stand for."""
    size, count = 9, 9
    right = time.width - 84
    blocks = []
    for index in range(count):
        level = (index - count // 2) / (count // 2)
        hue = colour("broken" if level > 0 else "data" if level < 0 else "muted")
        ends = [instant(time.at(right - (count - index - end) * size)) for end in (0, 1)]
        blocks.append({"start": ends[0], "end": ends[1], "shade": abs(level) or 0.12, "hue": hue})
    paint = {"fill": alt.Fill("hue:N", scale=None), "fillOpacity": alt.FillOpacity("shade:Q", scale=None)}
    swatch = alt.Chart(values(blocks)).mark_rect().encode(x=x, x2="end:T", **pixels(y=-18, y2=-9), **paint)
    ends_said = ((least, "right", right - count * size - 6), (most, "left", right + 6))
    labels = [
        text([{"text": said}], align=align, color=colour("muted"), fontSize=11).encode(**pixels(x=at, y=-13))
        for said, align, at in ends_said
    ]
    return [swatch, *labels]


def moments(said: Sequence[tuple[datetime, str]], time: TimeLine, height: int, x: alt.X) -> list[alt.Chart]:
    """Moments that matter: each a fine column through the plot and a diamond with its words below the calendar."""
    layers: list[alt.Chart] = []
    taken: list[float] = []
    inside = sorted(each for each in said if time.first <= each[0] <= time.last)
    places = [time.pixel(moment) for moment, _ in inside]
    for moment, words in inside:
        at, length = time.pixel(moment), _LETTER * len(words) + 14
        # Words go where no other moment's column would strike them out.
        free = {
            "left": at - length > -60 and not any(at - length < other < at for other in places),
            "right": at + length < time.width + 8 and not any(at < other < at + length for other in places),
        }
        flip = not free["right"] and (free["left"] or at + length > time.width + 8)
        left, right = (at - length, at + 6) if flip else (at - 6, at + length)
        line = next((index for index, end in enumerate(taken) if left > end + 8), len(taken))
        taken[line : line + 1] = [right]
        top = height + 50 + 19 * line
        row = {"start": instant(moment), "text": words}
        base = alt.Chart(values([row]))
        column = base.mark_rule(color=colour("ageing"), strokeDash=[2, 3], strokeWidth=1)
        diamond = base.mark_point(shape="diamond", color=colour("ageing"), fill=colour("ageing"), opacity=1, size=60)
        layers += [
            column.encode(x=x, **pixels(y=-4, y2=top)),
            diamond.encode(x=x, **pixels(y=top)),
            text([row], align="right" if flip else "left", dx=-10 if flip else 10).encode(x=x, **pixels(y=top)),
        ]
    return layers
