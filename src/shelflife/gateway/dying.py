"""Which model was at work when a worker died: marks on the disk, which outlive the process.

A model that crashes its process takes every request of that worker with it, and would do so again and again. The next
worker is told which version it was, and asks it no more while the routes are the same: see `Loaded.fell`.
"""

from __future__ import annotations

import faulthandler
import itertools
import logging
import mmap
import os
import re
import shutil
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

LOADING = "loading"
# Whoever stops a process from outside says nothing of the model that it was at work with.
_STOPPED = {0, -signal.SIGINT, -signal.SIGTERM}
_MARK = struct.Struct("<16sq")  # route, padded with zeros; revision
_RESTS = bytes(_MARK.size)
_FAULT = "fault"  # the stack of the thread in which a process faulted
_FRAME = "at-work-"  # and the number of the mark: how the frame is called in which its model works
_numbers = itertools.count()
_T = TypeVar("_T")
_P = ParamSpec("_P")
_log = logging.getLogger("shelflife.gateway")


@dataclass(frozen=True)
class Dead:
    """A version that was at work, or was being loaded, when its process ended by itself.

    Attributes
    ----------
    route, revision
        Of the request that it was at work for, or `LOADING` and of the routes that asked for it.
    status
        With which the process ended; less than zero a signal.
    told
        Whether a worker before has logged it.
    again
        Whether the worker before was killed with the same version at work.
    """

    system: str
    version: int
    route: str
    revision: int
    status: int
    told: bool = False
    again: bool = False

    @property
    def which(self) -> tuple[str, int, int]:
        """The version, under the routes that it was asked by."""
        return self.system, self.version, self.revision

    @property
    def killed(self) -> bool:
        """Whether the process was killed: by somebody, or for want of memory, which nothing in it can tell."""
        return self.status == -signal.SIGKILL

    @property
    def says(self) -> str:
        """What happened, in words."""
        names = {one.value: one.name for one in signal.Signals}  # some signals have none
        by = names.get(-self.status, f"signal {-self.status}")
        how = f"with status {self.status}" if self.status >= 0 else f"by {by}"
        again = ", like the one before, as where memory is short" if self.again else ""
        return f"its process ended {how} while it {'was loaded' if self.route == LOADING else 'answered'}{again}"

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


class Mark:
    """What one loaded version is at work for; where no mark can be kept, none is.

    Parameters
    ----------
    folder
        Of the marks of a process; None keeps none.
    """

    def __init__(self, folder: Path | None, system: str, version: int) -> None:
        self._map: mmap.mmap | None = None
        self._number = next(_numbers)
        if folder is None:
            return
        self._path = folder / f"{self._number}-{version}-{system}"
        try:
            folder.mkdir(parents=True, exist_ok=True)  # folders for a while are tidied up
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            try:
                os.write(file, _RESTS)  # which takes the room now: a page without would end the process later
                self._map = mmap.mmap(file, _MARK.size)
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            _log.warning("which model is at work cannot be marked: %s", error)

    def begin(self, route: str, revision: int) -> None:
        """Say that the model is at work from now on."""
        if self._map is not None:
            self._map[:] = _MARK.pack(route.encode(), revision)

    def end(self) -> None:
        """Say that it rests."""
        if self._map is not None:
            self._map[:] = _RESTS

    def within(self, work: Callable[_P, _T]) -> Callable[_P, _T]:
        """`work`, done in a frame that is called by this mark, so that the stack of a fault tells whose it is."""

        def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            return work(*args, **kwargs)

        name = f"{_FRAME}{self._number}"
        run.__code__ = run.__code__.replace(co_name=name, co_qualname=name)
        return run

    def close(self) -> None:
        """Take it away."""
        if self._map is not None:
            self._path.unlink(missing_ok=True)
            self._map.close()
            self._map = None


def faults(folder: Path) -> None:
    """Let this process leave beside its marks the stack of the thread in which it faults.

    Of that thread alone: others go on while theirs are written, which may fault before that one is told.
    """
    with suppress(OSError):
        file = (folder / _FAULT).open("w")
        faulthandler.enable(file, all_threads=False)


def fault(folder: Path) -> str:
    """What a process left of its fault; empty where it had none."""
    try:
        return (folder / _FAULT).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def who(folder: Path, status: int) -> Dead | None:
    """The version by which a process died, as far as its marks tell; None where it was stopped, or it is not known.

    It is the one in whose thread the process faulted, if it was at work; where that is not known one that was being
    loaded, or the newest of one system.

    Parameters
    ----------
    status
        With which it ended; less than zero a signal.
    """
    if status in _STOPPED:
        return None
    found: list[tuple[str, Dead]] = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name == _FAULT:
                continue
            mark, version, system = path.name.split("-", 2)
            said = path.read_bytes()
            if len(said) == _MARK.size and said != _RESTS:
                route, revision = _MARK.unpack(said)
                found.append((mark, Dead(system, int(version), route.rstrip(b"\0").decode(), revision, status)))
    marks = set(re.findall(rf"^  File .* in {_FRAME}([0-9]+)$", fault(folder), re.MULTILINE))
    sure = [one for mark, one in found if mark in marks]
    loading = [one for _, one in found if one.route == LOADING]
    likely = sure if marks else loading or [one for _, one in found]
    if len({one.system for one in likely}) != 1:
        return None
    return max(likely, key=lambda one: one.version)


def clear(folder: Path) -> Path | None:
    """An empty folder for the marks of the next process; None where there can be none."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("which model is at work cannot be marked: %s", error)
        return None
    return folder
