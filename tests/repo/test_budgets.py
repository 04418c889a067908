"""Files, functions and classes stay small enough to be read in one go."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest

FILE, FILE_P90 = 600, 400
FUNCTION, FUNCTION_P90 = 80, 35
PUBLIC_METHODS = 20


@pytest.fixture(scope="module")
def sources(root: Path) -> dict[str, str]:
    package = root / "src" / "shelflife"
    # A migration is as long as what it changes, and is never read again.
    found = {
        str(path.relative_to(package)): path.read_text()
        for path in package.rglob("*.py")
        if "migrations" not in path.parts
    }
    assert found
    return found


def p90(sizes: dict[str, int]) -> int:
    return sorted(sizes.values())[math.ceil(0.9 * len(sizes)) - 1]


def over(sizes: dict[str, int], budget: int) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size > budget}


def nodes(sources: dict[str, str], *kinds: type[ast.AST]) -> dict[str, ast.AST]:
    return {
        f"{path}:{node.lineno} {node.name}": node
        for path, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds)
    }


def test_files(sources):
    lines = {path: len(text.splitlines()) for path, text in sources.items()}
    assert over(lines, FILE) == {}
    assert p90(lines) <= FILE_P90, over(lines, FILE_P90)


def code_lines(function: ast.FunctionDef) -> int:
    """Its lines without the docstring, which may be as long as its readers need."""
    first = function.body[0]
    docstring = first if ast.get_docstring(function) is not None else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def test_functions(sources):
    lines = {name: code_lines(node) for name, node in nodes(sources, ast.FunctionDef, ast.AsyncFunctionDef).items()}
    assert over(lines, FUNCTION) == {}
    assert p90(lines) <= FUNCTION_P90, over(lines, FUNCTION_P90)


def test_classes(sources):
    public = {
        name: sum(isinstance(part, ast.FunctionDef) and not part.name.startswith("_") for part in node.body)
        for name, node in nodes(sources, ast.ClassDef).items()
    }
    assert over(public, PUBLIC_METHODS) == {}
