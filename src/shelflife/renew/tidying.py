"""What renewals leave in the workspace: removed once nobody needs it, by whoever tends, as often as it takes.

A version has its artifact elsewhere, and a renewal that is over is never gone on with. So what it trained, and what
trainings left that were killed or superseded, goes with it. The logs of the newest one stay for who asks why.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from shelflife.renew.training import LOG
from shelflife.store.database import Database
from shelflife.store.schema import renewals
from shelflife.workspace import Settings

_OLD = timedelta(days=1)  # longer than anybody copies


def tidy(database: Database, settings: Settings, system: str, now: datetime) -> None:
    """Remove what renewals of a system that are over have made, and copies that nobody has finished."""
    folders = {path.name: path for path in _within(settings.home / "renewals")}
    if folders:
        with database.reading() as connection:
            query = select(renewals.c.number).where(renewals.c.system == system, renewals.c.ended.is_not(None))
            over = connection.execute(query.order_by(renewals.c.number)).scalars().all()
        for number in over:
            if str(number) in folders:
                _remove(folders[str(number)], logs=number == over[-1])
    for path in _unfinished(settings, system):
        with suppress(OSError):  # another one was first
            if path.stat().st_mtime < (now - _OLD).timestamp():
                shutil.rmtree(path, ignore_errors=True)


def _remove(folder: Path, *, logs: bool) -> None:
    if not logs:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for training in _within(folder):
        for path in _within(training):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOG:
                path.unlink(missing_ok=True)


def _unfinished(settings: Settings, system: str) -> Iterator[Path]:
    """Copies under a name of their own, which have it only until they are whole."""
    yield from settings.home.glob("adopting-*")
    yield from (settings.artifacts_folder / system).glob(".*-*")
    yield from (settings.artifacts_folder / "fetched").glob("tmp*")


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
