"""What the package imports is what it asks for, and it asks for no more."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def imported(root):
    names = set()
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    known = packages_distributions()
    ours = names - {"shelflife"} - sys.stdlib_module_names
    return {canonicalize_name(known.get(name, [name])[0]) for name in ours}


def names(requirements):
    return {canonicalize_name(Requirement(written).name) for written in requirements}


def test_every_import_is_asked_for(project, imported):
    asked = names(project["dependencies"]).union(*map(names, project["optional-dependencies"].values()))
    assert sorted(imported - asked) == []


def test_every_base_dependency_is_imported(project, imported):
    assert sorted(names(project["dependencies"]) - imported) == []
