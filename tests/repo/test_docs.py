"""What can be asked for, and what can go wrong, is written down."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys

import shelflife
from shelflife.errors import ShelflifeError


def test_every_option_of_lifespan_is_documented(root):
    plain = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", "shelflife", "lifespan", "--help"]
    shown = subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown)) - {"--help"}
    assert "--time" in options
    page = (root / "docs" / "lifespan.md").read_text()
    assert sorted(option for option in options if not re.search(rf"{option}(?![\w-])", page)) == []


def test_every_error_is_documented(root):
    for module in pkgutil.walk_packages(shelflife.__path__, "shelflife."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    errors, waiting = set(), [ShelflifeError]
    while waiting:
        error = waiting.pop()
        errors.add(error.__name__)
        waiting.extend(error.__subclasses__())
    page = (root / "docs" / "errors.md").read_text()
    assert sorted(name for name in errors if f"`{name}`" not in page) == []


def test_every_decision_is_in_the_index(root):
    folder = root / "docs" / "decisions"
    notes = sorted(path.name for path in folder.glob("[0-9]*.md"))
    listed = re.findall(r"\]\(([0-9][^)]*\.md)\)", (folder / "index.md").read_text())
    assert listed == notes
    assert [note[:4] for note in notes] == [f"{number:04d}" for number in range(1, len(notes) + 1)]
