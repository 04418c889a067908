"""What `shelflife` offers is what it says, and what the docs say."""

from __future__ import annotations

import re

import pytest

import shelflife

MODULES = {
    "gateway",
    "plan",
    "system",
    "workspace",
    "cli",
    "detect",
    "durations",
    "engines",
    "errors",
    "lifespan",
    "look",
    "tables",
    "testing",
    "trainers",
    "profile",
}


@pytest.fixture(scope="module")
def pages(root):
    return "\n".join(path.read_text() for path in [root / "README.md", *(root / "docs").glob("*.md")])


def test_every_name_resolves():
    assert [name for name in shelflife.__all__ if getattr(shelflife, name, None) is None] == []


def test_names_are_few_and_in_order():
    assert list(shelflife.__all__) == sorted(set(shelflife.__all__))
    assert len(shelflife.__all__) <= 25


def test_dir_shows_them():
    assert sorted(set(shelflife.__all__) - set(dir(shelflife))) == []  # names that load late need a __dir__


def test_every_name_has_a_docstring():
    plain = {name for name in shelflife.__all__ if isinstance(getattr(shelflife, name), str)}
    assert [name for name in set(shelflife.__all__) - plain if not getattr(shelflife, name).__doc__] == []


def test_every_name_is_documented(pages):
    names = [name for name in shelflife.__all__ if not name.startswith("__")]
    assert [name for name in names if not re.search(rf"\b{name}\b", pages)] == []


def test_every_documented_name_exists(pages):
    written = set(re.findall(r"\b(?:shelflife\.|from shelflife import )([A-Za-z_]+)", pages))
    files = {"html", "json", "md", "svg", "toml", "yaml"}
    groups = {"connectors"}  # of entry points
    assert sorted(written - set(shelflife.__all__) - MODULES - files - groups) == []
