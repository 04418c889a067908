"""The repository holds nothing that is true of one machine only."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

# Spelt in pieces, or else this file would be the first to fail.
HOSTS = ["pypi.%s", "pythonhosted.%s", "npmjs.%s", "debian.%s"]
HOSTS = [host % "org" for host in HOSTS] + [".".join(ends) for ends in (("crates", "io"), ("conda", "anaconda"))]
ROOTS = ["/" + name + "/" for name in ("work", "root", "farm", "Users")]
MACHINE = re.compile(r"(?<![\w.])(" + "|".join([*ROOTS, r"/home/\w"]) + ")")
SCRATCH = re.compile(r"(?<![\w.])/" + "tmp" + "/")


@pytest.fixture(scope="module")
def texts(root):
    if not shutil.which("git") or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = root / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            found[name] = content.decode()
    assert "pyproject.toml" in found
    return found


def places(texts, wanted):
    return [
        f"{name}:{number} {line.strip()[:100]}"
        for name, text in texts.items()
        if wanted.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if wanted.search(line)
    ]


def test_no_registry_is_named(texts):
    assert places(texts, re.compile("|".join(map(re.escape, HOSTS)))) == []


def test_no_path_of_a_machine_is_named(texts):
    assert places(texts, MACHINE) == []


def test_no_scratch_folder_in_the_docs(texts):
    pages = {name: text for name, text in texts.items() if name.endswith(".md")}
    assert places(pages, SCRATCH) == []
