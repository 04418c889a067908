"""The inks can be read on their paper, in both themes."""

from __future__ import annotations

import re

import pytest

from shelflife.look import ink


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("role", ink.TEXT)
def test_text_can_be_read(role, theme):
    paper = getattr(ink.INKS["paper"], theme)
    assert ink.contrast(getattr(ink.INKS[role], theme), paper) >= 4.5


def test_a_rule_is_seen_but_quiet():
    for theme in ("light", "dark"):
        contrast = ink.contrast(getattr(ink.INKS["rule"], theme), getattr(ink.INKS["paper"], theme))
        assert 1.2 < contrast < 3


def test_every_role_is_defined_light_and_dark():
    light, dark = ink.css(".box").split(ink.DARK)
    for role, colours in ink.INKS.items():
        assert f"--{role}:{colours.light};" in light
        assert f"--{role}:{colours.dark};" in dark
    assert ink.css(".box").count(".box{") == 2


def test_a_colour_stands_for_one_role():
    assert len({colours.light for colours in ink.INKS.values()}) == len(ink.INKS)


def test_a_picture_trades_each_colour_for_its_role():
    sheet = ink.picture_css()
    assert set(re.findall(r"\{fill:var\(--(\w+)\)\}", sheet)) == set(ink.INKS)
