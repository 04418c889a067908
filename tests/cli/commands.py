"""The command line as a person types it, without a process of its own for each command."""

from __future__ import annotations

import contextlib
import io
import os
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
    environment = {"COLUMNS": "100", "NO_COLOR": "1", "SHELFLIFE_HOME": str(folder / ".shelflife")}
    status = 0
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["shelflife", *arguments]),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
    return Said(status, out.getvalue(), err.getvalue())
