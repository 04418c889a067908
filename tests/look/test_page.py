"""The frame of pages: self-contained, escaped, with both themes."""

from __future__ import annotations

from datetime import datetime

import jinja2
import pytest

from shelflife.look import ink, page


def test_the_frame_needs_nothing_from_elsewhere():
    made = page.render("base.html", package="shelflife.look")
    assert ink.DARK in made
    assert '<meta name="color-scheme" content="light dark">' in made
    for needs in ("http:", "https:", "<script", "<link", "@import", "url("):
        assert needs not in made


def test_values_are_escaped():
    made = page.environment("shelflife.look").from_string("{{ name }}{{ 0.5 | share }}{{ 63 | days }}")
    assert made.render(name="<b>&") == "&lt;b&gt;&amp;50 %9 weeks"


def test_a_missing_value_is_an_error_not_a_blank():
    made = page.environment("shelflife.look").from_string("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError, match="'nothing' is undefined"):
        made.render()


def test_a_moment_shows_its_exact_time():
    when = datetime(1997, 5, 5, 14)
    assert page.moment(when) == '<time datetime="1997-05-05T14:00:00" title="1997-05-05T14:00:00">5 May 1997</time>'
    assert page.moment(None) == "unknown"
