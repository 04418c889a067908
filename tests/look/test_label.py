"""A label says what it is told, in three sizes, and nothing a name contains becomes markup."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as ET

import pytest

from shelflife.look import ink, label

PLAIN = label.Label(
    name="Model of price_up",
    made_on="19 October 1998",
    best_before="22 February 1999",
    freshness="fresh",
    promised="at most 2 points worse than fresh",
    observed="half last 23 weeks",
    ingredients="data: 45,312 rows; code: skrub.tabular_pipeline; seed 0",
    keeper="not named yet",
    made_on_exact="1998-10-19T00:00:00",
)
BAD = "<script>alert('&\"')</script>\x00"
HOSTILE = label.Label(BAD, BAD, BAD, "unknown", BAD, BAD, BAD, BAD, BAD, BAD)
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> str:
    return " ".join("".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text"))


@pytest.mark.parametrize("made", [PLAIN, HOSTILE])
def test_every_word_is_on_the_picture(made):
    shown = texts(label.svg(made)).replace(" ", "")
    for field in dataclasses.fields(label.Label):
        if not field.name.endswith("_exact"):
            assert getattr(made, field.name).replace("\x00", "").replace(" ", "") in shown, field.name


def test_the_block_says_the_exact_time_on_hover():
    assert '<time datetime="1998-10-19T00:00:00" title="1998-10-19T00:00:00">19 October 1998</time>' in label.html(
        PLAIN
    )
    assert "22 February 1999</dd>" in label.html(PLAIN)


def test_hostile_names_are_text():
    for made in (label.html(HOSTILE), label.svg(HOSTILE), label.badge(BAD, BAD, "stale")):
        assert "<script" not in made
        assert "&lt;script&gt;" in made
        assert "\x00" not in made
    ET.fromstring(label.svg(HOSTILE))
    ET.fromstring(label.badge(BAD, BAD, "stale"))
    ET.fromstring(label.html(HOSTILE))


@pytest.mark.parametrize("freshness", ["fresh", "ageing", "stale", "unknown"])
def test_a_badge_says_its_freshness_without_colour(freshness):
    root = ET.fromstring(label.badge("best before", "12 Mar 2027", freshness))
    assert root.get("aria-label") == f"best before: 12 Mar 2027, {freshness}"
    assert root.find(f"{SVG}title").text == root.get("aria-label")
    assert freshness in label.SIGNS
    shapes = {len(list(root.iter(SVG + kind))) for kind in ("circle", "path", "text")}
    assert shapes


def test_signs_differ_in_shape():
    drawn = {
        freshness: [
            (node.tag, node.get("fill") == "none")
            for node in ET.fromstring(label.badge("a", "b", freshness)).iter()
            if node.tag in (f"{SVG}circle", f"{SVG}path") or node.text == "?"
        ]
        for freshness in label.SIGNS
    }
    assert len({tuple(shapes) for shapes in drawn.values()}) == 4


def test_a_badge_is_wide_enough_for_its_words():
    short, long = (label.badge("best before", text, "fresh") for text in ("1 May", "no expiry seen in 40 weeks"))
    assert float(ET.fromstring(long).get("width")) > float(ET.fromstring(short).get("width")) + 80


def test_pictures_stand_alone():
    for made in (label.svg(PLAIN), label.badge("best before", "12 Mar 2027", "fresh")):
        assert ink.DARK in made
        assert made.replace('xmlns="http://www.w3.org/2000/svg"', "").count("http") == 0


def test_long_words_are_broken():
    long = dataclasses.replace(PLAIN, ingredients="sha256 " + "9f1c2d7a" * 12)
    lines = [node.text or "" for node in ET.fromstring(label.svg(long)).iter(f"{SVG}text")]
    assert max(map(len, lines)) < 60
