"""The workers of a gateway: processes that share a socket and nothing else; one that dies is replaced."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from shelflife.gateway import dying
from shelflife.gateway.metrics import SHARED
from shelflife.gateway.worker import Options

_COMMAND = (sys.executable, "-m", "shelflife.cli.worker")
_SOON = 1.0  # seconds within which a worker that dies is not replaced at once
_AGAIN = 600.0  # seconds within which a worker that is killed with the same version at work counts as that one's doing
_SAID = 8_000  # letters of what a process left of its fault
_PATIENCE = 20.0  # seconds in which a worker that is told to stop does
_log = logging.getLogger("shelflife.gateway")


class Workers:
    """Starts workers, and starts another where one dies.

    Parameters
    ----------
    listening
        The socket that all of them answer at.
    count
        How many there are.
    """

    def __init__(self, listening: socket.socket, count: int, options: Options) -> None:
        self._listening, self._options = listening, options
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [threading.Thread(target=self._keep, args=(place,), daemon=True) for place in range(count)]
        self._figures = tempfile.TemporaryDirectory(prefix="shelflife-") if count > 1 else None
        self._marks = tempfile.TemporaryDirectory(prefix="shelflife-")

    def start(self) -> None:
        """Start all of them."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell all of them to finish what they are at, and wait until they did."""
        with self._changing:
            self._stopping.set()
            for process in self._running.values():
                process.terminate()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
        for thread in self._threads:
            thread.join()
        if self._figures is not None:
            self._figures.cleanup()
        self._marks.cleanup()

    def pids(self) -> list[int]:
        """The processes that run."""
        with self._changing:
            return [process.pid for process in self._running.values()]

    # ------------------------------------------------------------------------------------------------------------------

    def _keep(self, place: int) -> None:
        marks = Path(self._marks.name) / str(place)
        died: dict[tuple[str, int], dying.Dead] = {}  # what the next worker is to know
        suspect: tuple[dying.Dead, float] | None = None  # that was killed once, and when
        while not self._stopping.is_set():
            begun = time.monotonic()
            with self._changing:
                if self._stopping.is_set():
                    return
                process = self._running[place] = self._begin(dying.clear(marks), [*died.values()])
            status = process.wait()
            assert process.stdin is not None
            process.stdin.close()
            if self._figures is not None:
                mark_process_dead(process.pid, self._figures.name)  # type: ignore[no-untyped-call]
            if not self._stopping.is_set():
                died = {which: replace(one, told=True) for which, one in died.items()}
                by = ""
                before, suspect = suspect, None
                if (one := dying.who(marks, status)) is not None:
                    now = time.monotonic()
                    if one.killed:
                        # Somebody may kill a process once, whoever is at work; want of memory comes again, and soon.
                        soon = before is not None and now - before[1] < _AGAIN and before[0].which == one.which
                        one, suspect = replace(one, again=soon), (one, now)
                    if one.again or not one.killed:
                        died[one.system, one.version] = one
                    by = f", with version {one.version} of {one.system} at work"
                _log.error("a worker of the gateway has died (%s)%s; another one takes its place", status, by)
                if said := dying.fault(marks):
                    _log.error("%s%s", said[:_SAID], " …" if len(said) > _SAID else "")
                if time.monotonic() - begun < _SOON:
                    self._stopping.wait(_SOON)

    def _begin(self, marks: Path | None, died: list[dying.Dead]) -> subprocess.Popen[bytes]:
        where = None if marks is None else str(marks)
        options = replace(self._options, marks=where, died=[one.plain for one in died])
        number = self._listening.fileno()
        figures = {} if self._figures is None else {SHARED: self._figures.name}
        return subprocess.Popen(  # noqa: S603 - our own command
            [*_COMMAND, str(number), options.json()], stdin=subprocess.PIPE, pass_fds=[number],
            env={**os.environ, **figures}, start_new_session=True,
        )  # fmt: skip
