"""What a version is made of beside its rows: the code, the environment, the machine."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from shelflife import __version__

_PATIENCE = 60  # seconds for Git


def code(folder: Path) -> dict[str, Any] | None:
    """The commit of a folder's repository and a digest of what was changed since; None where there is none.

    Returns
    -------
    ``commit``; ``dirty``, None where all is committed; ``folder``, its place in the repository.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    place = (_git(folder, "rev-parse", "--show-prefix") or b"").decode().strip()
    return {"commit": commit.decode().strip(), "dirty": _dirty(folder), "folder": place.rstrip("/")}


def _dirty(folder: Path) -> str | None:
    """A digest of all changes: those of known files, and new files whole."""
    top = Path((_git(folder, "rev-parse", "--show-toplevel") or b"").decode().strip())
    changed = _git(top, "diff", "HEAD", "--binary", "--no-ext-diff") or b""
    new = _git(top, "ls-files", "--others", "--exclude-standard", "-z") or b""
    if not changed and not new:
        return None
    found = hashlib.sha256(changed)
    for name in filter(None, new.split(b"\0")):
        path = top / os.fsdecode(name)
        found.update(b"\0" + name + b"\0")
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def _git(folder: Path, *words: str) -> bytes | None:
    """What Git answers; None where there is no Git, no repository, or no commit."""
    # A repository elsewhere that the caller's environment names is not that of the folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        run = subprocess.run(  # noqa: S603 - our own words
            ["git", "-C", str(folder), *words],  # noqa: S607 - the Git on the PATH
            capture_output=True, check=False, timeout=_PATIENCE, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout if run.returncode == 0 else None


@functools.cache
def _installed() -> tuple[tuple[str, ...], tuple[str, ...]]:
    packages: dict[str, str] = {}
    others: set[str] = set()
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if not name:
            continue
        # The first on the path is the one that is imported.
        packages.setdefault(name.lower().replace("_", "-"), one.version)
        if one.read_text("direct_url.json") is not None:
            others.add(name.lower().replace("_", "-"))
    packages["shelflife"] = __version__  # also where it runs from a folder
    return tuple(f"{name}=={version}" for name, version in sorted(packages.items())), tuple(sorted(others))


def environment() -> dict[str, Any]:
    """Every package that is installed, with its version, the Python, and a digest of both.

    Returns
    -------
    ``python``, ``packages`` (name==version, sorted), ``others`` (those of them that come from no index) and ``digest``.
    """
    packages, others = _installed()
    made: dict[str, Any] = {"python": platform.python_version(), "packages": list(packages)}
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    return {**made, "others": list(others), "digest": digest}


def machine() -> dict[str, Any]:
    """The machine, as far as figures may depend on it."""
    return {"system": platform.platform(), "machine": platform.machine(), "cores": os.cpu_count()}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two environments differ, in words."""
    found = []
    if then.get("python") != now.get("python"):
        found.append(f"Python {then.get('python')} then, {now.get('python')} now")
    before, after = (dict(one.split("==", 1) for one in side.get("packages", [])) for side in (then, now))
    found += [
        f"{name} {before.get(name, 'not there')} then, {after.get(name, 'not there')} now"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return found
