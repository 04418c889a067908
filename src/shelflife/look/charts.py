"""One theme for every chart, and SVG that follows the reader's light or dark screen.

Charts are drawn with the light inks; `svg` then trades each ink for its role, so one picture serves both.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import altair as alt
import vl_convert

from shelflife.look import ink

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDE = 580
NARROW = 258
# The room left and right of every plot, so that plots below each other begin and end at one line.
MARGIN = 80
RIGHT = 12

_ROLES = {colours.light: role for role, colours in ink.INKS.items()}
_PAINTS = ("fill", "stroke", "stop-color")
# What the renderer adds for its own use or for readers of single marks; the picture is one image with one name.
_NOISE = ("role", "pointer-events", "aria-hidden", "aria-roledescription", "aria-label", "class", "font-family")
_DEFAULTS = {("opacity", "1"), ("fill-opacity", "1"), ("stroke-width", "1"), ("stroke-opacity", "1")}
_LONG = re.compile(r"-?\d+\.\d{3,}")


def theme() -> dict[str, Any]:
    """The configuration that every chart carries: few lines, light grid, quiet words."""
    inks = {role: colours.light for role, colours in ink.INKS.items()}
    axis = {
        "domain": False,
        "gridColor": inks["rule"],
        "labelColor": inks["muted"],
        "labelFontSize": 12,
        "labelPadding": 6,
        "tickColor": inks["rule"],
        "ticks": False,
        "title": None,
    }
    return {
        "aria": False,
        "axis": axis,
        "axisX": {"domain": True, "domainColor": inks["muted"], "grid": False, "labelFlush": False, "ticks": True},
        "axisY": {"minExtent": MARGIN - 6, "maxExtent": MARGIN - 6},
        "background": inks["paper"],
        "font": ink.FONT,
        "padding": 2,
        "text": {"color": inks["ink"], "fontSize": 12},
        "title": {
            "anchor": "start",
            "color": inks["ink"],
            "fontSize": 17,
            "fontWeight": 600,
            "dx": -MARGIN,
            "frame": "group",
            "offset": 14,
            "subtitleColor": inks["muted"],
            "subtitleFontSize": 13,
            "subtitlePadding": 6,
        },
        "view": {"stroke": None},
    }


def colour(role: str) -> str:
    """The hex colour by which a chart names an ink; `svg` turns it back into the role."""
    return ink.INKS[role].light


def values(rows: list[dict[str, Any]]) -> Any:
    """Rows as chart data, however many: charts here are drawn once, not sent around."""
    return {"values": rows}


def pixels(**places: float) -> dict[str, Any]:
    """Places counted in pixels from the plot's corner, as the encoding of ``x``, ``y`` and ``y2``."""
    channels: dict[str, Any] = {"x": alt.XValue, "y": alt.YValue, "y2": alt.Y2Value}
    return {name: channels[name](place) for name, place in places.items()}


def instant(when: datetime) -> float:
    """A moment as the milliseconds that time axes count, by the wall clock it was written in."""
    return when.replace(tzinfo=UTC).timestamp() * 1000


def steps(limit: float, most: int, preferred: Iterable[float] = ()) -> list[float]:
    """Even ticks from nought to `limit`, about `most` of them: in a preferred step, else in one of 1, 2 or 5 times ten.

    >>> steps(100, 6), steps(104, 6, (1, 13, 26)), steps(0.05, 5)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [0.0, 26.0, 52.0, 78.0, 104.0], [0.0, 0.01, 0.02, 0.03, 0.04, 0.05])
    """
    rough = limit / max(most, 1)
    if rough <= 0:
        return [0.0]
    scale = 10.0 ** math.floor(math.log10(rough))
    even = [scale * size for size in (1, 2, 5, 10, 20)]
    step = next(size for size in [*preferred, *even] if size >= rough * 0.999)
    return [round(float(step) * count, 10) for count in range(int(limit / step + 1e-9) + 1)]


def time_axis(start: datetime, end: datetime, width: int) -> alt.Axis:
    """Calendar ticks that fit `width`: the year is said once under its first tick, hours get their day."""
    days = max((end - start).total_seconds() / 86400, 1 / 1440)
    most = max(2, width // 58)
    if days / 365.25 > most / 2:
        step = max(1, math.ceil(days / 365.25 / most))
        ticks, label = _months(start, end, 12 * step), "utcFormat(datum.value, '%Y')"
    elif days > 14 * most / 2:
        step = next((step for step in (1, 2, 3, 6) if days / 30.4 / step <= most), 6)
        ticks = _months(start, end, step)
        label = _twice("'%b'", "utcmonth(datum.value) == 0", "'%Y'")
    elif days > 3:
        ticks = _every(start, end, next((86400.0 * n for n in (1, 2, 7, 14) if days / n <= most), 86400.0 * 28))
        label = _twice("'%-d %b'", "false", "'%Y'")
    else:
        ticks = _every(start, end, next((3600.0 * n for n in (1, 2, 3, 6, 12) if days * 24 / n <= most), 86400.0))
        label = _twice("'%H:%M'", "utchours(datum.value) == 0", "'%-d %b'")
    return alt.Axis(values=ticks, labelExpr=label, labelBound=False, title=None)


def svg(
    chart: Any, *, standalone: bool = False, heading: bool = True, data: dict[str, list[dict[str, Any]]] | None = None
) -> str:  # fmt: skip
    """A chart as SVG in which every ink is a role, as wide as what holds it.

    Within a page the roles come from the page's own sheet. A `standalone` file carries them along, and keeps the light
    colours as attributes for viewers that know no style sheets. Without `heading` the title is only its spoken name.
    Rows that the chart only names are in `data`: what it holds itself is copied at each step of making it.
    """
    spec = chart.to_dict(validate=False)  # the tests validate; a map of thousands of cells takes seconds to
    spec["datasets"] = {**spec.get("datasets", {}), **(data or {})}
    title = spec.get("title") or {}
    if not heading:
        spec.pop("title", None)
    spec["background"] = None
    drawn = re.sub(r' xmlns(:\w+)?="[^"]*"', "", vl_convert.vegalite_to_svg(spec))
    root = ET.fromstring(drawn)
    _tidy(root)
    _merge(root)
    name = title if isinstance(title, str) else _joined(title.get("text", ""))
    _frame(root, name, spec.get("width"), standalone)
    if not standalone:
        for node in root.iter():
            for paint in _PAINTS:
                if (role := _ROLES.get(node.get(paint, ""))) is not None:
                    node.set(paint, f"var(--{role})")
    return _unique(ET.tostring(root, encoding="unicode"))


def words(chart: Any) -> tuple[str, str]:
    """A chart's title and subtitle, for pages that set them as text."""
    title = chart.title
    subtitle = title.to_dict().get("subtitle", "")
    return _joined(title.to_dict()["text"]), _joined(subtitle)


def _joined(text: Any) -> str:
    return " ".join(text) if isinstance(text, list) else str(text)


def _twice(every: str, when: str, below: str) -> str:
    # The second line says what the first leaves out, where it begins and where it changes.
    return f"[utcFormat(datum.value, {every}), datum.index == 0 || {when} ? utcFormat(datum.value, {below}) : '']"


def _every(start: datetime, end: datetime, seconds: float) -> list[float]:
    step = seconds * 1000
    # Counted from a Monday, so that weekly ticks are Mondays.
    monday = instant(datetime(2001, 1, 1))
    first = math.ceil((instant(start) - monday) / step)
    last = math.floor((instant(end) - monday) / step)
    return [monday + step * count for count in range(first, last + 1)]


def _months(start: datetime, end: datetime, step: int) -> list[float]:
    first = math.ceil((start.year * 12 + start.month - 1 + (start.day > 1)) / step)
    last = (end.year * 12 + end.month - 1) // step
    return [instant(datetime(count * step // 12, count * step % 12 + 1, 1)) for count in range(first, last + 1)]


def _tidy(node: ET.Element) -> None:
    """Drop what does not show: empty shapes, defaults, labels of single marks, digits beyond a hundredth of a pixel."""
    if (node.get("class") or "").startswith("mark-rect"):
        # Cells that touch must not show the paper between them when the picture is scaled.
        node.set("shape-rendering", "crispEdges")
    for name in _NOISE:
        node.attrib.pop(name, None)
    for name, text in list(node.attrib.items()):
        if (name, text) in _DEFAULTS:
            del node.attrib[name]
        elif name in ("d", "transform", "x2", "y2", "fill-opacity"):
            node.set(name, _LONG.sub(lambda match: f"{float(match.group()):.2f}".rstrip("0").rstrip("."), text))
    for child in list(node):
        _tidy(child)
        shape = child.get("d") if child.tag == "path" else None
        unseen = shape is not None and (not shape or "h0v0" in shape or not {"fill", "stroke"} & set(child.attrib))
        if unseen or (child.tag == "g" and not len(child)):
            node.remove(child)
        elif child.tag == "g" and not child.attrib:
            place = list(node).index(child)
            node.remove(child)
            for offset, inner in enumerate(list(child)):
                node.insert(place + offset, inner)


def _merge(node: ET.Element) -> None:
    """Make one shape of neighbours in the file that share their paint: a map of thousands of cells stays small."""
    last: ET.Element | None = None
    for child in list(node):
        _merge(child)
        paint = {name: text for name, text in child.attrib.items() if name != "d"}
        alike = last is not None and paint == {name: text for name, text in last.attrib.items() if name != "d"}
        if last is not None and alike and child.tag == last.tag == "path" and "transform" not in paint:
            last.set("d", last.attrib["d"] + child.attrib["d"])
            node.remove(child)
        else:
            last = child


def _frame(root: ET.Element, name: str, plot: float | None, standalone: bool) -> None:
    """Give the picture its name, let it take the width of what holds it, and its inks where it stands alone."""
    left, width, height = 0.0, float(root.get("width", "0")), root.get("height", "0")
    origin = re.search(r"translate\((-?[\d.]+)", root[0].get("transform", "") if len(root) else "")
    if plot is not None and origin:
        # The same room around every plot, whatever words stand in it: plots on one page line up.
        left, width = float(origin[1]) - MARGIN, MARGIN + plot + RIGHT
    root.attrib.clear()
    root.attrib.update({"viewBox": f"{left:g} 0 {width:g} {height}", "role": "img", "aria-label": name})
    if standalone:
        root.attrib.update({"xmlns": "http://www.w3.org/2000/svg", "width": f"{width:g}", "height": height})
        root.set("font-family", ink.FONT)
        style = ET.Element("style")
        style.text = ink.picture_css()
        root.insert(0, style)
    else:
        root.set("width", "100%")


def _unique(text: str) -> str:
    # Several pictures share one page, where a name may be given once.
    if ' id="' not in text:
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'( id=")', rf"\g<1>s{mark}-", text)
    return re.sub(r"url\(#", f"url(#s{mark}-", text)
