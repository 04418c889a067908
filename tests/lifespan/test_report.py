"""The report: the sentence first, a table behind each picture, and nothing a user wrote becomes markup."""

from __future__ import annotations

import dataclasses
import html as markup
import re
import runpy
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from shelflife.lifespan import charts, report

SAMPLES = runpy.run_path(str(Path(__file__).parents[1] / "look" / "samples.py"))["every_kind"]()
Reader = runpy.run_path(str(Path(__file__).parents[1] / "look" / "pages.py"))["Reader"]


@pytest.fixture(scope="module")
def pages():
    return {name: report.html(result) for name, result in SAMPLES.items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_is_whole(pages, name):
    read = Reader(pages[name])
    assert pages[name].startswith("<!doctype html>")
    assert read.count("h1") == 1
    assert read.count("figure") == 3
    assert "None" not in read.text
    assert "nan" not in read.text.split()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_needs_nothing_from_elsewhere(pages, name):
    for needs in ("http:", "https:", "<script", "<link", "@import", "src=", "url("):
        assert needs not in pages[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sentence_comes_first(pages, name):
    text = Reader(pages[name].partition("<body>")[2].partition("</body>")[0]).text
    says = SAMPLES[name].says
    assert text.startswith(says.split(". ")[0])
    for sentence in re.split(r"(?<=[.:]) ", says):
        assert sentence in text


@pytest.mark.parametrize("name", SAMPLES)
def test_a_table_stands_behind_each_picture(pages, name):
    figures = re.findall(r"<figure.*?</figure>", pages[name], flags=re.DOTALL)
    assert len(figures) == 3
    for figure in figures:
        assert figure.count("<svg") == 2
        details = figure.partition("<details>")[2]
        assert details.count("<table>") >= 1
        assert "<td>" in details


@pytest.mark.parametrize("name", SAMPLES)
def test_pictures_are_well_formed_and_follow_the_theme(pages, name):
    pictures = re.findall(r"<svg.*?</svg>", pages[name], flags=re.DOTALL)
    assert len(pictures) == 7  # three in two widths, and the sign on the label
    for picture in pictures:
        ET.fromstring(picture)
        assert not re.search(r"#[0-9a-fA-F]{3,6}\b", picture)


def test_no_identifier_is_given_twice(pages):
    for made in pages.values():
        names = [given["id"] for _, given in Reader(made).tags if given.get("id")]
        assert len(names) == len(set(names))


def test_dates_show_their_exact_time(pages):
    for made in (pages["ageing"], pages["hours"]):
        for tag, given in Reader(made).tags:
            if tag == "time":
                assert given["datetime"] == given["title"]
                assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", given["datetime"])
    assert "+10:00" in pages["hours"]


def test_the_numbers_are_those_of_the_answer(pages):
    result = SAMPLES["ageing"]
    text = Reader(pages["ageing"]).text
    assert f"{result.data.rows:,} rows" in text
    assert "at most 2 points worse than fresh" in text
    assert "Renew every" in text
    assert text.count("cheapest") == 2
    assert len(re.findall(r'<tr class="chosen">', pages["ageing"])) == 1
    rows = pages["ageing"].partition('id="decay"')[2].partition("</table>")[0].count("<tr>")
    assert rows == len(result.curve) + 1


def test_the_map_s_table_holds_every_cell(pages):
    result = SAMPLES["ageing"]
    table = pages["ageing"].partition('id="map"')[2].partition("<details>")[2].partition("</table>")[0]
    cells = re.findall(r"<td>([^<]+)</td>", table)
    assert sum(cell != "–" for cell in cells) == len(result.decay_map)
    assert "–" in cells


def test_a_rival_that_wins_is_told_right_after_the_sentence(pages):
    head = pages["unknown"].partition("</h1>")[2]
    assert head.lstrip().startswith('<p class="warning">')
    assert 'class="warning"' not in pages["ageing"]


def test_hostile_names_are_text(pages):
    read = Reader(pages["hostile"])
    assert "script" not in {tag for tag, _ in read.tags}
    assert "<script>alert('&')</script>" in read.text
    assert "<b>" not in pages["hostile"].partition('id="done"')[2]
    for made in (report.fragment(SAMPLES["hostile"]), report.badge(SAMPLES["hostile"])):
        assert "<script" not in made


def test_regression_speaks_in_units_of_the_target(pages):
    text = Reader(pages["regression"]).text
    assert "10 % (42)" in text
    assert "points" not in text.partition("What this takes for granted")[0]
    assert "absolute error, in units of price" in text


def test_hours_are_told_in_hours(pages):
    text = Reader(pages["hours"]).text
    assert "trained every hour" in text
    assert "5 July 1996, 00:00" in text


@pytest.mark.parametrize(
    ("name", "says", "freshness"),
    [
        ("ageing", "22 Feb 1999", "fresh"),
        ("lasting", "no expiry seen in 40 weeks", "fresh"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_badges(name, says, freshness):
    root = ET.fromstring(report.badge(SAMPLES[name]))
    assert root.get("aria-label") == f"best before: {says}, {freshness}"


def test_expiry_without_a_date():
    found = dataclasses.replace(SAMPLES["ageing"].lifespan, quartile_days=None, median_days=None, expired=3)
    result = dataclasses.replace(SAMPLES["ageing"], lifespan=found, best_before=None)
    assert "not reached in 102 weeks" in report.badge(result)
    assert charts.survival_title(result)[0].endswith("3 of 24 models expired")
    assert "3 of 24 models expired" in report.html(result)


def test_what_was_never_measured_is_said():
    result = dataclasses.replace(SAMPLES["unknown"], curve=(), decay_map=())
    read = Reader(report.html(result))
    assert read.count("figure") == 3
    assert "There are none" in read.text


@pytest.mark.parametrize("name", SAMPLES)
def test_notebooks_get_a_piece_with_its_own_sheet(name):
    piece = report.fragment(SAMPLES[name])
    assert type(piece) is str
    read = Reader(piece)
    assert read.tags[0] == ("div", {"class": "shelflife"})
    assert SAMPLES[name].says.split(". ")[0] in read.text
    sheet = piece.partition("<style>")[2].partition("</style>")[0]
    selectors = re.findall(r"(?:^|[}{,])\s*([^@{},]+)(?=[,{])", re.sub(r"\{[^{}]*:[^{}]*\}", "{}", sheet))
    assert all(selector.startswith((".shelflife", ".shelf-label")) for selector in selectors if selector.strip())
    assert len(piece) < 40_000


def test_the_control_is_told_once():
    control = "Control passed: with the rows in random order of time, 0 of 24 models expire."
    result = dataclasses.replace(SAMPLES["ageing"], notes=(control, "Another note."))
    text = Reader(report.html(result)).text
    assert text.count(control) == 1
    assert "Another note." in text


def test_the_page_stays_small(pages):
    assert len(pages["ageing"].encode()) < 600_000


def test_nothing_sticks_out_on_a_phone(pages, chromium, tmp_path):
    holder = tmp_path / "holder.html"
    frame = markup.escape(pages["ageing"])
    script = (
        "onload=()=>{let d=f.contentDocument.documentElement;d.querySelectorAll('details').forEach(t=>t.open=true);"
        "document.title=d.scrollWidth+' in '+d.clientWidth}"
    )
    holder.write_text(
        f'<iframe id="f" style="width:360px;height:700px;border:0" srcdoc="{frame}"></iframe><script>{script}</script>'
    )
    seen = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", holder.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "<title>360 in 360</title>" in seen.stdout
