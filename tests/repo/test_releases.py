"""The version, the changelog and the lock agree."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import shelflife


def test_changelog_begins_with_this_version(root):
    versions = re.findall(r"^## \[?([0-9][^\s\]]*)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == shelflife.__version__
    assert importlib.metadata.version("shelflife") == shelflife.__version__


def test_lock_meets_what_is_asked_for(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["project"]["optional-dependencies"]["dask"],
        *project["project"]["optional-dependencies"]["delta"],
    ]
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (root / "requirements.lock").read_text(), re.MULTILINE):
        locked.setdefault(canonicalize_name(name), []).append(version)
    for requirement in map(Requirement, asked):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement} is not in requirements.lock: make lock"
        assert all(map(requirement.specifier.contains, versions)), f"{requirement} has {versions} locked: make lock"


def test_lock_names_no_address(root):
    assert "://" not in (root / "requirements.lock").read_text()
