"""What can be asked for, and what can go wrong, is written down."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys

import pytest

import shelflife
from shelflife.check.codes import CODES
from shelflife.errors import ShelflifeError
from shelflife.testing import streams


@pytest.mark.parametrize("name", ["lifespan", "check", "profile"])
def test_every_option_is_documented(root, name):
    plain = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", "shelflife", name, "--help"]
    shown = subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown)) - {"--help"}
    assert "--time" in options
    page = (root / "docs" / f"{name}.md").read_text()
    assert sorted(option for option in options if not re.search(rf"{option}(?![\w-])", page)) == []


def test_every_code_of_a_finding_has_its_page(root):
    folder = root / "docs" / "findings"
    assert sorted(path.stem for path in folder.glob("SL*.md")) == sorted(CODES)
    index = (folder / "index.md").read_text()
    for code, found in CODES.items():
        assert f"[{code}]({code}.md) | {found.name} | `{found.severity}`" in index
        assert (folder / f"{code}.md").read_text().startswith(f"# {code}: {found.name}\n\nSeverity `{found.severity}`.")


def test_every_key_of_the_json_of_a_check_is_documented(root):
    before = streams.steady(days=30, rows=100, seed=1)
    roles = {"time": "ts", "prediction": "fraud", "score": "score", "outcome": "charged_back"}
    found = shelflife.check(before, streams.shifted(days=10, rows=100, change="new"), audit=1, **roles).to_dict()
    page = (root / "docs" / "check-json.md").read_text()
    keys = {*found, *found["audit"], *found["false_alarms"]}
    for rows in ("findings", "columns", "performance"):
        keys |= set(found[rows][0])
    assert sorted(key for key in keys if not re.search(rf"[`\"]{key}[`\"]", page)) == []


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
