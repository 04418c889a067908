"""Charts become SVG that follows the reader's screen, and stay small."""

from __future__ import annotations

import itertools
import math
import re
import runpy
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import altair as alt
import pytest

from shelflife.lifespan import charts as pictures
from shelflife.look import charts, ink, marks

SAMPLES = runpy.run_path(str(Path(__file__).with_name("samples.py")))["every_kind"]()
DRAW = [pictures.decay, pictures.survival, pictures.decay_map, pictures.overview]


def datasets(chart) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_picture_of_every_answer(name, draw):
    chart = draw(SAMPLES[name])
    root = ET.fromstring(charts.svg(chart))
    assert root.get("role") == "img"
    assert root.get("width") == "100%"
    assert root.get("viewBox")
    paints = [node.get(paint) for node in root.iter() for paint in ("fill", "stroke") if node.get(paint)]
    assert {paint for paint in paints if paint != "none"} <= {f"var(--{role})" for role in ink.INKS}
    assert paints


@pytest.mark.parametrize("draw", DRAW)
def test_the_chart_is_valid(draw):
    # Drawing leaves this check out, since it takes seconds.
    for name in ("ageing", "unknown", "regression"):
        assert "$schema" in draw(SAMPLES[name]).to_dict(validate=True)


@pytest.mark.parametrize("draw", DRAW[:3])
def test_the_name_is_the_title(draw):
    chart = draw(SAMPLES["ageing"])
    answer, how = charts.words(chart)
    root = ET.fromstring(charts.svg(chart))
    assert root.get("aria-label") == answer
    shown = " ".join("".join(node.itertext()) for node in root.iter("text"))
    assert answer.split()[-1] in shown
    bare = " ".join("".join(node.itertext()) for node in ET.fromstring(charts.svg(chart, heading=False)).iter("text"))
    assert how.split(";")[0] not in bare
    assert ET.fromstring(charts.svg(chart, heading=False)).get("aria-label") == answer


def test_a_picture_that_stands_alone():
    drawn = charts.svg(pictures.decay_map(SAMPLES["ageing"]), standalone=True)
    root = ET.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert ink.DARK in drawn
    assert "var(--broken)" in drawn
    assert f'fill="{ink.INKS["broken"].light}"' in drawn
    assert drawn.replace("http://www.w3.org/2000/svg", "").count("http") == 0


def test_plots_on_one_page_line_up():
    boxes = [ET.fromstring(charts.svg(draw(SAMPLES["ageing"]), heading=False)).get("viewBox") for draw in DRAW[:3]]
    assert {box.split()[2] for box in boxes} == {str(charts.MARGIN + charts.WIDE + charts.RIGHT)}


@pytest.mark.parametrize("name", ["ageing", "hours", "lasting"])
def test_cells_do_not_overlap_and_touch_only_their_neighbours(name):
    result = SAMPLES[name]
    cells = [row for row in datasets(pictures.decay_map(result)) if "row" in row and "shade" in row]
    by_row: dict[int, list[tuple[float, float]]] = {}
    for cell in cells:
        by_row.setdefault(cell["row"], []).append((cell["start"], cell["end"]))
    assert len(by_row) > 1
    for spans in by_row.values():
        ordered = sorted(spans)
        assert all(start < end for start, end in ordered)
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(ordered))


def test_a_missing_cell_is_a_gap():
    result = SAMPLES["ageing"]
    missing = charts.instant(result.data.start + timedelta(days=7 * 81))
    ground = [row for row in datasets(pictures.decay_map(result)) if "row" in row and "end" in row]
    assert any(row["end"] <= missing for row in ground)
    assert not any(row["start"] <= missing < row["end"] for row in ground)


def test_colour_is_the_excess_over_paper():
    result = SAMPLES["ageing"]
    cells = [row for row in datasets(pictures.decay_map(result)) if "row" in row and "shade" in row]
    assert {cell["hue"] for cell in cells} == {charts.colour("broken"), charts.colour("data")}
    assert all(0 < cell["shade"] <= 1 for cell in cells)


def test_a_map_of_thousands_of_cells_stays_small():
    assert len(charts.svg(pictures.decay_map(SAMPLES["ageing"]))) < 100_000


def test_a_gap_in_the_curve_is_not_drawn_across():
    ageing = SAMPLES["ageing"]
    few = tuple(point for point in ageing.curve if not 70 <= point.age_days <= 140)
    rows = datasets(pictures.decay(type(ageing)(**{**vars(ageing), "curve": few})))
    assert {row["run"] for row in rows if "run" in row} == {0, 1}


def test_names_are_given_once():
    chart = alt.Chart({"values": [{"x": 1, "y": 2}]}).mark_line(clip=True).encode(x="x:Q", y="y:Q")
    first = charts.svg(chart.properties(title="one", width=50, height=50))
    other = charts.svg(chart.properties(title="other", width=60, height=50))
    names = [set(re.findall(r' id="([^"]+)"', drawn)) for drawn in (first, other)]
    assert not names[0] & names[1]
    for drawn, known in zip((first, other), names, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= known


@pytest.mark.parametrize("days", [0.2, 1, 3.5, 20, 90, 400, 1500, 9000, 40_000])
def test_the_calendar_fits_any_length(days):
    start = datetime(1996, 2, 29, 13)
    end = start + timedelta(days=days)
    for width in (charts.WIDE, charts.NARROW):
        ticks = charts.time_axis(start, end, width).to_dict()["values"]
        assert ticks == sorted(set(ticks))
        assert all(charts.instant(start) <= tick <= charts.instant(end) for tick in ticks)
        assert 1 <= len(ticks) <= width // 29 + 1


def test_the_scale_ends_on_round_numbers():
    assert [marks.round_up(value) for value in (0.013, 0.2, 7, 41)] == pytest.approx([0.015, 0.2, 8, 50])
    assert not any(math.isnan(marks.round_up(10.0**power)) for power in range(-12, 12))


def test_words_of_moments_keep_out_of_each_others_way():
    start = datetime(2027, 1, 1)
    line = marks.TimeLine(start, start + timedelta(days=100), 500)
    said = [(start + timedelta(days=day), f"{day} January 2027: 3 models ended") for day in (20, 22, 24, 97, 400)]
    drawn = alt.layer(*marks.moments(said, line, 100, alt.X("start:T"))).to_dict()
    spots = [
        (layer["encoding"]["y"]["value"], layer["mark"]) for layer in drawn["layer"] if layer["mark"]["type"] == "text"
    ]
    assert len(spots) == 4  # the last lies outside
    assert len({y for y, _ in spots}) >= 3
