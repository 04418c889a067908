"""The code and the environment of then, made again: a worktree of the commit, and a fresh virtual environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import shelflife
from shelflife.errors import BadInput
from shelflife.renew import ingredients

_PATIENCE = 3600.0  # seconds for an installation


@contextlib.contextmanager
def code_of(record: Mapping[str, Any], at: Path, scratch: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folder where the trainer lives, as it was, and what is not as it was.

    Parameters
    ----------
    record
        What made the version.
    at
        The folder as it is now.
    scratch
        Where another copy may lie.
    """
    then, now = record.get("code"), ingredients.code(at)
    if then is None:
        yield at, ["code: it was not kept in Git then, and is taken as it is here now"]
        return
    if then == now:
        yield at, []  # also what was not committed is the same
        return
    if now is None:
        raise BadInput(
            f"The code of the version is commit {then['commit'][:12]}; {str(at)!r} is in no Git repository. Run it"
            " where that is."
        )
    tree = scratch / "code"
    # What is checked out is this repository's own; nothing is fetched, and no hook of it runs.
    made = _run(["git", "-C", str(at), "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", "--force",
                 str(tree), then["commit"]])  # fmt: skip
    if made.returncode != 0:
        raise BadInput(f"The commit {then['commit'][:12]} cannot be checked out: {_last(made.stderr)} Fetch it first.")
    try:
        said = [f"code: commit {then['commit'][:12]}, not what lies here now"]
        if then["dirty"]:
            said.append(f"code: there were changes that were not committed then ({then['dirty'][:12]}); they are lost")
        yield tree / then["folder"], said
    finally:
        _run(["git", "-C", str(at), "worktree", "remove", "--force", str(tree)])


def environment_of(record: Mapping[str, Any], scratch: Path) -> tuple[Path, Path, list[str]]:
    """A Python with the packages of then, where it finds Shelflife, and what could not be installed.

    It is installed by uv where that is on the PATH, else by pip; both follow their own configuration.
    """
    kept = record.get("environment")
    if not kept:
        raise BadInput("The version does not say which packages made it. `--here` uses those that are installed.")
    folder, others = scratch / "environment", {*kept.get("others", []), "shelflife"}
    wanted = [one for one in kept["packages"] if one.partition("==")[0] not in others]
    needs = scratch / "requirements.txt"
    needs.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    uv = shutil.which("uv")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    venv.create(folder, with_pip=uv is None, symlinks=os.name != "nt")
    install = [uv, "pip", "install", "--quiet", "--python", str(python)] if uv else [
        str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"
    ]  # fmt: skip
    done = _run([*install, "--no-deps", "-r", str(needs)])  # they are all there are
    if done.returncode != 0:
        raise BadInput(
            f"The packages of then cannot be installed: {_last(done.stderr)} `--here` uses those that are installed."
        )
    ours = scratch / "ours"
    ours.mkdir()
    (ours / "shelflife").symlink_to(Path(shelflife.__file__).parent, target_is_directory=True)
    left = sorted(others - {"shelflife"})
    return python, ours, [f"{name}: it comes from no index, and is left out" for name in left]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHONPATH"))}
    try:
        return subprocess.run(  # noqa: S603 - our own words
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{Path(command[0]).name} cannot be run: {error}") from error


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"{' '.join(lines[-3:])[:600]}." if lines else "it does not say why."
