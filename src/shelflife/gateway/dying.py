"""Which model was at work when its worker died: a mark on the disk for each version, which outlives the process.

A model that crashes its process takes every request of that worker with it, and would do so again and again. The next
worker is told which version it was: where that is a canary or a shadow, it answers no more.
"""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LOADING = "loading"
# Whoever stops a process from outside says nothing of the model that it was at work with.
_STOPPED = {0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL}
_MARK = struct.Struct("<16sq")  # route, padded with zeros, and revision
_RESTS = bytes(_MARK.size)
# Where several were at work at once, it was more likely one that is new.
_TRUSTED = (LOADING, "shadow", "canary")


@dataclass(frozen=True)
class Dead:
    """A version that was at work, or was being loaded, when its process ended by itself; by which routes, and how."""

    system: str
    version: int
    route: str
    revision: int
    status: int

    @property
    def says(self) -> str:
        """What happened, in words."""
        how = f"with status {self.status}" if self.status >= 0 else f"by {signal.Signals(-self.status).name}"
        return f"its process ended {how} while it {'was loaded' if self.route == LOADING else 'answered'}"

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


class Mark:
    """What a version is at work for.

    Parameters
    ----------
    folder
        Of the marks of a process; None keeps none.
    """

    def __init__(self, folder: Path | None, system: str, version: int) -> None:
        self._map: mmap.mmap | None = None
        if folder is not None:
            # Not made anew where it is there: a version that is loaded twice has one mark.
            file = os.open(folder / f"{version}-{system}", os.O_RDWR | os.O_CREAT)
            os.ftruncate(file, _MARK.size)
            self._map = mmap.mmap(file, _MARK.size)
            os.close(file)

    def begin(self, route: str, revision: int) -> None:
        """Say that the model is at work from now on."""
        if self._map is not None:
            self._map[:] = _MARK.pack(route.encode(), revision)

    def end(self) -> None:
        """Say that it rests."""
        if self._map is not None:
            self._map[:] = _RESTS


def who(folder: Path, status: int) -> Dead | None:
    """The version by which a process died, as far as its marks tell; None where it was stopped, or none was at work.

    Parameters
    ----------
    status
        With which it ended; less than zero a signal.
    """
    if status in _STOPPED:
        return None
    found = []
    for path in folder.iterdir():
        number, _, system = path.name.partition("-")
        route, revision = _MARK.unpack(path.read_bytes())
        if route := route.rstrip(b"\0").decode():
            found.append(Dead(system, int(number), route, revision, status))
    order = {route: place for place, route in enumerate(_TRUSTED)}
    return min(found, key=lambda one: (order.get(one.route, len(order)), -one.version), default=None)


def clear(folder: Path) -> Path:
    """An empty folder for the marks of the next process."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
