"""The command line as a person types it: in this process, which is quick, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from shelflife.cli import main


@dataclass(frozen=True)
class Said:
    """What a command wrote, and the status with which it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both."""
        return self.stdout + self.stderr


def run(folder: Path, *arguments: str) -> Said:
    """Do a command in a folder, with the workspace that is there; whatever is no error of ours is raised."""
    status = 0
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, _environment(folder)),
        mock.patch.object(sys, "argv", ["shelflife", *arguments]),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
    return Said(status, out.getvalue(), err.getvalue())


def process(folder: Path, *arguments: str) -> Said:
    """The same in a process of its own: for commands that train, whose workers other tests may have killed here."""
    done = subprocess.run(
        [sys.executable, "-m", "shelflife", *arguments], cwd=folder, env={**os.environ, **_environment(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def _environment(folder: Path) -> dict[str, str]:
    return {"COLUMNS": "100", "NO_COLOR": "1", "SHELFLIFE_HOME": str(folder / ".shelflife")}
